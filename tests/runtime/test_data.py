"""Data files: what is read, what is refused and with which words, and that writes are whole."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from derl_runtime.data import DataError, DataProblem, read_rows, write_rows


def test_json_lines_become_columns(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"a": 1, "b": "x"}\r\n\n{"a": 2, "c": [1, null]}\n{}\n{"b": "y"}'
    )
    assert read_rows(path) == {
        "a": [1, 2, None, None],
        "b": ["x", None, None, "y"],
        "c": [None, [1, None], None, None],
    }


def test_nan_and_odd_text_are_kept(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text('{"x": NaN, "t": "\\ud800"}\n{"x": -Infinity, "t": "\\u0000"}\n')
    rows = read_rows(str(path))
    assert math.isnan(rows["x"][0])
    assert rows["x"][1] == -math.inf
    assert rows["t"] == ["\ud800", "\0"]


BROKEN = [
    (
        b'{"a": 1}\n{"a": \n',
        ":2: not valid JSON: Expecting value at column 6; fix or drop the line",
    ),
    (b'{"a": 1}\n\n[1]\n', ":3: expected a JSON object, found a list; write one object a line"),
    (b"5\n", ":1: expected a JSON object, found a value; write one object a line"),
    (b'{"a": "\xff"}', ":1: not UTF-8: invalid start byte at byte 8 of the line; save the file"),
    (b'{"a": ' + b"[" * 100_000, ":1: not valid JSON: nested too deeply; fix"),
    (b'{"a": ' + b"9" * 5000 + b"}", ":1: not valid JSON: Exceeds the limit"),
    (b"", ": holds no rows; give at least one row"),
    (b"\n \n", ": holds no rows;"),
    (b"{}\n", ": holds no rows;"),
]


@pytest.mark.parametrize(("content", "message"), BROKEN)
def test_broken_lines_are_named(tmp_path, content, message):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_rows(path)
    assert str(caught.value).startswith(f"{path}{message}")


def test_the_error_carries_its_parts(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("{}\nnull\n")
    with pytest.raises(DataError) as caught:
        read_rows(path)
    assert caught.value.problem == DataProblem(
        str(path), 2, "expected a JSON object, found null", "write one object a line"
    )


def test_files_that_are_none(tmp_path):
    with pytest.raises(DataError, match=r"none\.jsonl: no such file; check the path"):
        read_rows(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match=r"none\.parquet: no such file; check the path"):
        read_rows(tmp_path / "none.parquet")
    with pytest.raises(DataError, match=r"is a directory; use a \.jsonl file"):
        read_rows(tmp_path)
    with pytest.raises(DataError, match=r"rows: no such file; check the path"):
        read_rows(tmp_path / "rows")
    (tmp_path / "rows.txt").write_text("")
    with pytest.raises(DataError, match=r"unknown kind of data file '\.txt'; use a \.jsonl file"):
        read_rows(tmp_path / "rows.txt")


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet"])
def test_no_right_to_read(tmp_path, monkeypatch, name):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    (tmp_path / name).write_bytes(b"{}")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match="permission denied; check that the file can be read"):
        read_rows(tmp_path / name)


def test_parquet_becomes_columns(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": [1, None], "s": [[0.5], []], "t": ["x", "y"]}), path)
    assert read_rows(path) == {"a": [1, None], "s": [[0.5], []], "t": ["x", "y"]}


def test_broken_parquet(tmp_path):
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"PAR1 and then nothing of use PAR1")
    with pytest.raises(DataError, match=r"rows\.parquet: not a readable Parquet file: .+; write"):
        read_rows(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_rows(path)
    whole = tmp_path / "whole.parquet"
    pq.write_table(pa.table({"a": list(range(10_000))}), whole)
    path.write_bytes(whole.read_bytes()[:-20])
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_rows(path)


def test_parquet_without_rows_or_with_a_name_twice(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), path)
    with pytest.raises(DataError, match="holds no rows"):
        read_rows(path)
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), path)
    with pytest.raises(DataError, match="two columns are named 'a'; rename one of them"):
        read_rows(path)


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet"])
def test_what_is_written_reads_back(tmp_path, name):
    columns = {
        "row": np.arange(3),
        "reward": np.array([0.1, np.nan, -2.0]),
        "ok": np.array([True, False, True]),
        "text": ["a\n", "é", None],
        "steps": [[1.0, 0.5], [], None],
    }
    write_rows(tmp_path / name, columns)
    assert read_rows(tmp_path / name) == {
        "row": [0, 1, 2],
        "reward": [0.1, None, -2.0],
        "ok": [True, False, True],
        "text": ["a\n", "é", None],
        "steps": [[1.0, 0.5], [], None],
    }
    assert os.listdir(tmp_path) == [name]


def test_lone_surrogates(tmp_path):
    write_rows(tmp_path / "out.jsonl", {"t": ["\ud800"]})
    assert read_rows(tmp_path / "out.jsonl") == {"t": ["\ud800"]}
    with pytest.raises(DataError, match=r"a lone surrogate\); write \.jsonl"):
        write_rows(tmp_path / "out.parquet", {"t": ["\ud800"]})


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("out.jsonl", [1, math.inf]),
        ("out.jsonl", [1, object()]),
        ("out.parquet", [1, "x"]),
        ("out.parquet", [1, object()]),
    ],
)
def test_a_failed_write_leaves_the_old_file(tmp_path, name, bad):
    path = tmp_path / name
    write_rows(path, {"a": [1, 2]})
    with pytest.raises(DataError, match=r"cannot write: .*; drop the value or the column"):
        write_rows(path, {"a": bad})
    assert read_rows(path) == {"a": [1, 2]}
    assert os.listdir(tmp_path) == [name]


def test_where_nothing_can_be_written(tmp_path):
    for name in ("out.jsonl", "out.parquet"):
        with pytest.raises(DataError, match="cannot write: no such file or directory; check"):
            write_rows(tmp_path / "none" / name, {"a": [1]})
    with pytest.raises(DataError, match=r"unknown kind of data file '\.txt'"):
        write_rows(tmp_path / "out.txt", {"a": [1]})
    with pytest.raises(ValueError, match="columns differ in length"):
        write_rows(tmp_path / "out.jsonl", {"a": [1], "b": []})


def test_reading_streams(tmp_path):
    path = tmp_path / "rows.jsonl"
    row = json.dumps({"completion": "x" * 1000, "ok": True})
    path.write_text((row + "\n") * 5000)
    rows = read_rows(path)
    assert len(rows["completion"]) == len(rows["ok"]) == 5000
