"""Stand-ins for what lives in the other process, and the talk about them.

Both sides use the same `Peer`. What a stand-in does is asked of the other side, with two
exceptions that keep a program from choosing its own verdict: compared with plain data it is equal
only where it is plain data itself (an object derived from `int`, `tuple` and so on), and no datum
of this side reaches the other through an operator, where it would tell what is expected.
"""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from . import wire
from .wire import Codec, Gone

OPERATIONS: dict[str, Callable[..., Any]] = {
    "call": lambda f, *a, **k: f(*a, **k),
    "getattr": getattr, "setattr": setattr, "delattr": delattr,
    "iter": iter, "next": next, "len": len, "bool": bool, "str": str, "repr": repr,
    "int": int, "float": float, "index": operator.index, "hash": hash, "abs": abs,
    "item": operator.getitem, "set_item": operator.setitem, "del_item": operator.delitem,
    "isinstance": isinstance, "issubclass": issubclass,
    "enter": lambda o: type(o).__enter__(o), "exit": lambda o, *a: type(o).__exit__(o, *a),
    **{n: getattr(operator, n) for n in (
        "eq", "ne", "lt", "le", "gt", "ge", "add", "sub", "mul", "truediv", "floordiv", "mod",
        "pow", "and_", "or_", "xor", "lshift", "rshift", "matmul", "neg", "pos", "invert",
    )},
}  # fmt: skip
_MUTABLE = (list, dict, set, bytearray, deque)
_RESTORED = (*_MUTABLE, tuple)


