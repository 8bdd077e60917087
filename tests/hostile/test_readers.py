"""What is too deep, too large or of another kind ends in one message; the other rows are scored."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import derl_dsl
from derl_dsl.cli.formats import _uri
from derl_dsl.tools.lsp.server import server
from derl_dsl.tools.project import ProjectError, find_project
from derl_dsl.tools.testing.cases import TestFileError, read_tests
from derl_primitives.schema import schema_problem
from derl_runtime.data import DataError, read_logs, read_rows, rollouts_of
from derl_runtime.files import write_whole
from derl_runtime.reading import LONGEST_LIST
from derl_runtime.sandbox import Sandbox, SandboxLimits
from derl_runtime.sandbox.worker import frames
from derl_trainers.reading import ConfigError
from derl_trainers.settings.run import load_config, parse_config
from derl_trainers.settings.train import parse_set

DEEP = "[" * 100_000
ONE = "def f(c: text) -> number:\n    return 1\n"


def test_toml_nested_too_deeply_is_one_message(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(f"a = {DEEP}")
    (tmp_path / "pyproject.toml").write_text(f"[tool.derl]\na = {DEEP}")
    with pytest.raises(ConfigError, match="nested too deeply"):
        load_config(file)
    with pytest.raises(ConfigError, match="nested too deeply"):
        parse_set(f"a.b={DEEP}")
    with pytest.raises(TestFileError, match="nested too deeply"):
        read_tests("a.test.derl", f"a = {DEEP}")
    with pytest.raises(ProjectError, match="nested too deeply"):
        find_project(tmp_path)


@pytest.mark.parametrize("text", [DEEP, f'{{"a": {DEEP}', '{"a":' * 100_000])
def test_json_nested_too_deeply_is_one_message(text: str, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"completion": "a"}\n' + text + "\n")
    with pytest.raises(DataError, match=r"a\.jsonl:2: not valid JSON"):
        read_rows(file)


# Arrow's reader dies of a null where the first object belongs; the process must not.
@pytest.mark.parametrize("first", ["null", "null, NaN]}", "nullx", " null", "\n\nnull", "null{}"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.jsonl.gz"])
def test_a_null_for_a_row_is_one_message(first: str, name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    text = f'{first}\n{{"completion": "a"}}\n'.encode()
    file.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    script = (
        "import sys; from pathlib import Path; from derl_runtime.data import DataError, read_rows\n"
        "try: read_rows(Path(sys.argv[1]))\n"
        "except DataError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(file)], capture_output=True, text=True, check=True
    )
    assert re.search(r"a\.json\S*:\d: (expected a JSON object|not valid JSON)", done.stdout)


@pytest.mark.parametrize("rows", ["[null]", '[null, {"a": 1}]', '[{"a": 1}, null]'])
def test_a_null_in_an_array_is_one_message(rows: str, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(rows)
    with pytest.raises(DataError, match="expected a JSON object"):
        read_rows(file)


@pytest.mark.parametrize(
    "schema", [DEEP, '{"not":' * 900 + "{}" + "}" * 900, '{"enum":[' * 50 + "]}" * 50]
)
def test_a_schema_nested_too_deeply_is_one_message(schema: str) -> None:
    assert schema_problem(schema) == "the schema is nested more than 32 deep"


NO_TYPES = ("list[" * 100_000, "list[" * 20_000 + "text" + "]" * 20_000, "number{0, nan}",
            "number{inf}", "number[nan, 1]", "number[" + "9" * 5000)  # fmt: skip


@pytest.mark.parametrize("name", NO_TYPES)
def test_a_type_that_is_none_is_one_message(name: str) -> None:
    for text, columns in (("1 * x", {"x": name}), (f"# column: x: {name}\nreward = x", None)):
        with pytest.raises(ValueError, match="cannot read type") as error:
            derl_dsl.check(text, columns=columns)
        assert len(str(error.value)) < 500


def test_what_python_has_no_kind_for_is_no_value(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    odd = {
        "zone": pa.array([1, 2], pa.timestamp("us", "No/Such")),
        "year": pa.array([2**60, 0], pa.timestamp("us")),
        "days": pa.array([2**31 - 1, 0], pa.date32()),
        "length": pa.array([2**62, 0], pa.duration("s")),
    }
    pq.write_table(pa.table({"completion": ["a", "b"], **odd}), file)
    rows = read_rows(file)
    assert rows["completion"] == ["a", "b"]
    assert rows["zone"] == [None, None]
    assert [rows[name][0] for name in odd] == [None] * 4
    assert rows["length"][1] == timedelta(0)
    r = derl_dsl.compile("1 * chars(completion)", "math", {"completion": "text"})
    assert r.score(pq.read_table(file)).values.tolist() == [1, 1]
    found = rollouts_of(file).some([1])
    assert found[1]["zone"] is None


def test_a_deadline_of_thirty_years() -> None:
    with Sandbox() as sandbox:
        values, failures = sandbox.call_rows(ONE, "f", [["a"]], 1, 1e9)
        assert (values.tolist(), failures) == ([1.0], ())
        assert np.asarray(sandbox.call(ONE, "f", [["a"]], 1, 1e9)).tolist() == [1.0]
    with pytest.raises(ValueError, match="the limit deadline has to be at most"):
        SandboxLimits(deadline=1e9)


@pytest.mark.parametrize("value", [10**400, -(10**400)])
def test_a_number_beyond_float64_costs_its_row(value: int) -> None:
    r = derl_dsl.compile("1 * x", columns={"x": "number"})
    found = r.score({"x": [1, value, 2]})
    assert np.isnan(found.values).tolist() == [False, True, False]
    assert [(f.kind, f.rows) for f in found.faults] == [("nonfinite", (1,))]
    r = derl_dsl.compile("mean(x)", columns={"x": "list[number[0, 1]]"})
    for odd in ([value], [0.5, value, "a"]):
        found = r.score({"x": [[1], odd, [0.5]]})
        assert np.isnan(found.values).tolist() == [False, True, False]
        assert [(f.kind, f.rows) for f in found.faults] == [("out_of_range", (1,))]


def test_a_list_of_more_than_a_million_steps_costs_its_row() -> None:
    r = derl_dsl.compile("mean(x)", columns={"x": "list[number[0, 1]]"})
    found = r.score({"x": [[1.0], np.zeros(LONGEST_LIST + 1), [0.5]]})
    assert np.isnan(found.values).tolist() == [False, True, False]
    (fault,) = found.faults
    assert fault.message == "a list has more than 1,000,000 values"


def test_a_row_that_is_no_text_is_told_once() -> None:
    r = derl_dsl.compile("1 * contains(c, 'a')", columns={"c": "text"})
    found = r.score({"c": ["a", b"a", None, object(), "b"]})
    assert [(f.kind, f.rows) for f in found.faults] == [("out_of_range", (1, 3)), ("missing", (2,))]
    assert np.isnan(found.values).tolist() == [False, True, True, True, False]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_file_name_that_is_no_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"a\xff.derl")
    assert _uri(name) == "a%FF.derl"
    assert _uri(str(tmp_path / name)).endswith("/a%FF.derl")
    data = tmp_path / os.fsdecode(b"d\xff.jsonl")
    data.write_text('{"completion": "a"}\n')
    assert read_rows(data) == {"completion": ["a"]}


@pytest.mark.parametrize("data", [b"\xff", b"\0\0\0\xff", b"DERL" + b"\xff" * 40])
def test_a_job_that_is_none(data: bytes) -> None:
    with pytest.raises(frames.Malformed):
        frames.decode_job(data)


# Found by the fuzzer.
TRACES = [
    {"task": 1, "nodes": [1, {"sampled": 1, "message": 2}], "rewards": {"r": {"score": 1}}},
    {"task": {"data": []}, "nodes": {}, "rewards": [1], "metrics": 3, "stop_condition": []},
    {"task": None, "nodes": None, "rewards": {"r": {"score": "1", "weight": 2}, "s": None}},
    {"task": {}, "traces": [1, None, {"rewards": {"r": {"score": 1, "weight": 2}}}]},
]


@pytest.mark.parametrize("trace", TRACES)
def test_a_trace_of_another_shape_holds_less(trace: dict[str, object], tmp_path: Path) -> None:
    file = tmp_path / "traces.jsonl"
    file.write_text(json.dumps(trace) + "\n")
    assert "completion" in read_logs(file)


def test_a_message_about_a_file_that_is_not_open() -> None:
    from pygls.exceptions import JsonRpcInvalidParams
    from pygls.workspace import Workspace

    server.protocol._workspace = Workspace(None)
    with pytest.raises(JsonRpcInvalidParams, match="is not open"):
        server.document("file:///no/such/file.derl")


def test_an_editor_gets_an_answer_to_each_request() -> None:
    def framed(message: dict[str, object]) -> bytes:
        body = json.dumps(message | {"jsonrpc": "2.0"}).encode()
        return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)

    odd = [
        {"textDocument": {"uri": "file:///a.derl"}, "position": {"line": -1, "character": -5}},
        {"textDocument": [], "position": None},
        [[[[]]]],
        "x",
        None,
    ]
    messages = [
        {"id": 0, "method": "initialize", "params": {"capabilities": {}}},
        *({"id": k, "method": "textDocument/hover", "params": p} for k, p in enumerate(odd, 1)),
        {"id": "last", "method": "shutdown"},
        {"method": "exit"},
    ]
    done = subprocess.run(
        [sys.executable, "-m", "derl_dsl", "lsp"], input=b"".join(map(framed, messages)),
        capture_output=True, timeout=300, check=False,
    )  # fmt: skip
    answered = re.findall(r'"id":\s*("last"|\d+)', done.stdout.decode())
    assert sorted(answered) == ['"last"', "0", "1", "2", "3", "4", "5"]


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "HOME", "A_DERL_KEY", "GITHUB_TOKEN"])
def test_a_config_sends_no_other_variable_to_an_endpoint(name: str) -> None:
    with pytest.raises(ConfigError, match="key_variable: expected one of OPENAI_API_KEY"):
        parse_config({"proposer": {"prompted": {"key_variable": name}}})
    parse_config({"proposer": {"prompted": {"key_variable": "DERL_KEY"}}})


def test_a_file_is_written_whole_and_follows_no_planted_link(tmp_path: Path) -> None:
    kept, file = tmp_path / "kept", tmp_path / "a.txt"
    kept.write_text("kept")
    (tmp_path / f".a.txt.{os.getpid()}.part").symlink_to(kept)
    write_whole(file, "a\ud800")
    assert (file.read_text(), kept.read_text()) == ("a?", "kept")
    file.chmod(0o600)
    link = tmp_path / "link"
    link.symlink_to(file)
    write_whole(link, "b")
    assert link.is_symlink()
    assert file.read_text() == "b"
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt", "kept", "link"]
    write_whole("/dev/null", "c")
    with pytest.raises(OSError, match="directory"):
        write_whole(tmp_path, "d")


def test_long_json_costs_no_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from derl_primitives import schema

    pytest.importorskip("jsonschema")
    long = "[" + ",".join(["1"] * 30_000) + "]"
    texts = [long if k % 2 else "[1]" for k in range(6)] + ["[" + "1," * 50_000 + "1]"]
    monkeypatch.setattr(schema, "_BATCH", 0.01)
    monkeypatch.setattr(schema, "_ROW", 0.0)
    r = derl_dsl.compile(
        """1 * fits_schema(c, '{"items": {"type": "number"}}')""", "json", {"c": "text"}
    )
    found = r.score({"c": texts})
    assert found.values[::2].tolist() == [1.0, 1.0, 1.0, 0.0]
    assert found.values[3:6:2].tolist() == [0.0, 0.0]
    assert [(f.kind, f.rows[-1]) for f in found.faults] == [("timeout", 6)]


# Of 65,535 characters, and each takes one to three seconds.
LONG_JSON = {
    "alternatives": ('{"items":{"anyOf":[' + '{"type":"null"},' * 13 + "{}]}}", "1"),
    "negations": ('{"items":' + '{"not":' * 28 + '{"type":"null"}' + "}" * 29, "null"),
}


@pytest.mark.parametrize("name", LONG_JSON)
def test_one_long_json_has_the_deadline_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from derl_primitives import schema

    pytest.importorskip("jsonschema")
    held, item = LONG_JSON[name]
    text = f"[{item}{f',{item}' * (65_533 // (len(item) + 1) - 1)}]"
    monkeypatch.setattr(schema, "_BATCH", 0.05)
    r = derl_dsl.compile(f"1 * fits_schema(c, '{held}')", "json", {"c": "text"})
    found = r.score({"c": [f"[{item}]", text]})
    assert found.values.tolist() == [1.0, 0.0]
    assert [(f.kind, f.rows) for f in found.faults] == [("timeout", (1,))]
