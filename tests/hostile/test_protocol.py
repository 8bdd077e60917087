"""Whatever bytes a worker sends, the host takes exact replies and nothing else."""

from __future__ import annotations

import contextlib
import random
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from derl_grammar.types import parse_type
from derl_runtime.declaration import Declaration
from derl_runtime.sandbox import FAILURES, Failure, Sandbox
from derl_runtime.sandbox.encode import encode_call
from derl_runtime.sandbox.host import _declarations, _values
from derl_runtime.sandbox.worker import frames
from tests.hostile.running import raw_zygote

ROWS = 3
GOOD = frames.values_reply([0.5, None, -2.0])
FAILED = frames.failure_reply("crash", "it broke")
DECLARED = frames.declarations_reply([["f", "number[0, 1]", "Doc.", "c", "text"]])
SEEDS = (GOOD, FAILED, DECLARED, b"")


def check_values(data: bytes) -> None:
    """Values for the rows that are finite or absent, or a failure that can be printed."""
    got = _values(data, ROWS)
    if isinstance(got, Failure):
        assert got.cls in FAILURES
        assert got.message.isprintable()
        assert len(got.message) <= 400
    else:
        assert got.shape == (ROWS,)
        assert not np.isinf(got).any()
        assert list(np.isnan(got)) == [b == 1 for b in data[-ROWS:]]


def check_declarations(data: bytes) -> None:
    got = _declarations(data, "x")
    if isinstance(got, Failure):
        assert got.message.isprintable()
        return
    for each in got:
        assert isinstance(each, Declaration)
        assert each.name.isidentifier()
        for kind in (each.returns, *(t for _, t in each.parameters)):
            parse_type(kind)


def mutate(rng: random.Random, data: bytes) -> bytes:
    """Bytes near a good reply, or far from any."""
    out = bytearray(data)
    for _ in range(rng.randint(0, 4)):
        kind = rng.randrange(5)
        at = rng.randrange(len(out) + 1)
        if kind == 0:
            out[at:at] = rng.randbytes(rng.randint(1, 9))
        elif kind == 1 and out:
            del out[at : at + rng.randint(1, 9)]
        elif kind == 2 and at < len(out):
            out[at] = rng.randrange(256)
        elif kind == 3 and len(out) >= 5:
            struct.pack_into("<BI", out, 0, rng.randrange(10), rng.choice([0, 1, ROWS, 1 << 31]))
        elif kind == 4 and len(out) >= 13:
            special = rng.choice([0x7FF0 << 48, 0x7FF8 << 48, 0xFFF0 << 48, 1])
            struct.pack_into("<Q", out, 5, special)
    return bytes(out)


def fuzz(cases: int, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(cases):
        data = mutate(rng, rng.choice(SEEDS)) if rng.random() < 0.9 else rng.randbytes(40)
        check_values(data)
        check_declarations(data)


def test_good_replies_are_read() -> None:
    assert np.array_equal(_values(GOOD, ROWS), [0.5, np.nan, -2.0], equal_nan=True)
    assert _values(FAILED, ROWS) == Failure("crash", "it broke")
    assert _declarations(DECLARED, "x") == (
        Declaration("f", (("c", "text"),), "number[0, 1]", "Doc."),
    )


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    check_values(data)
    check_declarations(data)


@given(st.integers(0, 9), st.integers(0, 2**32 - 1), st.binary(max_size=80))
def test_any_body_behind_a_header(status: int, count: int, body: bytes) -> None:
    check_values(struct.pack("<BI", status, count) + body)
    check_declarations(struct.pack("<BI", status, count) + body)


@given(
    st.lists(
        st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
        min_size=ROWS,
        max_size=ROWS,
    )
)
def test_values_come_back(values: list[float | None]) -> None:
    got = _values(frames.values_reply(values), ROWS)
    assert [None if v != v else v for v in got] == values


@given(st.sampled_from(sorted(frames.FAILURES.values())), st.text())
def test_failures_come_back_printable(cls: str, message: str) -> None:
    reply = frames.failure_reply(cls, message)
    assert len(reply) <= frames.longest_reply(frames.CALL, 1)
    got = _values(reply, ROWS)
    assert isinstance(got, Failure)
    assert got.cls == cls
    assert got.message.isprintable()


_TEXT = st.text(st.characters(codec=None), max_size=20)


@given(
    st.lists(st.one_of(st.none(), _TEXT), min_size=1, max_size=5),
    st.lists(st.floats(), min_size=5, max_size=5),
    st.lists(st.one_of(st.none(), st.lists(_TEXT, max_size=3)), min_size=5, max_size=5),
)
def test_columns_come_back(
    texts: list[str | None], numbers: list[float], lists: list[list[str] | None]
) -> None:
    rows = len(texts)
    columns = [texts, numbers[:rows], lists[:rows]]
    job = frames.decode_job(b"".join(encode_call("source", "f", columns, rows)))
    assert (job.source, job.function, job.rows) == ("source", "f", rows)
    assert list(job.columns[0]) == texts
    assert list(job.columns[1]) == [None if n != n else n for n in numbers[:rows]]
    assert list(job.columns[2]) == lists[:rows]


@given(st.binary(max_size=100))
def test_any_bytes_as_a_job(data: bytes) -> None:
    with contextlib.suppress(frames.Malformed, UnicodeDecodeError):
        frames.decode_job(data)


def test_fuzz() -> None:
    fuzz(20_000, seed=1)


@pytest.mark.slow
def test_fuzz_a_million() -> None:
    fuzz(1_000_000, seed=2)


_SENDER = "def f(c: text) -> number:\n    say(bytes.fromhex(c))\n    os._exit(0)\n"


def _through_processes(cases: int) -> None:
    rng = random.Random(3)
    with Sandbox() as sandbox, raw_zygote():
        for _ in range(cases):
            data = mutate(rng, rng.choice(SEEDS))
            got = sandbox.call(_SENDER, "f", [[data.hex()] * ROWS], ROWS)
            alone = _values(data, ROWS)
            if isinstance(alone, Failure):
                assert isinstance(got, Failure)
                assert got.cls == alone.cls
            else:
                assert np.array_equal(got, alone, equal_nan=True)


def test_fuzz_through_processes() -> None:
    _through_processes(100)


@pytest.mark.slow
def test_fuzz_through_thousands_of_processes() -> None:
    _through_processes(5000)
