"""`python -m tests.conformance [TARGET …]`: run the table, write its page."""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from derl_dsl.adapters.rows import OnFault
from derl_dsl.adapters.targets import TARGETS
from tests.conformance.environments import ROOT, NotInstalled, environment
from tests.conformance.jobs import differences, gallery_jobs, step_jobs, trouble_jobs, version_of
from tests.conformance.table import CHECKS, PROBES, QUICK, Result, page

OFFLINE = {"HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled"}
SINGLE = (
    "trl",
    "axolotl",
    "unsloth",
    "openrlhf",
    "ms-swift",
    "nemo-rl",
)  # float32 by their own protocol


def run(name: str, timed: bool = True) -> Result:
    """Run one target in its environment; `timed`: with what depends on a deadline, too."""
    module = PROBES[name]
    facts = _facts(module)
    target = TARGETS[facts["EXPORTED"] or name]
    result = Result(name, facts["HOW"])
    try:
        home = (facts["HOME"] or module, facts["PACKAGES"], facts["ALONE"], facts["NEWER"])
        python = environment(*home)
    except NotInstalled as error:
        result.broken = str(error)
        return result
    result.version = _version(python, facts["VERSION"]) or target.version
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        jobs, result.refused = gallery_jobs(target, folder)
        result.rewards = len(jobs)
        jobs += step_jobs(target, folder) + trouble_jobs(target, folder)
        jobs = [job for job in jobs if timed or job.check != "hang"]
        (folder / "jobs.json").write_text(json.dumps([job.to_json() for job in jobs]))
        told = [str(python), "-m", "tests.conformance.child", module]
        told += [str(folder / "jobs.json"), str(folder / "results.json")]
        env = {**os.environ, "PYTHONPATH": str(ROOT), **OFFLINE}
        done = subprocess.run(
            told, capture_output=True, text=True, timeout=900, env=env, cwd=folder
        )
        if not (folder / "results.json").exists():
            result.broken = (done.stderr.strip().splitlines() or ["ended without a word"])[-1]
            return result
        found = json.loads((folder / "results.json").read_text())
    if "import" in found:
        result.broken = found["import"]
        return result
    result.setting = found["setting"] or ""
    policy = next(p for p in target.policies if p != "raise")
    _judge(result, jobs, found["jobs"], facts["PARTS"], policy)
    return result


def _judge(result: Result, jobs: list[Any], found: list[Any], parts: str, policy: OnFault) -> None:
    single = result.target in SINGLE
    bad: dict[str, bool] = {}
    seen_parts = False
    for job, one in zip(jobs, found, strict=True):
        if "error" in one:
            wrong, lost = [f"{job.job}: {one['error']}"], []
        else:
            wrong, lost = differences(job, one["seen"], parts, single)
            seen_parts |= any(p is not None for _, p in one["seen"])
        bad[job.check] = bad.get(job.check, False) or bool(wrong)
        bad["parts"] = bad.get("parts", False) or bool(lost)
        result.wrong += (wrong + lost)[:2]
    result.checks = {name: "differ" if bad[name] else "equal" for name in CHECKS if name in bad}
    if not seen_parts:
        result.checks["parts"] = "no word for them"
    for name in ("fault", "NaN", "hang"):
        if result.checks.get(name) == "equal":
            result.checks[name] = policy


def _facts(module: str) -> dict[str, Any]:
    probe = importlib.import_module(f"tests.conformance.probes.{module}")
    return {
        "HOME": "",
        "EXPORTED": "",
        "NEWER": (),
        "PARTS": "rows",
        "ALONE": False,
        **{k: v for k, v in vars(probe).items() if k.isupper()},
    }


def _version(python: Path, package: str) -> str:
    if not package:
        return ""
    code = f"from importlib.metadata import version; print(version({package!r}))"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, timeout=60)
    return version_of(done.stdout.strip())


def main() -> int:
    """Run the targets asked for; 1 when one differs or did not run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[*PROBES, []], help="default: all")
    parser.add_argument("--quick", action="store_true", help="those that install in seconds")
    parser.add_argument("--page", type=Path, help="write the page here")
    given = parser.parse_args()
    results = []
    for name in given.targets or (QUICK if given.quick else PROBES):
        result = run(name, timed=not given.quick)
        results.append(result)
        said = result.broken or ", ".join(f"{k} {v}" for k, v in result.checks.items())
        print(f"{name} {result.version}: {said} {result.setting}", flush=True)
        for line in result.wrong[:6]:
            print(f"    {line}", flush=True)
    if given.page:
        given.page.write_text(page(results, datetime.date.today().isoformat()), "utf-8")
    return int(any(r.broken or r.wrong for r in results))


if __name__ == "__main__":
    sys.exit(main())
