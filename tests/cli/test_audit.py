"""`derl-dsl audit` and `check --data`: what they print, the page they write, their exit codes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from derl_dsl.cli.audit import audit_command
from derl_dsl.cli.check import check_command
from derl_runtime.data import write_rows

HOSTILE = "</pre><script>alert(1)</script>\x1b[2J\u202e<img src=x onerror=alert(1)> &amp; \ud800"
ROWS = {
    "problem_id": [1, 1, 2, 2],
    "completion": ["#### 7", "a " * 190 + "#### 8", "so it is #### 5", HOSTILE],
    "answer": ["7", "7", "5", "5"],
    "is_correct": [True, False, True, False],
}
LONG = "0.2*exact(completion, answer) + 0.8*clip(words(completion)/200, 0, 1)"
SAFE = "exact(completion, answer)"


@pytest.fixture
def data(tmp_path) -> Path:
    path = tmp_path / "rows.jsonl"
    write_rows(path, ROWS)
    return path


def run(command, *args: object, columns: int = 80, stdin: str | None = None):
    app = typer.Typer()
    app.command()(command)
    env = {"COLUMNS": str(columns)}
    return CliRunner().invoke(app, [str(a) for a in args], input=stdin, env=env)


def audited(text: str, data: Path, *args: object, **given):
    return run(
        *(audit_command, "-e", text, "--suite", "math", "--data", data, "--outcome", "is_correct"),
        *args,
        **given,
    )


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_text_says_the_verdicts_first_and_fits(data, columns):
    result = audited(LONG, data, columns=columns)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= min(columns, 100)
    table = next(i for i, line in enumerate(lines) if line.startswith("verdict"))
    assert lines[table + 1].split()[:2] == ["bad", "DRL606"]
    assert "2 groups by problem_id, outcome is_correct" in " ".join(lines[:table])
    assert "wrong row 1 scores" in result.stdout
    assert re.search(r"\d bad, \d to look at, \d+ ok; rows count from 0", lines[-1])


def test_nothing_bad_exits_0(data):
    result = audited(SAFE, data)
    assert result.exit_code == 0, result.output
    assert "0 bad" in result.stdout


def test_completions_reach_the_terminal_as_escapes(tmp_path):
    rows = {**ROWS, "completion": ["x", HOSTILE + " word" * 200, "#### 5", "y"]}
    data = tmp_path / "rows.jsonl"
    write_rows(data, rows)
    shown = audited(LONG, data, columns=100).stdout
    assert "</pre><script>" in shown
    assert "\\x1b[2J" in shown
    assert all(c.isprintable() or c == "\n" for c in shown)


def test_json_is_stable(data):
    result = audited(LONG, data, "--format", "json")
    assert result.exit_code == 1
    record = json.loads(result.stdout)
    assert list(record) == [
        *("schema", "path", "data", "reward", "suite", "rows", "outcome", "group", "groups"),
        *("ok", "findings", "pairs", "components"),
    ]
    first = record["findings"][0]
    assert list(first) == [
        *("code", "title", "verdict", "subject", "figure", "shown", "threshold", "limit"),
        *("message", "rows", "count", "severity", "fix"),
    ]
    assert (first["code"], first["severity"], first["figure"]) == ("DRL606", "error", 0.5)
    (pair,) = record["pairs"]
    assert list(pair) == ["group", "right", "wrong"]
    assert (pair["group"], pair["wrong"]["row"], pair["right"]["row"]) == ("1", 1, 0)
    assert pair["wrong"]["components"] == {
        "exact(completion, answer)": 0,
        "words(completion)": 192,
    }
    assert record["ok"] is False
    assert [c["name"] for c in record["components"]][-1] == "reward"


class Page(HTMLParser):
    """The tags of a page and its visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []
        self.values: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.values += [f"{k}={v}" for k, v in attrs]

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_is_self_contained_and_escapes_what_it_shows(tmp_path):
    rows = {**ROWS, "completion": ["x", HOSTILE + " word" * 200, "#### 5", "y"]}
    data, out = tmp_path / "rows.jsonl", tmp_path / "page.html"
    write_rows(data, rows)
    result = audited(LONG, data, "--html", out)
    assert result.exit_code == 1
    assert f"wrote {out}" in result.stdout.replace("\n", "")
    text = out.read_text("utf-8")
    page = Page(text)
    assert not {"script", "img", "link", "iframe", "object", "form"} & set(page.tags)
    assert page.tags.count("svg") == 4, "two inputs, the reward, and the reward over length"
    assert not any(re.match(r"(on\w+|src|href|style)=", value) for value in page.values)
    assert "url(" not in text
    assert "http:" not in text
    assert "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text
    for verdict in ("bad", "look", "ok"):
        assert f".{verdict} .badge {{ color: var(--{verdict}); }}" in text
    shown = "".join(page.words)
    assert "</pre><script>alert(1)</script>\\x1b[2J\\u202e<img" in shown
    assert not {"\x1b", "\u202e"} & set(text)
    assert "wrong outscores right" in shown


