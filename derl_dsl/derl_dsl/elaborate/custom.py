"""Primitives of one's own: trusted Python by decorator, untrusted source by file, sandboxed.

Both are in one registry, and every program of the process may name what is in it.
"""

from __future__ import annotations

import importlib
import keyword
import math
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from os import PathLike
from typing import TYPE_CHECKING, Any, Protocol

from derl_dsl.elaborate.functions import FUNCTIONS
from derl_grammar.records import record
from derl_grammar.settings import read_settings
from derl_grammar.types import Bool, List, Number, Optional, Type, parse_type
from derl_primitives.primitive import Parameter, Primitive
from derl_primitives.primitive import primitive as declare
from derl_primitives.text import TEXT_FUNCTIONS
from derl_runtime.declaration import Declaration
from derl_runtime.files import read_regular
from derl_runtime.sandbox_settings import SandboxSettings

if TYPE_CHECKING:
    from pathlib import Path

    from derl_runtime.sandbox import Sandbox

_RESERVED = frozenset({"reward", "skip", "progress"})
_LARGEST_SOURCE = 16_384


class PrimitiveError(ValueError):
    """A primitive that cannot be used; the message names it, its place and the fix."""


class Origin(Protocol):
    """Where a custom primitive comes from, as another process can find it again."""

    def load(self) -> None:
        """Put the primitive into the registry of this process."""


@record
class Module:
    """A trusted primitive: importing its module registers it."""

    module: str
    name: str

    def load(self) -> None:
        """Import the module; raises PrimitiveError when it does not declare the primitive."""
        if self.name not in REGISTRY:
            try:
                importlib.import_module(self.module)
            except ImportError as error:
                raise PrimitiveError(f"primitive {self.name!r}: {error}") from error
        if self.name not in REGISTRY:
            raise PrimitiveError(
                f"primitive {self.name!r}: the module {self.module!r} does not declare it here; "
                "declare it in a module that this process can import"
            )

    def __str__(self) -> str:
        return f"module {self.module}"


@record
class SourceFile:
    """A file of untrusted source with its declarations, read once and sent along."""

    path: str
    source: str = field(repr=False)
    declared: tuple[Declaration, ...]
    settings: SandboxSettings

    def load(self) -> None:
        """Register the file's primitives without reading it again, once the walls hold here."""
        _walls(self.path, self.settings)
        _register_file(self)

    def __str__(self) -> str:
        return self.path


@record
class Entry:
    """A registered primitive and where it comes from."""

    primitive: Primitive
    origin: Origin


class Registry(dict[str, Entry]):
    """The custom primitives of this process by name; `version` moves with every change."""

    version = 0

    def put(self, entry: Entry) -> None:
        """Register a primitive; one of the same origin is replaced.

        Raises PrimitiveError when the name is taken by something else.
        """
        name = entry.primitive.name
        problem = _taken(name)
        if problem:
            raise PrimitiveError(f"{entry.origin}: {problem}; rename it")
        present = self.get(name)
        if present is not None and str(present.origin) != str(entry.origin):
            raise PrimitiveError(
                f"{entry.origin}: {present.origin} has a primitive {name!r} already; rename one"
            )
        if present != entry or present.primitive.fn != entry.primitive.fn:
            self[name] = entry
            self.version += 1

    def clear(self) -> None:
        """Forget all primitives."""
        super().clear()
        self.version += 1

    def drop(self, origin: str, keep: Sequence[str] = ()) -> None:
        """Forget the primitives of an origin, except those named in `keep`."""
        gone = [n for n, e in self.items() if str(e.origin) == origin and n not in keep]
        for name in gone:
            del self[name]
            self.version += 1


REGISTRY = Registry()


def _taken(name: str) -> str | None:
    """Why a primitive cannot have this name."""
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        return f"{name!r} is no name for a primitive"
    if name in FUNCTIONS or name in TEXT_FUNCTIONS or name in _RESERVED:
        return f"{name!r} is a word of the language"
    return None


