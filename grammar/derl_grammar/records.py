"""Frozen records: what `dataclass(frozen=True, slots=True)` gives, made in a third of the time.

A command that starts makes sixty of them, and the standard library compiles six methods of each one
by one. Here the three that hang on the fields are compiled together; the others all records share.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from reprlib import recursive_repr
from typing import Any, NoReturn, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(made: type[T]) -> type[T]:
    """A class decorator: frozen, with slots, equal by its fields, for `dataclasses.replace` too."""
    cls: Any = dataclass(init=False, repr=False, eq=False, slots=True)(made)
    own = vars(cls)
    for name, method in {**_compiled(cls, fields(cls)), **_SHARED}.items():
        if own.get(name) is None:  # where a class says its __eq__, Python says __hash__ = None
            setattr(cls, name, method)
    return cls  # type: ignore[no-any-return]


def _compiled(cls: Any, has: tuple[Field[Any], ...]) -> dict[str, Any]:
    """`__init__`, `__eq__` and `__hash__` of these fields."""
    known: dict[str, Any] = {"MISSING": MISSING}
    plain, by_name, body = ["self"], list[str](), list[str]()
    for f in has:
        name = value = parameter = f.name
        if f.default_factory is not MISSING:
            known[f"make_{name}"] = f.default_factory
            parameter = f"{name}=MISSING"
            value = f"make_{name}()" + f" if {name} is MISSING else {name}" * f.init
        elif f.default is not MISSING:
            known[f"default_{name}"] = f.default
            parameter = f"{name}=default_{name}"
            value = name if f.init else f"default_{name}"
        if f.init:
            (by_name if f.kw_only else plain).append(parameter)
        if f.init or value != name:  # else __post_init__ sets it
            # What is frozen cannot be set by name, but by the descriptor of its slot.
            known[f"set_{name}"] = getattr(cls, name).__set__
            body.append(f" set_{name}(self, {value})")
    if hasattr(cls, "__post_init__"):
        body.append(" self.__post_init__()")
    compared = [f for f in has if f.compare]
    ours, theirs, hashed = (
        "".join(f"{who}.{f.name}," for f in which)
        for who, which in (
            ("self", compared),
            ("other", compared),
            ("self", [f for f in has if (f.compare if f.hash is None else f.hash)]),
        )
    )
    parameters = ", ".join([*plain, *(["*", *by_name] if by_name else [])])
    exec(
        "\n".join(
            [
                f"def __init__({parameters}):",
                *body,
                " return None",
                "def __eq__(self, other):",
                " if other.__class__ is not self.__class__: return NotImplemented",
                f" return ({ours}) == ({theirs})",
                f"def __hash__(self): return hash(({hashed}))",
            ]
        ),
        known,
    )
    known["__init__"].__annotations__ = {f.name: f.type for f in has if f.init}
    methods = {name: known[name] for name in ("__init__", "__eq__", "__hash__")}
    for name, method in methods.items():
        method.__qualname__ = f"{cls.__qualname__}.{name}"
        method.__module__ = cls.__module__
    return methods


@recursive_repr()
def _repr(self: Any) -> str:
    values = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr)
    return f"{self.__class__.__qualname__}({values})"


def _no_setting(self: Any, name: str, value: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _no_deleting(self: Any, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, f.name) for f in fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for f, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, f.name, value)


_SHARED = {
    "__repr__": _repr,
    "__setattr__": _no_setting,
    "__delattr__": _no_deleting,
    "__getstate__": _state,
    "__setstate__": _set_state,
}
