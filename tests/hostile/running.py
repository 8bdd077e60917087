"""Runs cases through real sandboxes; as a program (`-m tests.hostile.running`) for another user.

The program prints, as JSON, the class and message of each case of the suite it is asked for.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from derl_runtime.sandbox import Failure, Sandbox, zygotes
from derl_runtime.sandbox.programs import ProgramLimits
from tests.hostile.cases import GROUPS, Case
from tests.hostile.programs import FORGED, HONEST, SCRIPTS, Submission
from tests.hostile.raw_cases import RAW, STARTING

# The rounds are short: what hangs does so for ever.
SHORT = ProgramLimits(rounds=(0.2, 1.0))
PRELOADS = {"raw": "preload", "starting": "preload_starting"}
HERE = Path(__file__).parent


class RawZygote(zygotes.Zygote):
    """A zygote with the raw engine in place of the restricted one; the walls are the real ones."""

    def __init__(self, preload: str) -> None:
        self.code = zygotes._CODE.replace(
            "from worker.zygote",
            f"sys.path.append({str(HERE)!r}); import raw_engine; from worker import job; "
            f"job.preload = raw_engine.{preload}; from worker.zygote",
        )
        super().__init__("restricted")


RAW_ZYGOTES: dict[str, RawZygote] = {}


@contextmanager
def raw_zygote(preload: str = "preload") -> Iterator[None]:
    """Within it, the workers of restricted sandboxes run whatever they are given."""
    raw = RAW_ZYGOTES.get(preload)
    if raw is None or not raw.alive:
        raw = RAW_ZYGOTES[preload] = RawZygote(preload)
    with zygotes._table.lock:
        before = zygotes._table.running.pop("restricted", None)
        zygotes._table.running["restricted"] = raw
    try:
        yield
    finally:
        with zygotes._table.lock:
            zygotes._table.running.pop("restricted", None)
            if before is not None:
                zygotes._table.running["restricted"] = before


def close_raw_zygotes() -> None:
    """End those that cases have used."""
    while RAW_ZYGOTES:
        RAW_ZYGOTES.popitem()[1].close()


def outcome(case: Case, engine: str) -> tuple[str, str]:
    """The class a case ends in, "value" for an answer, and the message or the value."""
    with Sandbox("standard", engine, case.limits) as sandbox:
        got = sandbox.call(case.source, "f", [[case.text]], 1)
    return (got.cls, got.message) if isinstance(got, Failure) else ("value", repr(float(got[0])))


def suite(name: str) -> Iterator[tuple[str, Case, str]]:
    """The cases of a suite (restricted, monty, raw, starting) by id."""
    groups = {"raw": RAW, "starting": STARTING}.get(name, GROUPS)
    for group, cases in groups.items():
        for case in cases:
            yield f"{group}-{case.name}", case, "monty" if name == "monty" else "restricted"


def submissions() -> Iterator[tuple[str, Submission]]:
    """The submitted programs by id."""
    for kind, cases in {"forged": FORGED, "honest": HONEST, "script": SCRIPTS}.items():
        for case in cases:
            yield f"{kind}-{case.name}", case


def program_verdicts() -> dict[str, list[bool] | str]:
    """The verdict of each submitted program, all in one batch."""
    names, cases = zip(*submissions(), strict=True)
    with Sandbox("standard") as sandbox:
        found = sandbox.run_programs([(c.program, [c.test]) for c in cases], SHORT)
    return {n: str(f) if isinstance(f, Failure) else f for n, f in zip(names, found, strict=True)}


def outcomes(name: str) -> dict[str, tuple[str, str]]:
    """The outcome of each case of a suite."""
    with Sandbox("standard", "monty" if name == "monty" else "restricted"):  # keeps one zygote
        if name in PRELOADS:
            with raw_zygote(PRELOADS[name]):
                return {key: outcome(case, engine) for key, case, engine in suite(name)}
        return {key: outcome(case, engine) for key, case, engine in suite(name)}


if __name__ == "__main__":
    wanted = sys.argv[1:]
    print(json.dumps({n: program_verdicts() if n == "programs" else outcomes(n) for n in wanted}))
    close_raw_zygotes()