def primitive(
    signature: str,
    *,
    cost: str = "scan",
    source: str = "",
    literals: Mapping[str, Callable[[str], str | None]] | None = None,
    default: float | None = None,
    good: bool = False,
    whole: bool = False,
) -> Callable[[Callable[..., Any]], Primitive]:
    """Declare a trusted primitive: `@derl_dsl.primitive("(completion: text) -> number[0, 1]")`.

    The function gets whole columns (texts as lists, numbers as float64 arrays) and returns one
    value a row; equal inputs must give equal values. Every program of the process may then call it
    by the function's name. `cost` is `constant`, `scan`, `parse` or `process`: what the last two
    return is kept by content. `literals` names parameters that a program must write out, with a
    function that says what is wrong with a value. `default` is the value of rows that fail;
    without one they are not applicable. Lints ask whether a better rollout scores higher (`good`)
    and whether all values are whole numbers (`whole`). Raises ValueError when signature, names,
    cost or default do not fit, PrimitiveError (a ValueError) when the name is taken.

    >>> @primitive("(completion: text) -> number[0, 1]")
    ... def politeness(completion):
    ...     "Whether it says please."
    ...     return ["please" in text for text in completion]
    >>> politeness(["please sit", "sit"])
    [True, False]
    >>> REGISTRY.drop("module " + __name__)
    """
    made = declare(signature, cost=cost, source=source, literals=literals, good=good, whole=whole)

    def register(fn: Callable[..., Any]) -> Primitive:
        found = _with_default(made(fn), default)
        REGISTRY.put(Entry(found, Module(_module(fn), found.name)))
        return found

    return register


def _module(fn: Callable[..., Any]) -> str:
    # A spawned process runs the main module under another name.
    name = fn.__module__
    return "__main__" if name == "__mp_main__" else name


def _with_default(found: Primitive, default: float | None) -> Primitive:
    """The primitive with a default that is a value of its type."""
    if default is None:
        return found
    kind = found.returns
    fits = (isinstance(kind, Bool) and default in (0, 1)) or (
        isinstance(kind, Number)
        and math.isfinite(default)
        and kind.lo <= default <= kind.hi
        and (kind.values is None or default in kind.values)
    )
    if not fits:
        hint = "an optional one has none: write default(…) in the program"
        why = hint if isinstance(kind, Optional) else f"it is no value of {kind}"
        why = why if math.isfinite(default) else "it has to be a finite number"
        raise PrimitiveError(f"{found.name}: the default {default:g} does not fit: {why}")
    return replace(found, default=float(default))


def load_primitives(
    path: str | PathLike[str],
    *,
    engine: str = "restricted",
    level: str = "standard",
    deadline: float = 2.0,
    memory: int = 512,
    workers: int = 0,
) -> tuple[Primitive, ...]:
    """Declare the functions of a file of untrusted Python source; they run in the sandbox.

    A function with a typed signature is a primitive of one rollout:
    `def politeness(completion: text) -> number[0, 1]:`, called for each row; it may also give a
    text, or a list of numbers, bools or texts, of 64 KiB and 4,096 items at most. A line
    `default: 0` of its docstring gives the value of rows that fail; without one they are not
    applicable. `engine` is `restricted` or `monty`; `level` says which walls must hold (`strict`,
    `standard`, `reduced`); `deadline` is in seconds a batch, `memory` in megabytes a worker;
    `workers` run at once (0: one a core). Loading a file again replaces what it declared.
    Raises PrimitiveError for a file that cannot be read or used, and for a machine that lacks the
    walls.
    """
    given = {"engine": engine, "level": level, "deadline": deadline, "memory": memory}
    try:
        settings = read_settings(SandboxSettings, {**given, "workers": workers})
    except ValueError as error:
        raise PrimitiveError(f"{path}: {error}") from None
    return load_with(path, settings)


def load_trusted(module: str) -> None:
    """Import a module that declares trusted primitives; PrimitiveError when it cannot be."""
    try:
        importlib.import_module(module)
    except Exception as error:  # a module may raise anything; it is told
        told = f"{type(error).__name__}: {error}"
        raise PrimitiveError(f"trusted module {module!r} cannot be imported: {told}") from error
    if not any(str(entry.origin) == f"module {module}" for entry in REGISTRY.values()):
        fix = "decorate a function with @derl_dsl.primitive"
        raise PrimitiveError(f"trusted module {module!r} declares no primitive; {fix}")


def load_with(
    path: str | PathLike[str], settings: SandboxSettings, copy: Path | None = None
) -> tuple[Primitive, ...]:
    """`load_primitives` with the settings as one value; an unchanged file is not declared again.

    With `copy`, that file is read, and known by the name `path`.
    """
    from pathlib import Path

    path = Path(path)
    source = _read(path if copy is None else copy)
    for entry in REGISTRY.values():
        origin = entry.origin
        same = isinstance(origin, SourceFile) and origin.path == str(path)
        if same and (origin.source, origin.settings) == (source, settings):  # type: ignore[attr-defined]
            return _of(str(path))
    return _register_file(
        SourceFile(str(path), source, _declared(path, source, settings), settings)
    )


