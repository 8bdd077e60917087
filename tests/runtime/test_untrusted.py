"""Untrusted primitives: declared by file, sandboxed, row by row with a deadline, in all tools."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import derl_dsl
from derl_dsl.cli import app as cli
from derl_dsl.elaborate.custom import REGISTRY
from derl_dsl.tools.lsp.document import Document
from derl_grammar.types import Bool, Number, Optional
from derl_runtime.deadline import BUSY
from derl_runtime.sandbox.by_row import chunks
from derl_runtime.sandbox_settings import SandboxSettings
from derl_runtime.untrusted import PrimitiveFailed, Untrusted

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux")

GOOD = '''
def polite(completion: text) -> number[0, 1]:
    """Whether it says please.

    default: 0.5
    """
    return "please" in completion


def share(completion: text, part: text) -> number[0, 1] | None:
    """How much of a text is a part; nothing of an empty one."""
    if not completion:
        return None
    return completion.count(part) * len(part) / len(completion)


def total(xs: list[number[0, 1]]) -> number[0, 100]:
    t = 0
    for x in xs:
        t += x
    return t


def slow(completion: text) -> bool:
    while completion == "hang":
        pass
    return True
'''


@pytest.fixture(autouse=True)
def _clean_registry():
    yield
    REGISTRY.clear()


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.py"
    path.write_text(GOOD)
    return path


def test_a_typed_signature_is_the_declaration(good):
    found = {p.name: p for p in derl_dsl.load_primitives(good)}
    assert [p.signature for p in found.values()] == [
        "polite(completion: text) -> number[0, 1]",
        "share(completion: text, part: text) -> number[0, 1]?",
        "total(xs: list[number[0, 1]]) -> number[0, 100]",
        "slow(completion: text) -> bool",
    ]
    assert [p.returns for p in found.values()] == [
        Number(0, 1), Optional(Number(0, 1)), Number(0, 100), Bool(),
    ]  # fmt: skip
    assert [p.default for p in found.values()] == [0.5, None, None, None]
    assert found["polite"].doc.startswith("Whether it says please.")
    assert {p.cost for p in found.values()} == {"process"}
    assert found["polite"](["please", "no"]).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("engine", ["restricted", "monty"])
def test_programs_call_them_on_either_engine(good, engine):
    try:
        derl_dsl.load_primitives(good, engine=engine)
    except derl_dsl.PrimitiveError as error:
        pytest.skip(str(error))
    r = derl_dsl.compile(
        "p = polite(completion)\ns = default(share(completion, 'a'), 0.25)\n"
        "reward = p + s + total(xs)",
        columns={"completion": "text", "xs": "list[number[0, 1]]"},
    )
    s = r.score(
        {"completion": ["please", "aab", "", "x"], "xs": [[0.5, 0.25], [], [1.0], np.ones(3)]}
    )
    assert s.parts["p"].tolist() == [1, 0, 0, 0]
    assert s.parts["s"].tolist() == [1 / 6, 2 / 3, 0.25, 0]
    assert s.values.tolist() == (s.parts["p"] + s.parts["s"] + [0.75, 0, 1, 3]).tolist()
    assert s.faults == []


def test_texts_step_by_step(good):
    derl_dsl.load_primitives(good)
    r = derl_dsl.compile("sum(polite(actions))", columns={"actions": "list[text]"})
    assert r.score({"actions": [["please", "x", "please"], []]}).values.tolist() == [2.0, 0.0]


BAD = {
    "def f(x: text) -> list[list[text]]:\n    return []": "the items of a list are text",
    "def f(x: text) -> text:\n    'default: 1'\n    return x": "the default 1 does not fit",
    "def f(x: text) -> number[1, 0]:\n    return 1": "range",
    "def f(x: words) -> bool:\n    return True": "line 1: f(x) : unknown type",
    "def f(x) -> bool:\n    return True": "x",
    "x = 1": "no primitive is declared",
    "def f(x: text) -> bool:\n  return (": "line 2: '(' was never closed",
    "import os\ndef f(x: text) -> bool:\n    return True": "import",
    "def mean(x: text) -> bool:\n    return True": "'mean' is a word of the language; rename it",
    "def f(x: text) -> bool:\n    'default: 7'\n    return True": "the default 7 does not fit",
    "def f(x: text) -> bool:\n    'default: x'\n    return True": "default 'x' is no number",
    "def f(x: text) -> bool | None:\n    'default: 1'\n    return True": "does not fit",
    "# " + "x" * 17_000: "more than 16,384 bytes",
}


@pytest.mark.parametrize(("source", "said"), BAD.items(), ids=[*map(str, range(len(BAD)))])
def test_files_that_cannot_be_used_are_refused_with_their_name(tmp_path, source, said):
    path = tmp_path / "bad.py"
    path.write_text(source)
    before = dict(REGISTRY)
    with pytest.raises(derl_dsl.PrimitiveError) as error:
        derl_dsl.load_primitives(path, deadline=0.3)
    assert str(path) in str(error.value)
    assert said in str(error.value)
    assert dict(REGISTRY) == before


def test_settings_and_paths_that_cannot_be_used(good, tmp_path):
    for given, said in [
        ({"engine": "python"}, "engine: expected 'restricted' or 'monty'"),
        ({"level": "safe"}, "level: expected 'none' or"),
        ({"deadline": 0}, "deadline: expected at least 0.01, not 0"),
        ({"deadline": float("nan")}, "deadline: expected at least"),
        ({"workers": 1.5}, "workers: expected a whole number"),
        ({"level": "none"}, "switched off"),
    ]:
        with pytest.raises(derl_dsl.PrimitiveError, match=said):
            derl_dsl.load_primitives(good, **given)
    with pytest.raises(derl_dsl.PrimitiveError, match=r"cannot read .*none\.py: No such file"):
        derl_dsl.load_primitives(tmp_path / "none.py")


def test_names_collide_with_a_message(good, tmp_path):
    derl_dsl.load_primitives(good)
    other = tmp_path / "other.py"
    other.write_text("def polite(x: text) -> bool:\n    return True")
    with pytest.raises(derl_dsl.PrimitiveError, match=r"good\.py has a primitive 'polite' already"):
        derl_dsl.load_primitives(other)
    with pytest.raises(ValueError, match=r"good\.py: the primitive 'total' is a column"):
        derl_dsl.check("total", columns={"total": "bool"})
    words = tmp_path / "words.py"
    words.write_text("def boxed(x: text) -> bool:\n    return True")
    derl_dsl.load_primitives(words)
    with pytest.raises(ValueError, match=r"words\.py: the primitive 'boxed' is one of the suite's"):
        derl_dsl.check("1", suite="math")


def test_loading_again_follows_the_file(good):
    derl_dsl.load_primitives(good)
    version = REGISTRY.version
    derl_dsl.load_primitives(good)
    assert REGISTRY.version == version
    good.write_text("def polite(completion: text) -> bool:\n    return False")
    derl_dsl.load_primitives(good)
    assert list(REGISTRY) == ["polite"]
    assert REGISTRY["polite"].primitive.returns == Bool()


def test_a_hanging_row_costs_itself_and_the_deadline(good):
    derl_dsl.load_primitives(good, deadline=0.5, workers=2)
    r = derl_dsl.compile("1 * slow(completion)", columns={"completion": "text"})
    texts = ["fine"] * 1024
    texts[700] = "hang"
    most = 0.5 * (1 + BUSY) + 3  # what a busy machine may take
    start = time.monotonic()
    s = r.score({"completion": texts})
    assert time.monotonic() - start < most
    assert np.flatnonzero(np.isnan(s.values)).tolist() == [700]
    assert (s.values[~np.isnan(s.values)] == 1).all()
    assert [(f.kind, f.count, f.rows) for f in s.faults] == [("timeout", 1, (700,))]
    start = time.monotonic()
    s = r.score({"completion": ["hang"] * 1024})
    assert time.monotonic() - start < most
    assert [(f.kind, f.count) for f in s.faults] == [("timeout", 1024)]
    with pytest.raises(PrimitiveFailed, match=r"no answer within 0\.5 s"):
        REGISTRY["slow"].primitive(["hang"])


@pytest.mark.parametrize("rows", [1, 63, 64, 65, 200, 1000, 1024, 5000])
@pytest.mark.parametrize("workers", [1, 2, 7])
def test_chunks_cover_all_rows_once(rows, workers):
    found = chunks(rows, workers)
    assert [i for c in found for i in c] == list(range(rows))
    assert max(map(len, found)) <= 512
    assert len(found) == 1 or min(map(len, found)) >= 64


def test_the_number_of_workers_changes_nothing(good):
    texts = [f"{'please' * (i % 3)} a{i}" for i in range(700)]
    found = []
    for workers in (1, 2, 5):
        share = Untrusted(GOOD, "share", SandboxSettings(workers=workers))
        found.append(share([*texts], "a").tolist())
    assert found[0] == found[1] == found[2]


def test_equal_content_is_computed_once(good):
    derl_dsl.load_primitives(good, deadline=0.5)
    r = derl_dsl.compile("polite(completion)", columns={"completion": "text"})
    texts = [f"once {i}" for i in range(8)]
    first = r.score({"completion": texts}).values.tolist()
    good.unlink()
    start = time.perf_counter()
    assert r.score({"completion": [*texts]}).values.tolist() == first
    cached = time.perf_counter() - start
    start = time.perf_counter()
    r.score({"completion": [f"twice {i}" for i in range(8)]})
    assert cached < (time.perf_counter() - start) / 2


SCORE = """
import pickle, sys
reward = pickle.load(open(sys.argv[1], "rb"))
print(reward.score({"completion": ["please", "no"]}).values.tolist(), reward.faults.limit)
"""


def in_another_process(reward, folder: Path) -> str:
    path = folder / "reward.pickle"
    path.write_bytes(pickle.dumps(reward))
    told = [sys.executable, "-c", SCORE, str(path)]
    return subprocess.run(told, cwd=folder, check=True, capture_output=True, text=True).stdout


def test_a_reward_takes_its_untrusted_primitives_along(good, tmp_path):
    derl_dsl.load_primitives(good)
    r = derl_dsl.compile("polite(completion)", columns={"completion": "text"})
    r.faults.limit = 7
    good.unlink()
    assert in_another_process(r, tmp_path) == "[1.0, 0.0] 7\n"


def test_a_reward_names_the_module_of_its_trusted_primitives(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "import derl_dsl\n"
        '@derl_dsl.primitive("(completion: text) -> bool")\n'
        "def short(completion):\n"
        '    "Short."\n'
        "    return [len(c) < 3 for c in completion]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    __import__("mine")
    r = derl_dsl.compile("1 * short(completion)", columns={"completion": "text"})
    assert in_another_process(r, tmp_path) == "[0.0, 1.0] 3\n"
    del sys.modules["mine"]


def project(tmp_path, monkeypatch, more=""):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text(
        f'[tool.derl]\nsuite = "math"\nprimitives = ["good.py"]\n{more}'
    )
    reward = tmp_path / "r.derl"
    reward.write_text("p = polite(completion)\nreward = exact(completion, answer) + 0.5 * p\n")
    (tmp_path / "rows.jsonl").write_text(
        '{"completion": "please 5", "answer": "5"}\n{"completion": "6", "answer": "5"}\n'
    )
    return reward


def run(*args):
    cli.register(cli.app, cli.COMMANDS)
    return CliRunner().invoke(cli.app, list(map(str, args)))


def test_a_project_names_them_and_all_commands_know_them(good, tmp_path, monkeypatch):
    reward = project(tmp_path, monkeypatch, 'sandbox = { engine = "restricted", deadline = 1.5 }\n')
    result = run("check", reward, "--data", "rows.jsonl")
    assert result.exit_code == 0, result.output
    settings = REGISTRY["polite"].primitive.fn.settings
    assert settings == SandboxSettings(deadline=1.5)
    result = run("explain", reward)
    assert "polite(completion)" in result.stdout
    result = run("eval", reward, "--data", "rows.jsonl", "--format", "json")
    found = json.loads(result.stdout)["components"]
    assert {c["name"]: c["mean"] for c in found}["p"] == 0.5
    (tmp_path / "r.test.derl").write_text(
        '[[case]]\nname = "p"\nrow = { completion = "please: 5.", answer = "5" }\nreward = 1.5\n'
    )
    assert run("test", reward).exit_code == 0
    document = Document(str(reward), "polit(completion)")
    assert "polite" in document.scope.primitives


def test_eval_shows_faults_and_goes_on(good, tmp_path, monkeypatch):
    good.write_text(GOOD.replace('return "please" in completion', "return [][7]"))
    reward = project(tmp_path, monkeypatch)
    result = run("eval", reward, "--data", "rows.jsonl")
    assert result.exit_code == 0
    assert "fault: crash in polite(completion): " in result.stdout
    assert "(2 rows: 0, 1)" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            'sandbox = { engin = "monty" }',
            "unknown key 'engin' in [tool.derl.sandbox]",
        ),
        ("sandbox = 3", "sandbox: expected a section [tool.derl.sandbox]"),
        ('[tool.derl.files]\n"a.derl" = { primitives = ["x.py"] }', "move it to [tool.derl]"),
    ],
)
def test_mistakes_in_a_project_are_named(good, tmp_path, monkeypatch, more, said):
    reward = project(tmp_path, monkeypatch, more)
    result = run("check", reward)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_project_whose_file_is_missing(tmp_path, monkeypatch):
    reward = project(tmp_path, monkeypatch)
    result = run("check", reward)
    assert result.exit_code == 2
    assert "good.py: No such file or directory; check the path" in result.stderr


def test_a_primitive_that_runs_programs_is_handed_the_sandbox():
    r = derl_dsl.compile("passes_tests(last_code(completion), tests)", suite="code")
    code = "```python\ndef add(a, b):\n    return a {} b\n```"
    tests = ["assert add(1, 2) == 3", "assert add(0, 0) == 0"]
    s = r.score({"completion": [code.format("+"), code.format("*")], "tests": [tests, tests]})
    assert s.values.tolist() == [1.0, 0.5]
    assert s.faults == []
