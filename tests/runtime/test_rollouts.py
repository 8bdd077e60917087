"""Rollouts in parts: every format and packing, parts that end anywhere, bad rows, what is seen."""

import gzip
import json
import os
import random
import subprocess
import sys

import pyarrow as pa
import pyarrow.feather as feather
import pytest

from derl_grammar.types import Bool, List, Number, Text
from derl_runtime.data import DataError, json_rows, read_logs, rollouts, rollouts_of, write_rows
from derl_runtime.data import blocks as sizes
from derl_runtime.reading import ColumnError
from derl_runtime.seen import Keys, Seen, infer_type

ROWS = [
    {"id": "a", "n": 1, "ok": True, "steps": [1.5, 2.0], "text": 'x\ny, "z"'},
    {"id": "a", "n": 2, "ok": False, "steps": [], "text": "é"},
    {"id": "b", "n": None, "ok": None, "steps": None, "text": None},
]
COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}


@pytest.fixture
def small_parts(monkeypatch):
    """Blocks of a few bytes, so that three rows are several parts."""
    for module in (sizes, json_rows, sys.modules["derl_runtime.data.table_rows"]):
        monkeypatch.setattr(module, "BLOCK_BYTES", 40)
    monkeypatch.setattr(sys.modules["derl_runtime.data.table_rows"], "BLOCK_ROWS", 2)


def lines(rows=ROWS) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def zstd(raw: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(raw))


