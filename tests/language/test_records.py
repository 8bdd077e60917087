"""A record is what `dataclass(frozen=True, slots=True)` makes of the same lines."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from inspect import signature
from typing import Any, ClassVar

import pytest

from derl_grammar.records import record


def _made(decorate: Any) -> Any:
    class Lines:
        """What both decorators are put on."""

        a: int
        b: str = "x"
        seen: list[int] = field(default_factory=list)
        place: int = field(default=0, compare=False)
        hidden: int = field(default=0, repr=False)
        by_hash: tuple[int, ...] = field(default=(), hash=False)
        named: float = field(default=0.5, kw_only=True)
        fixed: int = field(default=7, init=False)
        later: int = field(init=False)
        KIND: ClassVar[str] = "lines"

        def __post_init__(self) -> None:
            object.__setattr__(self, "later", self.a + 1)

    Lines.__qualname__ = "Lines"
    return decorate(Lines)


Lines = _made(record)
Same = _made(dataclass(frozen=True, slots=True))


@record
class Nothing:
    """No field at all."""


@record
class Base:
    """What another stands on."""

    a: int


@record
class Further(Base):
    """One more field."""

    b: Any = 2


@record
class Own:
    """Says itself what is equal."""

    a: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Own)

    def __hash__(self) -> int:
        return 3

    def __repr__(self) -> str:
        return "own"


CALLS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((1,), {}),
    ((1, "y"), {}),
    ((1,), {"b": "y", "named": 2.0}),
    ((1, "x", (1,), 3, 4, (5,)), {"named": 1.0}),
    ((1,), {"place": 9}),
    ((1,), {"hidden": 9}),
    ((1,), {"seen": (2,), "by_hash": (1,)}),
]


def test_values_texts_and_equality_are_those_of_a_dataclass() -> None:
    for args, names in CALLS:
        ours, theirs = Lines(*args, **names), Same(*args, **names)
        assert repr(ours) == repr(theirs)
        assert asdict(ours) == asdict(theirs)
        for more, called in CALLS:
            again = Lines(*more, **called)
            assert (ours == again) == (theirs == Same(*more, **called))
            assert (ours != again) == (theirs != Same(*more, **called))
    assert Lines(1) != Same(1)
    assert Lines.__match_args__ == Same.__match_args__
    assert list(signature(Lines).parameters) == list(signature(Same).parameters)


def test_hashes_go_by_the_same_fields() -> None:
    assert hash(Lines(1, seen=())) == hash(Lines(1, place=4, by_hash=(1,), seen=()))
    assert hash(Lines(1, seen=())) != hash(Lines(2, seen=()))
    for cls in (Lines, Same):
        with pytest.raises(TypeError, match="unhashable"):
            hash(cls(1))


@pytest.mark.parametrize("args", [(), (1, 2, 3, 4, 5, 6, 7)])
def test_a_call_that_does_not_fit_says_so(args: tuple[int, ...]) -> None:
    for cls in (Lines, Same):
        with pytest.raises(TypeError, match="__init__"):
            cls(*args)
    further: Any = Further
    with pytest.raises(TypeError, match=r"__init__\(\) got an unexpected keyword argument 'c'"):
        further(1, c=2)


def test_a_record_is_frozen_and_has_no_other_fields() -> None:
    ours = Lines(1)
    for name in ("a", "fixed", "new"):
        with pytest.raises(FrozenInstanceError, match=f"cannot assign to field '{name}'"):
            setattr(ours, name, 2)
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'a'"):
        del ours.a
    assert not hasattr(ours, "__dict__")
    assert ours.a == 1


def test_each_has_a_list_of_its_own() -> None:
    assert Lines(1).seen is not Lines(1).seen


def test_copies_and_pickles_are_equal() -> None:
    ours = Further(3, ["z"])
    for again in (copy.copy(ours), copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert again == ours
        with pytest.raises(FrozenInstanceError):
            again.a = 1  # type: ignore[misc]
    assert replace(Further(1), b=5) == Further(1, 5)
    assert asdict(replace(Lines(1), b="z")) == asdict(Lines(1, "z"))


def test_records_stand_on_records() -> None:
    assert [f.name for f in fields(Further)] == ["a", "b"]
    assert Further(1) == Further(1, 2)
    assert Further(1) != Base(1)
    assert {Further(1): "x"}[Further(1, 2)] == "x"
    assert repr(Further(1)) == "Further(a=1, b=2)"
    assert len({Nothing(), Nothing()}) == 1


def test_what_a_class_says_itself_stays() -> None:
    assert Own(1) == Own(2)
    assert hash(Own(1)) == 3
    assert repr(Own(1)) == "own"


def test_a_record_that_holds_itself_is_written_once() -> None:
    held: list[Any] = []
    ours = Further(1, held)
    held.append(ours)
    assert repr(ours) == "Further(a=1, b=[...])"


def test_a_pattern_takes_its_fields_apart() -> None:
    match Further(3, 4):
        case Further(a, b):
            assert (a, b) == (3, 4)