def _read(path: Path) -> str:
    try:
        return read_regular(path, _LARGEST_SOURCE).decode("utf-8-sig")
    except OSError as error:
        raise PrimitiveError(f"cannot read {path}: {error.strerror}; check the path") from None
    except UnicodeDecodeError as error:
        raise PrimitiveError(
            f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8"
        ) from None


def _walls(path: str, settings: SandboxSettings) -> Sandbox:
    """The sandbox of these settings; PrimitiveError when the machine lacks walls for it."""
    from derl_runtime.sandbox import Refused
    from derl_runtime.untrusted import sandbox

    try:
        return sandbox(settings)
    except Refused as error:
        raise PrimitiveError(f"{path}: {error}") from None


def _declared(path: Path, source: str, settings: SandboxSettings) -> tuple[Declaration, ...]:
    """What the source declares, found out inside the sandbox."""
    from derl_runtime.sandbox import Failure

    walls = _walls(str(path), settings)
    found = walls.declare(source, str(path))
    if isinstance(found, Failure):
        raise PrimitiveError(found.message)
    end = time.monotonic() + settings.deadline
    for one in found:
        # What the engine does not let pass is told now, not when training has begun; a function
        # that takes its time is left for then.
        left = min(_TRIAL, end - time.monotonic())
        if left <= 0:
            break
        samples = [[_sample(kind)] for _, kind in one.parameters]
        _, failed = walls.call_rows(source, one.name, samples, 1, left, returns=one.returns)
        for failure in (f.failure for f in failed):
            if failure.cls in ("compile_error", "violation"):
                raise PrimitiveError(f"{path}: {one.name}: {failure.message}")
    return found


def _sample(kind: str) -> Any:
    """A value of a declared type, for a first call."""
    return "" if kind == "text" else [] if kind.startswith("list") else 0.0


def _register_file(origin: SourceFile) -> tuple[Primitive, ...]:
    made = [_sandboxed(origin, declared) for declared in origin.declared]
    for one in made:
        REGISTRY.put(Entry(one, origin))
    REGISTRY.drop(origin.path, [p.name for p in made])
    return tuple(made)


def _of(path: str) -> tuple[Primitive, ...]:
    return tuple(e.primitive for e in REGISTRY.values() if str(e.origin) == path)


# Seconds for the first call of a function when its file is loaded.
_TRIAL = 0.25
_DEFAULT = re.compile(r"^[ \t]*default:[ \t]*(\S+)[ \t]*$", re.M)


def _sandboxed(origin: SourceFile, declared: Declaration) -> Primitive:
    import hashlib  # 2 ms that only sandboxed primitives should cost

    from derl_runtime.untrusted import Untrusted

    at = f"{origin.path}: {declared.name}"
    kinds = [(name, _type(kind, at)) for name, kind in declared.parameters]
    returns = _type(declared.returns, at)
    for name, kind in kinds:
        if isinstance(kind, Optional) or (isinstance(kind, List) and isinstance(kind.item, List)):
            raise PrimitiveError(f"{at}: {name} cannot be {kind}")
    told = hashlib.sha256(origin.source.encode()).hexdigest()[:12]
    found = Primitive(
        declared.name,
        tuple(Parameter(name, kind) for name, kind in kinds),
        returns,
        declared.doc or "Untrusted, without a description.",
        "process",
        f"{os.path.basename(origin.path)} {told}, sandboxed",
        Untrusted(origin.source, declared.name, origin.settings, origin.path, declared.returns),
    )
    line = _DEFAULT.search(declared.doc)
    if line is None:
        return found
    try:
        return _with_default(found, float(line[1]))
    except ValueError as error:
        if isinstance(error, PrimitiveError):
            raise PrimitiveError(f"{origin.path}: {error}") from None
        raise PrimitiveError(f"{at}: the default {line[1]!r} is no number") from None


def _type(text: str, where: str) -> Type:
    """A type as it is written in Python: an optional one may be `T | None`."""
    bare = re.sub(r"\s*\|\s*None\s*$", "", text)
    try:
        found = parse_type(bare)
    except ValueError as error:
        raise PrimitiveError(f"{where}: {error}") from None
    return Optional(found) if bare != text and not isinstance(found, Optional) else found


def origins_of(primitives: Sequence[object]) -> tuple[Origin, ...]:
    """The origins of those primitives that are custom ones, each once, in order."""
    found: dict[str, Origin] = {}
    for one in primitives:
        entry = REGISTRY.get(one.name) if isinstance(one, Primitive) else None
        if entry is not None and entry.primitive == one:
            found.setdefault(f"{entry.origin} {entry.primitive.name}", entry.origin)
    return tuple(dict.fromkeys(found.values()))


__all__ = ["PrimitiveError", "load_primitives", "primitive"]
