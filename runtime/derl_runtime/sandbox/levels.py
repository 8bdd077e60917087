"""How well this machine can hold untrusted code: the self-test, and the level that follows."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from derl_runtime.sandbox.encode import encode_job
from derl_runtime.sandbox.jobs import Order, run
from derl_runtime.sandbox.outcome import Failure, Refused, SandboxLimits
from derl_runtime.sandbox.worker.frames import PROBE
from derl_runtime.sandbox.worker.walls import LANDLOCK, RLIMITS, SECCOMP
from derl_runtime.sandbox.zygotes import Zygote
from derl_runtime.sandbox_settings import LEVELS

DOES = {
    "strict": "seccomp, Landlock and rlimits",
    "standard": "seccomp and rlimits",
    "reduced": "rlimits alone: holds accidents, not attacks",
    "none": "nothing holds: untrusted primitives are off",
}


@dataclass(frozen=True, slots=True)
class Wall:
    """One wall as the self-test found it; `needed_for` is the lowest level that needs it."""

    name: str
    does: str
    needed_for: str | None
    holds: bool
    found: str


@dataclass(frozen=True, slots=True)
class _Trial:
    name: str
    does: str
    needed_for: str | None
    walls: int
    actions: tuple[str, ...]


_ATTACKS = ("network", "unix", "processes", "programs", "signals", "code", "spying")
_TRIALS = (
    _Trial("memory", "a worker has its memory limit", "reduced", RLIMITS, ("memory",)),
    _Trial("limits", "no core dumps, files or processes", "reduced", RLIMITS, ("limits",)),
    _Trial("parent", "dies with its parent, gains no rights", "reduced", 0, ("quiet",)),
    _Trial("user", "a worker is not root", None, 0, ("root",)),
    _Trial("seccomp", "network, processes, signals, new code kill", "standard", SECCOMP, _ATTACKS),
    _Trial("files", "no file can be opened", "standard", SECCOMP, ("files",)),
    _Trial("landlock", "no file, by a second wall", "strict", LANDLOCK, ("files",)),
)
_FOUND = {b"\x00": "it went through", b"\x01": "refused", b"\x02": "the machine lacks it"}


def self_test(zygote: Zygote) -> tuple[Wall, ...]:
    """Try every wall from inside a worker that has only this one."""
    limits = SandboxLimits()
    orders = [
        Order(PROBE, _probe(action), 0, trial.walls, limits.cpu, limits.memory, 5.0)
        for trial in _TRIALS
        for action in trial.actions
    ]
    replies = iter(run(zygote, orders))
    return tuple(_wall(trial, [next(replies) for _ in trial.actions]) for trial in _TRIALS)


def _probe(action: str) -> list[bytes]:
    return encode_job(PROBE, action)


def _wall(trial: _Trial, replies: Sequence[bytes | Failure]) -> Wall:
    attacks = trial.actions is _ATTACKS
    found = []
    for action, reply in zip(trial.actions, replies, strict=True):
        if isinstance(reply, Failure):
            stopped = reply.cls == "violation"
            found.append((stopped, "killed" if stopped else str(reply)))
        else:
            # Where seccomp kills, a mere refusal is another wall's work.
            what = _FOUND.get(reply, "no answer")
            told = f"{action}: {what}" if attacks else what
            found.append((reply == b"\x01" and not attacks, told))
    holds = all(ok for ok, _ in found)
    words = dict.fromkeys(text for ok, text in found if ok == holds)
    return Wall(trial.name, trial.does, trial.needed_for, holds, "; ".join(words))


def walls_to_put_up(walls: Sequence[Wall]) -> int:
    """Every wall that holds here, whatever the level asks for."""
    holding = {w.name for w in walls if w.holds}
    seccomp = SECCOMP if {"seccomp", "files"} <= holding else 0
    return RLIMITS | seccomp | (LANDLOCK if "landlock" in holding else 0)


def level_of(walls: Sequence[Wall]) -> str:
    """The highest level all of whose walls hold."""
    reached = "none"
    for level in LEVELS[1:]:
        if not all(w.holds for w in walls if w.needed_for == level):
            break
        reached = level
    return reached


def check_platform() -> None:
    """Raise Refused where there is nothing to build walls of."""
    if not sys.platform.startswith("linux") or not hasattr(os, "memfd_create"):
        raise Refused(
            f"untrusted primitives need Linux; on {sys.platform} there are no walls (level none). "
            "Use trusted primitives (@derl_dsl.primitive) here"
        )


def require(wanted: str, walls: Sequence[Wall], found: str) -> None:
    """Raise Refused where the machine's level is below the wanted one."""
    if LEVELS.index(found) >= LEVELS.index(wanted):
        return
    upto = LEVELS[: LEVELS.index(wanted) + 1]
    lacking = [f"{w.name} ({w.found})" for w in walls if not w.holds and w.needed_for in upto]
    fix = (
        f'allow it with level = "{found}" ({DOES[found]})'
        if found != "none"
        else "untrusted primitives cannot run here"
    )
    raise Refused(
        f"the sandbox reaches level {found} here and {wanted} is asked for; "
        f"this machine lacks {', '.join(lacking)}. {fix[0].upper()}{fix[1:]}"
    )