def test_the_page_names_a_hostile_group_and_program_safely(tmp_path):
    data, out = tmp_path / "rows.jsonl", tmp_path / "page.html"
    write_rows(data, {"p": ["<b>x</b>"] * 2 + ["y"] * 2, "ok": [1, 0, 1, 0], "s": [0, 1, 0, 1]})
    args = ("--data", data, "--outcome", "ok", "--group", "p", "--html", out)
    result = run(audit_command, "-", *args, stdin="# <script>x</script>\nreward = s + 0.1\n")
    assert result.exit_code == 1, result.output
    page = Page(out.read_text("utf-8"))
    assert "script" not in page.tags
    assert "# <script>x</script>\nreward = s + 0.1" in "".join(page.words)
    assert "<b>x</b>" in "".join(page.words)


def test_parquet_and_a_reward_file_with_its_suite(tmp_path):
    data = tmp_path / "rows.parquet"
    write_rows(data, {**ROWS, "completion": [*ROWS["completion"][:3], "y"]})
    file = tmp_path / "reward.derl"
    file.write_text("# suite: math\nreward = exact(completion, answer)\n")
    result = run(audit_command, file, "--data", data, "--format", "json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert (record["path"], record["outcome"]) == (str(file), "correct(completion, answer)")


def test_a_reward_with_errors_exits_1(data):
    result = audited("exact(completion)", data)
    assert result.exit_code == 1
    assert "DRL106" in result.stderr


BAD_INPUT = [
    (("-e", SAFE, "--data", "none.jsonl"), "none.jsonl: no such file"),
    (("-e", SAFE), "--data"),
    (("--data", "rows.jsonl"), "give the reward either as a file or with -e TEXT"),
    (("-e", SAFE, "--data", "rows.jsonl", "--group", "idd"), "column 'idd' is missing"),
    (("-e", SAFE, "--data", "rows.jsonl", "--outcome", "nope"), "the outcome 'nope' cannot be"),
    (("-e", SAFE, "--data", "rows.jsonl", "--outcome", "problem_id"), "row 2 holds 2"),
    (("-e", SAFE, "--data", "rows.jsonl", "--html", "no/x.html"), "no/x.html: cannot write"),
    (("-e", SAFE, "--data", "rows.jsonl", "--suite", "mth"), "did you mean 'math'?"),
]


@pytest.mark.parametrize(("args", "message"), BAD_INPUT)
def test_bad_input_is_one_clear_message(data, monkeypatch, args, message):
    monkeypatch.chdir(data.parent)
    suite = () if "--suite" in args else ("--suite", "math")
    result = run(audit_command, *args, *suite)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""


def test_check_data_adds_its_findings(data):
    args = (check_command, "--suite", "math", "--data", data)
    result = run(*args, "-e", SAFE)
    assert result.exit_code == 0, result.output
    result = run(*args, "-e", "exact(completion, answer) + n", "-c", "n:number[0,1]")
    assert result.exit_code == 1
    assert "error DRL701: the data has no column 'n' (number[0, 1])" in result.stdout
    result = run(*args, "-e", SAFE + " + n", "-c", "n:number[0,1]", "--format", "json")
    (file,) = json.loads(result.stdout)["files"]
    assert (file["ok"], [d["code"] for d in file["diagnostics"]]) == (False, ["DRL701"])
    assert file["certificate"]["finite"] is True
    result = run(check_command, "-e", SAFE, "--suite", "math", "--data", "none.jsonl")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "none.jsonl: no such file" in result.stderr


def test_check_needs_numpy_for_data_alone(data):
    program = (
        "import sys; from derl_dsl.cli.app import main\n"
        "try: main()\n"
        "except SystemExit: print('numpy' in sys.modules)"
    )
    base = [sys.executable, "-c", program, "check", "-e", SAFE, "--suite", "math"]
    for more, wanted in (([], "False"), (["--data", str(data)], "True")):
        done = subprocess.run([*base, *more], capture_output=True, text=True, check=True)
        assert done.stdout.split()[-1] == wanted, done.stdout
