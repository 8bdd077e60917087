"""Fuzz the targets in turn: `python -m tests.fuzz.coverage [NAME …] --seconds 600`.

Each turn runs in a process of its own. What a reader raises is a finding: the input and the
traceback lie in `.fuzz/NAME/findings`, one for each place that raises. The corpus and the number
of executions stay in `.fuzz/NAME`, so that a later run goes on. Exit code 1 with findings.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
from hashlib import sha256
from pathlib import Path

from tests.fuzz.coverage.targets import ROOT, TARGETS, Fuzzed, Target

HOME = ROOT / ".fuzz"
# Processor time of one input that is a finding, and seconds after which a process is taken to hang.
SLOW, HANGS = 2.0, 120
_DONE = re.compile(r"stat::number_of_executed_units:\s+(\d+)")


def main() -> int:
    """Run the turns; the exit code."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument(
        "names", nargs="*", metavar="NAME", help=", ".join(t.name for t in TARGETS)
    )
    options.add_argument("--seconds", type=float, default=600, help="for all targets together")
    options.add_argument("--turn", type=float, default=60, help="seconds of one turn")
    options.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    chosen = [t for t in TARGETS if t.name in given.names or not given.names]
    if given.inside:
        _fuzz(chosen[0], given.turn)
    end = time.monotonic() + given.seconds
    while (left := end - time.monotonic()) > 0:
        for target in chosen:
            _turn(target, min(given.turn, max(left / len(chosen), 1)))
    return _tell(chosen)


def _turn(target: Target, seconds: float) -> None:
    home = HOME / target.name
    (home / "corpus").mkdir(parents=True, exist_ok=True)
    (home / "findings").mkdir(exist_ok=True)
    for seed in target.seeds():
        (home / "corpus" / sha256(seed).hexdigest()[:16]).write_bytes(seed)
    command = [sys.executable, "-m", "tests.fuzz.coverage", target.name, "--inside"]
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        done = subprocess.run(
            [*command, "--turn", str(seconds)], stderr=subprocess.PIPE, cwd=ROOT, check=False,
            env=os.environ | {"TMPDIR": folder},
        )  # fmt: skip
    said = done.stderr.decode("utf-8", "replace")
    (home / "log").write_text(said[-20_000:], "utf-8")
    if done.returncode:
        print(f"{target.name}: the process ended with code {done.returncode}, see {home / 'log'}")
    counted = _DONE.search(said)
    total = _executions(target) + (int(counted[1]) if counted else 0)
    (home / "executions").write_text(str(total), "utf-8")


def _executions(target: Target) -> int:
    file = HOME / target.name / "executions"
    return int(file.read_text("utf-8")) if file.exists() else 0


def _tell(chosen: list[Target]) -> int:
    found = 0
    for target in chosen:
        findings = sorted((HOME / target.name / "findings").glob("*.txt"))
        found += len(findings)
        print(f"{target.name:10} {_executions(target):>12,} executions, {len(findings)} findings")
        for file in findings:
            print(f"    {file}: {file.read_text('utf-8').rstrip().splitlines()[-1][:100]}")
    return 1 if found else 0


def _fuzz(target: Target, seconds: float) -> None:
    """One turn, in a process of its own; does not return."""
    import atheris

    with atheris.instrument_imports(include=list(target.packages)):
        fuzzed = target.make()
    home = HOME / target.name
    flags = [
        f"-max_total_time={max(int(seconds), 1)}",
        f"-max_len={target.largest}",
        "-rss_limit_mb=4096",
        f"-timeout={HANGS}",
        "-print_final_stats=1",
        f"-artifact_prefix={home / 'findings'}/",
    ]
    atheris.Setup([sys.argv[0], *flags, str(home / "corpus")], _told(fuzzed, home / "findings"))
    atheris.Fuzz()


def _told(fuzzed: Fuzzed, folder: Path) -> Fuzzed:
    """The function of a target, with what it raises written down instead of raised."""

    def run(data: bytes) -> None:
        start = time.thread_time()
        try:
            fuzzed(data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            place = traceback.extract_tb(error.__traceback__)[-1]
            name = f"{type(error).__name__}-{Path(place.filename).stem}-{place.lineno}"
            _keep(folder / name, data, traceback.format_exc())
        if time.thread_time() - start > SLOW:
            _keep(folder / "slow", data, f"more than {SLOW} s of processor time\n")

    return run


def _keep(path: Path, data: bytes, words: str) -> None:
    if not path.with_suffix(".txt").exists():
        path.with_suffix(".bin").write_bytes(data)
        path.with_suffix(".txt").write_text(words, "utf-8", "backslashreplace")


if __name__ == "__main__":
    raise SystemExit(main())
