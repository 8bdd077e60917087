"""Untrusted primitives that give texts and lists: bounded, plain, held to what they declare."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import derl_dsl
from derl_dsl.elaborate.custom import REGISTRY
from derl_runtime.sandbox import Sandbox
from derl_runtime.sandbox.worker import answers, frames
from derl_runtime.sandbox.worker.outcome import Failed
from tests.hostile.running import raw_zygote

ENGINES = ("restricted", "monty")
SOURCE = """
def last_word(completion: text) -> text:
    words = completion.split()
    return words[-1] if words else ""

def maybe(completion: text) -> text | None:
    return completion if completion else None

def lengths(completion: text) -> list[number[0, 100]]:
    return [len(word) for word in completion.split()]

def pieces(completion: text) -> list[text]:
    return completion.split()

def capitals(completion: text) -> list[bool]:
    return [word == word.upper() for word in completion.split()]
"""
TEXTS = ["so it is ÖL 42", "", "A b C"]


@pytest.fixture(autouse=True)
def none_stays() -> Iterator[None]:
    """Other tests find no primitive of these."""
    yield
    REGISTRY.clear()


def load(tmp_path: Path, source: str, engine: str) -> None:
    REGISTRY.clear()
    file = tmp_path / "own.py"
    file.write_text(source, "utf-8")
    derl_dsl.load_primitives(file, engine=engine, deadline=20.0)


def column(name: str, program: str = "reward = {}") -> tuple[list[float], list[str]]:
    reward = derl_dsl.compile(program.format(name), columns={"completion": "text"})
    score = reward.score({"completion": TEXTS})
    return score.values.tolist(), [f.cls for f in score.faults]


@pytest.mark.parametrize("engine", ENGINES)
def test_texts_and_lists_reach_the_program(engine: str, tmp_path: Path) -> None:
    load(tmp_path, SOURCE, engine)
    assert column('contains(last_word(completion), "2")') == ([1, 0, 0], [])
    assert column('1 if default(maybe(completion), "none") == "none" else 0')[0] == [0, 1, 0]
    assert column("sum(lengths(completion))")[0] == [10, 0, 3]
    assert column("count(pieces(completion))")[0] == [5, 0, 3]
    assert column("count(capitals(completion))")[0] == [5, 0, 3]
    assert column("default(mean(capitals(completion)), 0)")[0] == [0.4, 0, 2 / 3]


# A function, what it declares, and the class in which its rows end.
HOSTILE = {
    "a_number": ("text", "1", "protocol"),
    "a_list": ("text", "[c]", "protocol"),
    "bytes": ("text", "c.encode()", "protocol crash violation"),
    "a_long_text": ("text", '"a" * 100000', "protocol"),
    "many_bytes": ("text", '"é" * 60000', "protocol"),
    "a_tuple": ("list[number]", "(1, 2)", "protocol"),
    "a_text": ("list[text]", "c", "protocol"),
    "a_long_list": ("list[number]", "[1] * 5000", "protocol"),
    "nan": ("list[number]", '[1, float("nan")]', "nonfinite"),
    "infinite": ("list[number]", "[1e308 * 10]", "nonfinite"),
    "beyond_float": ("list[number]", "[10 ** 400]", "nonfinite crash"),
    "nested": ("list[number]", "[[1]]", "protocol"),
    "nested_texts": ("list[text]", "[[c]]", "protocol"),
    "a_text_among_numbers": ("list[number]", '[1, "2"]', "protocol"),
    "a_number_among_bools": ("list[bool]", "[True, 1]", "protocol"),
    "none_among_texts": ("list[text]", "[c, None]", "protocol"),
    "none": ("list[text]", "None", "protocol"),
    "long_texts": ("list[text]", '["a" * 1000] * 100', "protocol"),
    "a_huge_list": ("list[number]", "[0] * 10 ** 9", "oom crash protocol"),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_none_of_it_costs_its_row(engine: str, name: str) -> None:
    returns, given_, classes = HOSTILE[name]
    fine = {"text": "c", "list[number]": "[len(c)]", "list[bool]": "[True]"}.get(returns, "[c]")
    source = (
        f"def f(c: text) -> {returns}:\n"
        f'    if c == "hostile":\n        return {given_}\n    return {fine}\n'
    )
    with Sandbox("standard", engine) as sandbox:
        texts = ["a", "hostile", "bb"]
        found, failures = sandbox.call_rows(source, "f", [texts], 3, 20.0, returns=returns)
        assert [list(f.rows) for f in failures] == [[1]]
        assert failures[0].failure.cls in classes.split()
        assert found[1] is None
        assert found[0] is not None
        assert found[2] is not None


def test_a_lone_surrogate_is_no_text() -> None:
    source = 'def f(c: text) -> list[text]:\n    return ["a", c]\n'
    with Sandbox() as sandbox:
        _, (failure,) = sandbox.call_rows(source, "f", [["\ud800", "b"]], 2, returns="list[text]")
        assert failure.failure.cls == "protocol"
        assert list(failure.rows) == [0]


class _Loud(str):
    """A text that is derived from str."""

    __slots__ = ()


class _Long(list[float]):
    def __len__(self) -> int:
        return 0


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (answers.TEXT, _Loud("a")),
        (answers.TEXTS, [_Loud("a")]),
        (answers.NUMBERS, _Long([1.0] * 9999)),
        (answers.TEXT, b"a"),
    ],
)
def test_only_exact_types_leave_a_worker(kind: bytes, value: object) -> None:
    with pytest.raises(Failed):
        answers.encode(kind, value, "it")


_VALUES = st.one_of(
    st.tuples(st.just(answers.TEXT), st.text(st.characters(codec="utf-8"), max_size=30)),
    st.tuples(st.just(answers.TEXTS), st.lists(st.text(st.characters(codec="utf-8"), max_size=9))),
    st.tuples(st.just(answers.TRUTHS), st.lists(st.booleans())),
    st.tuples(
        st.just(answers.NUMBERS),
        st.lists(st.floats(allow_nan=False, allow_infinity=False)),
    ),
)


@given(st.lists(st.one_of(st.none(), st.floats(-9, 9), _VALUES), max_size=6), st.integers(0, 60))
def test_rows_come_back_however_they_are_cut(
    rows: list[float | tuple[bytes, object] | None], cut: int
) -> None:
    data = b"".join(
        frames.row_record(answers.encode(*r, "it") if isinstance(r, tuple) else r) for r in rows
    )
    first, size, last = frames.read_rows(memoryview(data[:cut]))
    rest, _, other = frames.read_rows(memoryview(data[size:]))
    assert [*first, *rest] == rows
    assert last is other is None


@given(st.binary(max_size=60))
def test_any_bytes_as_rows(data: bytes) -> None:
    try:
        values, size, _ = frames.read_rows(memoryview(data))
    except frames.Malformed:
        return
    assert size <= len(data)
    assert len(values) <= size // 9


# What code that has escaped sends in the name of a function that gives texts.
SENT = {
    "another_kind": frames.row_record(answers.encode(answers.NUMBERS, [1.0], "it")),
    "a_number": frames.row_record(1.0),
    "a_length_without_end": b"\2" + b"\xff" * 8,
    "no_utf8": frames.row_record(b"t\xff"),
    "surplus": frames.row_record(b"T\0\0x"),
    "infinity": frames.row_record(b"N" + b"\0\0\0\0\0\0\xf0\x7f"),
}


@pytest.mark.parametrize("what", SENT)
def test_the_host_believes_no_value(what: str) -> None:
    source = (
        'def f(c: text) -> text:\n    if c == "hostile":\n'
        f"        say(bytes.fromhex({SENT[what].hex()!r}))\n        os._exit(0)\n    return c\n"
    )
    with Sandbox() as sandbox, raw_zygote():
        found, failures = sandbox.call_rows(
            source, "f", [["a", "hostile", "b"]], 3, 20.0, returns="text"
        )
        assert found == ["a", None, "b"]
        assert [(list(f.rows), f.failure.cls) for f in failures] == [([1], "protocol")]


def test_a_batch_holds_so_much() -> None:
    source = 'def f(c: text) -> text:\n    return "a" * 60000\n'
    with Sandbox() as sandbox:
        found, failures = sandbox.call_rows(source, "f", [["a"] * 1400], 1400, 60.0, returns="text")
        assert {f.failure.cls for f in failures} == {"oom"}
        assert 1000 < sum(v is not None for v in found) < 1200