class Peer:
    """One end of the talk: asks operations of the other side, and serves those it `allows`."""

    def __init__(
        self,
        descriptor: int,
        allows: Callable[[str, list[Any]], bool],
        named: Mapping[str, Any] = wire.NAMED,
    ) -> None:
        self.descriptor = descriptor
        self.allows = allows
        self.codec = Codec(self.stand_in, named)
        self.known: dict[int, Any] = {}
        self.asked = 0
        self.gone = False
        self.stopped = False  # what was asked raised StopIteration, which ends a loop in silence

    def ask(self, name: str, *args: Any, **named: Any) -> Any:
        """The outcome of an operation on the other side; what it raises is raised here."""
        self.asked += 1
        try:
            return self._asked(name, args, named)
        except Gone:
            self.gone = True  # who asks may catch the exception, and it is gone all the same
            raise

    def _asked(self, name: str, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        write = self.codec.write
        by_name = {k: write(v) for k, v in named.items()}
        wire.send(self.descriptor, wire.packed(["ask", name, [*map(write, args)], by_name]))
        answer = self._answer()
        if answer[0] == "raise":
            raised = self._exception(*answer[1:])
            self.stopped |= name != "next" and isinstance(raised, StopIteration)
            raise raised
        value, after = self.codec.read(answer[1]), answer[2]
        if after is not None:
            for old, new in zip([*args, *named.values()], after, strict=True):
                restore(old, self.codec.read(new))
        return value

    def _answer(self) -> list[Any]:
        """The next answer; questions that come before it are served."""
        while True:
            message = wire.receive(self.descriptor)
            match message:
                case ["ask", str(), list(), dict()]:
                    self.serve(*message[1:])
                case ["ok", _, _] | ["raise", list(), str(), _]:
                    return list(message)
                case _:
                    raise Gone

    def serve(self, name: str, args: list[Any], named: dict[str, Any]) -> None:
        """Do what the other side asks, and answer."""
        try:
            given = [*map(self.codec.read, args)]
            by_name = {k: self.codec.read(v) for k, v in named.items()}
            if not self.allows(name, given):
                raise TypeError("this is not for the program to do")
            value = self.codec.write(OPERATIONS[name](*given, **by_name))
            after = self._after([*args, *named.values()], [*given, *by_name.values()])
            answer = wire.packed(["ok", value, after])
        except Gone:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is told
            answer = wire.packed(self._raised(error))
        wire.send(self.descriptor, answer)

    def _after(self, sent: list[Any], given: list[Any]) -> list[Any] | None:
        """The arguments after a call where it changed one of them."""
        if not any(isinstance(v, _RESTORED) for v in given):
            return None
        after = [*map(self.codec.write, given)]
        return after if after != sent else None

    def _raised(self, error: BaseException) -> list[Any]:
        try:
            text = str(error)[:1000]
        except Exception:  # noqa: BLE001 - a message that cannot be made is no message
            text = ""
        try:
            args = self.codec.write(error.args)
            wire.packed(args)
        except Exception:  # noqa: BLE001 - too deep, or changing as it is read
            args = None
        return ["raise", self.codec.ancestors(type(error)), text, args]

    def _exception(self, ancestors: list[Any], text: str, args: Any) -> BaseException:
        kind = self.exception(ancestors)
        values = self.codec.read(args)
        try:
            return kind(*values) if type(values) is tuple else kind(text)
        except Exception:  # noqa: BLE001 - such as UnicodeDecodeError, which takes five
            return RuntimeError(text)

    def exception(self, ancestors: list[Any]) -> type[BaseException]:
        """The class here for an exception class there."""
        if not ancestors:
            raise Gone
        first, *rest = ancestors
        if isinstance(first, str):
            found = wire.NAMED.get(first)
            if not (isinstance(found, type) and issubclass(found, BaseException)):
                raise Gone
            return found
        number, name = first
        if not (isinstance(number, int) and isinstance(name, str)):
            raise Gone
        if not isinstance(self.known.get(number), type):
            base = self.exception(rest)
            # An ending of the interpreter is none of the program's to raise here.
            base = base if issubclass(base, Exception) else Exception
            self.known[number] = type(name, (base,), {"derl_class": number})
        known: type[BaseException] = self.known[number]
        return known

    def stand_in(self, number: int, told: list[Any], codec: Codec) -> Any:
        """What stands here for the object of the other side with this number."""
        kind, *more = told
        if not isinstance(number, int):
            raise Gone
        if kind == "exception":
            if isinstance(more[1][0], str):  # a builtin one goes over by its name
                raise Gone
            return self.exception(more[1])
        if kind == "module":
            return FarModule(self, number, str(more[0]))
        base = codec.read(more[1]) if len(more) > 1 and kind == "object" else None
        return (FarClass if kind == "class" else Far)(self, number, base)


def restore(old: Any, new: Any) -> None:
    """Give a container of this side the contents that it has after a call on the other."""
    if type(old) is not type(new) or not isinstance(old, _RESTORED):
        return
    if isinstance(old, list | tuple | deque) and len(old) == len(new):
        for at, (mine, theirs) in enumerate(zip(old, new, strict=True)):
            if isinstance(mine, _RESTORED) and type(mine) is type(theirs):
                restore(mine, theirs)
            elif not isinstance(old, tuple):
                old[at] = theirs
    elif isinstance(old, list | bytearray):
        old[:] = new
    elif isinstance(old, deque):
        old.clear()
        old.extend(new)
    elif isinstance(old, set | dict):
        if isinstance(old, dict):
            for key in old.keys() & new.keys():  # who holds an inner list sees its change
                if isinstance(old[key], _MUTABLE) and type(old[key]) is type(new[key]):
                    restore(old[key], new[key])
                    new[key] = old[key]
        old.clear()
        old.update(new)


class Far:
    """An object of the other process."""

    __slots__ = ("_derl_base", "_derl_number", "_derl_peer")

    def __init__(self, peer: Peer, number: int, base: Any) -> None:
        object.__setattr__(self, "_derl_peer", peer)
        object.__setattr__(self, "_derl_number", number)
        object.__setattr__(self, "_derl_base", base)

    def derl_handle(self) -> int:
        """Its number."""
        return int(self._derl_number)

    def _derl_do(self, name: str, *args: Any, **named: Any) -> Any:
        return self._derl_peer.ask(name, self, *args, **named)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_derl") or (name.startswith("__") and name != "__name__"):
            raise AttributeError(name)
        return self._derl_do("getattr", name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._derl_do("setattr", name, value)

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Call it there."""
        return self._derl_do("call", *args, **named)

    def __next__(self) -> Any:
        return self._derl_do("next")

    def __iter__(self) -> Any:
        return self._derl_do("iter")

    def __contains__(self, item: Any) -> bool:
        return any(each is item or each == item for each in self)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Far):
            same = self._derl_number == other._derl_number
            return same or self._derl_do("eq", other) is True
        return self._derl_base is not None and bool(self._derl_base == other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._derl_number) if self._derl_base is None else hash(self._derl_base)

    def __bool__(self) -> bool:
        return self._derl_do("bool") is True

    def __enter__(self) -> Any:
        return self._derl_do("enter")

    def __exit__(self, *error: object) -> None:
        self._derl_do("exit", None, None, None)


class FarClass(Far):
    """A class of the other process."""

    __slots__ = ()

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, Far) and self._derl_peer.ask("isinstance", instance, self)


class FarModule(Far):
    """A module that the program has imported."""

    __slots__ = ("_derl_name",)

    def __init__(self, peer: Peer, number: int, name: str) -> None:
        super().__init__(peer, number, None)
        object.__setattr__(self, "_derl_name", name)


def _unary(name: str, kind: type | None = None) -> Callable[[Far], Any]:
    def do(self: Far) -> Any:
        value = self._derl_do(name)
        if kind is not None and type(value) is not kind:
            raise TypeError(f"{name} gave something else")
        return value

    return do


def _binary(name: str, *, reflected: bool = False) -> Callable[[Far, Any], Any]:
    def do(self: Far, other: Any) -> Any:
        if isinstance(other, Far):
            return self._derl_do(name, other)
        if self._derl_base is None:
            return NotImplemented
        pair = (other, self._derl_base) if reflected else (self._derl_base, other)
        return OPERATIONS[name](*pair)

    return do


for _name, _kind in {
    "len": int, "str": str, "repr": str, "int": int, "float": float, "index": int,
    "neg": None, "pos": None, "invert": None, "abs": None,
}.items():  # fmt: skip
    setattr(Far, f"__{_name}__", _unary(_name, _kind))
for _name in ("lt", "le", "gt", "ge"):
    setattr(Far, f"__{_name}__", _binary(_name))
for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and_", "or_", "xor",
              "lshift", "rshift", "matmul"):  # fmt: skip
    setattr(Far, f"__{_name.rstrip('_')}__", _binary(_name))
    setattr(Far, f"__r{_name.rstrip('_')}__", _binary(_name, reflected=True))
for _name, _operation in {"getitem": "item", "setitem": "set_item", "delitem": "del_item"}.items():
    setattr(
        Far,
        f"__{_name}__",
        lambda self, *args, _operation=_operation: self._derl_do(_operation, *args),
    )