WRITERS = {
    "rows.jsonl": lambda p: p.write_bytes(lines()),
    "rows.jsonl.gz": lambda p: p.write_bytes(gzip.compress(b"\xef\xbb\xbf" + lines())),
    "rows.ndjson.zst": lambda p: p.write_bytes(zstd(lines())),
    "array.json": lambda p: p.write_text(json.dumps(ROWS, indent=1), "utf-8-sig"),
    "array.json.gz": lambda p: p.write_bytes(gzip.compress(json.dumps(ROWS).encode())),
    "rows.parquet": lambda p: write_rows(p, COLUMNS),
    "rows.arrow": lambda p: feather.write_feather(pa.table(COLUMNS), p, chunksize=2),
    "rows.feather": lambda p: feather.write_feather(pa.table(COLUMNS), p),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.usefixtures("small_parts")
def test_every_format_gives_the_same_rows(tmp_path, name):
    WRITERS[name](tmp_path / name)
    rows = rollouts_of(tmp_path / name)
    assert rows.whole() == COLUMNS
    assert (rows.rows, rows.names) == (3, tuple(COLUMNS))
    assert rows.type_of("n") == Number(1, 2)
    assert rows.type_of("steps") == List(Number(1.5, 2))
    assert [rows.type_of(n) for n in ("ok", "text", "none")] == [Bool(), Text(), None]
    assert rows.keys("id").codes().tolist() == [0, 0, 1]
    one = list(rows.parts(["n"]))
    assert [p.first for p in one] == [sum(q.rows for q in one[:k]) for k in range(len(one))]
    assert all(list(p.columns) == ["n"] for p in one)
    assert rows.some([2, 0], ["id", "n"]) == {0: {"id": "a", "n": 1}, 2: {"id": "b", "n": None}}


@pytest.mark.usefixtures("small_parts")
def test_csv(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(
        'id,n,ok,code,text\r\na,1,true,007,"x\ny, ""z"""\r\n\r\na,2.5,False,1.50,é\r\n,,,,\r\n',
        "utf-8-sig",
    )
    assert rollouts_of(path).whole() == {
        "id": ["a", "a", None],
        "n": [1, 2.5, None],
        "ok": [True, False, None],
        "code": ["007", "1.50", None],
        "text": ['x\ny, "z"', "é", None],
    }
    path.write_text("a,b\n1\n2,3\n")
    rows = rollouts_of(path)
    assert rows.whole() == {"a": [2], "b": [3]}
    assert str(rows.bad[0]) == f"{path}:2: has 1 cells, and the header 2; fix or drop the row"
    path.write_text("a,a\n1,2\n")
    with pytest.raises(DataError, match="two columns are named 'a'"):
        rollouts_of(path).whole()


def test_standard_input():
    code = (
        "import sys; from derl_runtime.data import read_rows, rollouts_of;"
        "print(rollouts_of('-').whole() == rollouts_of('-').whole() == eval(sys.argv[1]))"
    )
    for raw in (lines(), zstd(lines()), json.dumps(ROWS).encode()):
        command = [sys.executable, "-c", code, repr(COLUMNS)]
        done = subprocess.run(command, input=raw, capture_output=True, check=True)
        assert done.stdout == b"True\n", done.stderr
    command = [sys.executable, "-c", code, ""]
    done = subprocess.run(command, input=b"a,b\n1,2\n", capture_output=True, check=False)
    assert b"<stdin>: its first bytes are none of a kind that is known" in done.stderr


def test_several_files_folders_and_patterns(tmp_path):
    for k in (10, 9, 1):
        (tmp_path / f"step{k}.jsonl").write_text(f'{{"k": {k}}}\n')
    (tmp_path / "notes.txt").write_text("no data")
    assert rollouts_of(tmp_path).whole() == {"k": [1, 9, 10]}
    assert rollouts_of(str(tmp_path / "step1*.jsonl")).whole() == {"k": [1, 10]}
    assert rollouts_of(str(tmp_path / "**" / "*9*")).whole() == {"k": [9]}
    two = [tmp_path / "step10.jsonl", tmp_path / "step9.jsonl"]
    assert rollouts_of(two).whole() == {"k": [10, 9]}
    with pytest.raises(DataError, match="no data file is named so; check the pattern"):
        rollouts_of(str(tmp_path / "none*.jsonl"))
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(DataError, match="is no regular file"):
        rollouts_of(tmp_path / "pipe.jsonl")


@pytest.mark.usefixtures("small_parts")
def test_bad_rows_are_told_and_left_out(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"n": 1}\n\n{"n": \n{"n": 2}\n[3]\nnull\n{"n": "\xff"}\n{"n": 4}\n')
    rows = rollouts_of(path)
    assert rows.whole() == {"n": [1, 2, 4]}
    assert rows.type_of("n") == Number(1, 4)
    assert [p.line for p in rows.bad] == [3, 5, 6, 7]
    assert rows.bad_rows == 4
    path.write_text('[{"n": 1}, 5, {"n": 2}]')
    path = path.rename(tmp_path / "rows.json")
    rows = rollouts_of(path)
    assert rows.whole() == {"n": [1, 2]}
    assert "rows.json:1: expected a JSON object, found a value" in str(rows.bad[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"a": 1}\n {"a": 2}]', r":2: not valid JSON: expected a comma or \] after a row"),
        ('[{"a": 1},\n]', ":2: not valid JSON: a comma before the end"),
        ('[{"a": 1}]\n x', ":2: not valid JSON: something follows the array"),
        ('[{"a": 1},\n{"a": ', ":2: not valid JSON: Expecting value"),
        ("[" * 100_000, "not valid JSON: nested too deeply"),
        ("[]", "holds no rows"),
    ],
)
def test_broken_arrays(tmp_path, text, message):
    path = tmp_path / "rows.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        rollouts_of(path).whole()


def test_brackets_without_end_do_not_reach_arrow(tmp_path):
    path = tmp_path / "rows.jsonl"
    lists = '{"a": ' + "[" * 50_000 + "]" * 50_000 + "}"
    for deep in (lists, '{"a":' * 50_000 + "1" + "}" * 50_000):
        path.write_text(f'{{"a": 1}}\n{deep}\n')
        rows = rollouts_of(path)
        assert rows.whole() == {"a": [1]}
        assert "nested too deeply" in str(rows.bad[0])


def test_arrow_gives_what_json_gives(tmp_path, monkeypatch):
    """Random lines: what the fast reader takes is to the type what Python's reader makes of it."""
    draw = random.Random(5)
    odd = ["2020-01-01", "2020-01-01 10:00:00", "", "\0", "é", '"\\', "12:30:00", "😀", "null"]
    scalars = [
        lambda: draw.choice(odd),
        lambda: draw.randrange(-5, 5),
        lambda: draw.choice([0.5, -0.0, 1e300, float("nan"), float("inf"), 2**53, 2**70]),
        lambda: draw.random() < 0.5,
        lambda: None,
    ]
    fast, slowly = 0, []
    by_line = json_rows._Lines._by_line
    monkeypatch.setattr(
        json_rows._Lines, "_by_line", lambda self, raw: slowly.append(1) or by_line(self, raw)
    )
    for round_ in range(300):
        kinds = {name: draw.choice(scalars[: 4 + round_ % 2]) for name in "abc"}
        listed = {name: draw.random() < 0.3 for name in "abc"}
        rows = []
        for _ in range(draw.randrange(1, 6)):
            row = {}
            for name, kind in kinds.items():
                one = scalars[-1] if draw.random() < 0.2 else kind
                row[name] = [kind() for _ in range(2)] if listed[name] else one()
            if draw.random() < 0.1:
                row["d"] = {"role": "user"}
            if draw.random() < 0.2:
                del row["a"]
            rows.append(row)
        written = (json.dumps(r, ensure_ascii=draw.random() < 0.5) + "\n" for r in rows)
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(written))
        slow = json_rows._Rows(None)
        for line in path.read_text("utf-8").split("\n"):
            if line:
                slow.add(json.loads(line))
        expected = slow.block().columns
        slowly.clear()
        found = rollouts_of(path).whole()
        fast += not slowly
        assert list(found) == list(expected)
        for name, values in expected.items():
            assert repr(_floats(found[name])) == repr(_floats(values)), path.read_text()
    assert fast > 100


