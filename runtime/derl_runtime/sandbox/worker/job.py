"""One job in its fresh child: walls first, then the job is read, done and answered."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from . import frames, probes, walls
from .declare import Declared, Undeclared
from .outcome import Failed

_JOB, _REPLY, _ERRORS = 0, 1, 2


class Loaded(Protocol):
    """Untrusted source, compiled."""

    def run(self, function: Declared, columns: Sequence[Sequence[Any]], rows: int) -> Iterable[Any]:
        """The values of the function for all rows, one after the other; raises Failed."""


class Engine(Protocol):
    """What runs untrusted source."""

    def walls(self, chosen: int, cpu: int, memory: int) -> None:
        """Put up the walls, for good."""

    def load(self, source: str, functions: Sequence[Declared]) -> Loaded:
        """Compile the source; raises Failed."""


_engines: list[Engine] = []
_scripts: list[Any] = []


def preload(name: str) -> None:
    """Load the engine and all it will ever import: a worker can open no file."""
    import unicodedata  # noqa: F401 - the compiler wants it for \N{...}

    if name.startswith("script:"):
        _scripts.append(_loaded_script(name.partition(":")[2]))
    elif name == "programs":
        from . import exam, program  # noqa: F401 - the tests' side as well

        program.preload()
    elif name == "monty":
        from .monty import MontyEngine

        _engines.append(MontyEngine())
    else:
        from .restricted import RestrictedEngine

        _engines.append(RestrictedEngine())


def _loaded_script(path: str) -> Any:
    """The module in a file; it imports all that it will ever need."""
    spec = importlib.util.spec_from_file_location("script", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.preload()
    return module


def work(descriptors: Sequence[int], kind: int, chosen: int, cpu: int, memory: int) -> None:
    """Do the job in the first descriptor, answer on the second; called in the child, once."""
    job, reply, *channel = descriptors
    if kind == frames.SERVE:
        _serve(job, channel[0], chosen, cpu, memory)
        return
    if kind in (frames.PROGRAM, frames.EXAM, frames.SCRIPT):
        _work_on_program(job, reply, channel, kind, chosen, cpu, memory)
        return
    os.dup2(job, 198, inheritable=False)
    os.dup2(reply, 199, inheritable=False)
    os.dup2(198, _JOB)
    os.dup2(199, _REPLY)
    # The job is sealed against writing: what goes to standard error goes nowhere.
    os.dup2(198, _ERRORS)
    walls.close_all_but((_JOB, _REPLY, _ERRORS))
    sys.stdin = sys.stdout = sys.stderr = None
    engine = _engines[0]
    if kind == frames.PROBE:
        _write(probes.run(_read(), chosen, cpu, memory))
        return
    try:
        engine.walls(chosen, cpu, memory)
    except Exception as error:  # noqa: BLE001 - whatever it was: without walls nothing runs
        _write(frames.failure_reply("crash", f"the walls cannot be put up: {error}"))
        return
    _write(_answer(engine))


def _serve(job: int, channel: int, chosen: int, cpu: int, memory: int) -> None:
    """Answer lines on the channel, by the script that the zygote has loaded."""
    nowhere = os.dup(1)
    for number, descriptor in enumerate((job, nowhere, channel)):
        os.dup2(descriptor, 190 + number, inheritable=False)
    for number, descriptor in enumerate((190, 191, 191, 192)):
        os.dup2(descriptor, number)
    walls.close_all_but(range(4))
    walls.put_up(chosen, cpu, memory)
    _scripts[0].serve_walled(3)


def _work_on_program(
    job: int, reply: int, channel: Sequence[int], kind: int, chosen: int, cpu: int, memory: int
) -> None:
    """A submitted program, or its tests: what it prints goes to the reply as a script, or away."""
    from . import exam, program

    nowhere = os.dup(1)  # the zygote's own output is the null device
    for number, descriptor in enumerate((job, reply, nowhere, *channel)):
        os.dup2(descriptor, 190 + number, inheritable=False)
    os.dup2(190, _JOB)
    os.dup2(192 if kind == frames.PROGRAM else 191, _REPLY)
    os.dup2(192, _ERRORS)
    if channel:
        os.dup2(193, exam.CHANNEL)
    walls.close_all_but((_JOB, _REPLY, _ERRORS, *([exam.CHANNEL] if channel else [])))
    walls.put_up_program(chosen, cpu, memory)
    asked = frames.decode_job(_read())
    if kind == frames.EXAM:
        exam.run(list(asked.columns[0]), _write)
    elif kind == frames.PROGRAM:
        program.serve(asked.source)
    else:
        size = len(asked.columns[0][0].encode("utf-8", "surrogatepass"))
        os._exit(program.run_script(asked.source, size))


def _answer(engine: Engine) -> bytes:
    try:
        return _do(engine, frames.decode_job(_read()))
    except BaseException as error:  # noqa: BLE001 - an engine's own end is told as well
        return frames.failure_reply(*_told(error))


def _told(error: BaseException) -> tuple[str, str]:
    """The class and message of what ended a job."""
    match error:
        case Failed():
            return error.cls, error.message
        case MemoryError():
            return "oom", "the memory limit was reached"
        case RecursionError():
            return "crash", "RecursionError: the calls nest too deeply"
    return "crash", f"{type(error).__name__}: {error}"


def _do(engine: Engine, asked: frames.Job) -> bytes:
    try:
        functions = Declared.read(asked.source)
    except Undeclared as error:
        raise Failed("compile_error", str(error)) from None
    loaded = engine.load(asked.source, functions)
    if asked.kind == frames.DECLARE:
        return frames.declarations_reply(f.strings for f in functions)
    function = next((f for f in functions if f.name == asked.function), None)
    if function is None:
        raise Failed("compile_error", f"no primitive {asked.function!r} is declared")
    if len(function.params) != len(asked.columns):
        raise Failed(
            "protocol",
            f"{function.name} takes {len(function.params)} columns, not {len(asked.columns)}",
        )
    values = loaded.run(function, asked.columns, asked.rows)
    if asked.kind == frames.ROWS:
        _write_rows(function, values)
        return b""
    return frames.values_reply(function.checked(list(values), asked.rows))


def _write_rows(function: Declared, values: Iterable[Any]) -> None:
    """Answer row by row: nobody waits for a value because a later row takes long."""
    _write(frames.READY)
    try:
        for row, value in enumerate(values):
            _write(frames.row_record(function.value(value, row)))
    except BaseException as error:  # noqa: BLE001 - an engine's own end is told as well
        _write(frames.last_record(*_told(error)))


def _read() -> bytes:
    size = os.lseek(_JOB, 0, os.SEEK_END)
    os.lseek(_JOB, 0, os.SEEK_SET)
    pieces, left = [], size
    while left > 0:
        piece = os.read(_JOB, left)
        if not piece:
            break
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _write(data: bytes) -> None:
    at = 0
    while at < len(data):
        at += os.write(_REPLY, data[at : at + (1 << 16)])