def _floats(values):
    """Numbers as floats: a column of whole numbers and others is one of floats to Arrow."""
    if isinstance(values, list):
        return [_floats(v) for v in values]
    return float(values) if type(values) is int and abs(values) < 2**53 else values


def test_what_is_seen_in_parts_is_what_is_seen_at_once():
    values = [3, None, 2.5, True, float("nan"), -1]
    for cut in range(len(values) + 1):
        seen = Seen()
        for part in (values[:cut], values[cut:]):
            seen.add(part)
        assert seen.type() == infer_type(values) == Number(-1, 3)
    mixed = Seen()
    mixed.add(["x"])
    mixed.add(pa.array([1, 2]))
    assert mixed.type() is None
    lists = Seen()
    lists.add(pa.array([[1, 2], None]))
    lists.add([[0.5], []])
    assert lists.type() == List(Number(0.5, 2))


def test_keys_are_equal_as_in_python():
    keys = Keys("k")
    keys.add([1, "1", 1.0, True, 1.5, ("a", 1)])
    keys.add(pa.array(["1", "b", "1"]))
    keys.add([[{"role": "user"}], [{"role": "user"}]])
    assert keys.codes().tolist() == [0, 1, 0, 0, 2, 3, 1, 4, 1, 5, 5]
    for gap in (None, float("nan")):
        keys = Keys("k")
        keys.add(["a"])
        keys.add(["b", gap])
        with pytest.raises(ColumnError, match=f"but row 2 holds {gap}"):
            keys.codes()


@pytest.mark.usefixtures("small_parts")
def test_conversations_are_seen_in_all_rows(tmp_path):
    said = [{"role": "assistant", "content": "4"}]
    rows = [{"completion": "2"}] * 3 + [{"completion": said}]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines(rows))
    found = read_logs(path)
    assert found["completion"] == ["2", "2", "2", "4"]
    assert found["roles"] == [["assistant"]] * 4
    assert "truncated" not in found
    path.write_bytes(lines([*rows, {"completion": [{**said[0], "finish_reason": "length"}]}]))
    assert read_logs(path)["truncated"] == [None] * 4 + [True]


def test_memory_is_read_as_files_are():
    frames = [COLUMNS, ROWS, pa.table(COLUMNS), pa.RecordBatch.from_pydict(COLUMNS)]
    for data in frames:
        rows = rollouts_of(data)
        assert rows.whole() == COLUMNS
        assert rows.keys("id").codes().tolist() == [0, 0, 1]
    with pytest.raises(ColumnError, match=r"expected a mapping of columns, .* not int"):
        rollouts_of(5)


def test_pandas_frames():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {"n": [1.5, 2.0], "t": ["x", None], "ok": [True, False], "s": [[1, 2], []]}
    )
    frame["k"] = pd.array([1, None], dtype="Int64")
    rows = rollouts_of(frame)
    assert rows.whole() == {
        "n": [1.5, 2.0], "t": ["x", None], "ok": [True, False], "s": [[1, 2], []], "k": [1, None]
    }  # fmt: skip


def test_what_is_in_memory_comes_in_parts_too(monkeypatch):
    columns = {"a": [1, 2, 3, 4, 5], "t": pa.array(["v", "w", None, "y", "z"])}
    expected = {"a": [1, 2, 3, 4, 5], "t": ["v", "w", None, "y", "z"]}
    assert [p.rows for p in rollouts_of(columns).parts()] == [5]
    long = pa.array(["x" * 65_536] * 100)
    assert [p.rows for p in rollouts_of({"t": long}).parts()] == [31, 31, 31, 7]  # 2 MiB
    monkeypatch.setattr(rollouts, "rows_at_once", lambda rows, size: 2)
    rows = rollouts_of(columns)
    assert [(p.first, p.rows) for p in rows.parts()] == [(0, 2), (2, 2), (4, 1)]
    assert rows.whole() == expected
    assert rows.keys("a").codes().tolist() == [0, 1, 2, 3, 4]
    assert rows.some([3], ["t"]) == {3: {"t": "y"}}


def test_keys_of_many_parts_are_numbered_as_they_come():
    draw = random.Random(1)
    values = [draw.choice(["a", "b", 1, 1.0, True, "1", 2.5]) for _ in range(500)]
    keys = Keys("k")
    at = 0
    while at < len(values):
        size = draw.randrange(1, 40)
        keys.add(values[at : at + size])
        at += size
    first = {}
    expected = [first.setdefault(v, len(first)) for v in values]
    assert keys.codes().tolist() == expected
    assert Keys("none").codes().tolist() == []
