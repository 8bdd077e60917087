"""`derl-dsl fmt`: one style, comments kept, the meaning kept, and stable."""

from __future__ import annotations

import random
import re
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import typer
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from derl_dsl.cli.fmt import fmt_command
from derl_dsl.elaborate.scope import build_scope
from derl_dsl.generate.sample import EVERYTHING, sample_program
from derl_dsl.tools.fmt.fmt import WIDTH, format_source
from derl_grammar.diagnostics import Report
from derl_grammar.limits import WIDE
from derl_grammar.parser import parse, statements
from derl_grammar.spans import Source

APP = typer.Typer()
APP.command()(fmt_command)

SCOPE = build_scope(
    columns={"g1": "number[0, 1]", "a_rather_long_name": "number", "ok": "bool", "answer": "text"}
)
LARGE = replace(EVERYTHING, terms=60, parts=4)


def formatted(text: str) -> str:
    found = format_source(Source(text))
    assert found.text is not None, found.diagnostics
    return found.text


def meaning(text: str) -> str:
    report = Report(Source(text))
    program = parse(text, report, WIDE)
    assert program is not None, (text, report.found)
    return re.sub(r"(name_)?place=\(\d+, \d+\)", "", repr(program))


def comments(text: str) -> list[str]:
    return sorted(re.findall(r"# *(c\d+)", text))


class Scatter:
    """Writes a program with other spaces, brackets, line breaks and comments."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.count = 0

    def comment(self) -> str:
        self.count += 1
        return f"#{self.rng.choice(['', ' ', '  '])}c{self.count}"

    def space(self, inside: bool) -> str:
        if not inside or self.rng.random() < 0.7:
            return self.rng.choice(["", "", " ", "  ", "\t"])
        note = self.comment()
        return self.rng.choice(["\n", " \r\n\n ", f"{note}\n", f"\n  {note}\n", f"{note}\n\n"])

    def statement(self, words: list[str]) -> str:
        if self.rng.random() < 0.7:
            at = 2 if words[1:2] == ["="] else 0
            pairs = self.rng.randint(1, 2)
            words = [*words[:at], *"(" * pairs, *words[at:], *")" * pairs]
        line, depth = words[0], int(words[0] == "(")
        for before, word in pairwise(words):
            gap = self.space(depth > 0)
            if not gap and re.match(r"\w", before[-1]) and re.match(r"[\w'\".]", word[0]):
                gap = " "
            depth += (word == "(") - (word == ")")
            line += gap + word
        note = self.comment()
        return line + self.rng.choice(["", "", note, f" \n\n\n  {note}", "\n \n\n"])

    def program(self, text: str) -> str:
        chunks = statements(text, Report(Source(text)), WIDE)
        lines = [self.statement([str(token) for token in chunk]) for chunk in chunks]
        ends = ["", "\n", "\n\n\n", f"\n\n{self.comment()}"]
        return self.rng.choice(ends) + "\n".join(["", *lines]) + self.rng.choice(ends)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 2**32))
@example(0)
def test_comments_and_meaning_stay_and_twice_is_once(seed):
    rng = random.Random(seed)
    text = sample_program(SCOPE, rng, LARGE)
    wild = Scatter(rng).program(text)
    once = formatted(wild)
    assert meaning(once) == meaning(text)
    assert formatted(once) == once
    assert comments(once) == comments(wild)
    assert not re.search(r"\n\r?\n\r?\n", once)
    assert once.strip() + ("\r\n" if "\r\n" in wild else "\n") == once


CASES = {
    "n=tokens( completion )": "n = tokens(completion)\n",
    "0.6*g1+0.4*g2": "0.6 * g1 + 0.4 * g2\n",
    "reward = (g1+g2)": "reward = g1 + g2\n",
    "((g1 + g2)) * ((g3))": "(g1 + g2) * g3\n",
    "(g1 + g2) * g3 + (g1 * g2)": "(g1 + g2) * g3 + (g1 * g2)\n",
    "max((g1 + g2), (g3), f((g1 - 1)),)": "max((g1 + g2), g3, f(g1 - 1))\n",
    "mean( xs , where =( a>b ) )": "mean(xs, where=(a > b))\n",
    "-g1** - 2+ +3": "-g1 ** -2 + +3\n",
    "1 if not(ok)else 0": "1 if not ok else 0\n",
    "0<g1<=.5 and g2!=5. or g3>1E-6": "0 < g1 <= 0.5 and g2 != 5.0 or g3 > 1e-6\n",
    "a == 'x' or a == r'\\d' or a == 'say \"x\"'": (
        "a == \"x\" or a == r'\\d' or a == 'say \"x\"'\n"
    ),
    "#note\n\n\n\n# more\na = g1 #why\n\n\n\nreward = a\n\n": (
        "# note\n\n# more\na = g1  # why\n\nreward = a\n"
    ),
    "#!keep\ng1": "#!keep\ng1\n",
    "# alone": "# alone\n",
    "": "",
    "\n\n": "",
    "a = g1\r\nreward = a": "a = g1\r\nreward = a\r\n",
    "unfinished = g1 + 1": "unfinished = g1 + 1\n",
}


@pytest.mark.parametrize("text", CASES)
def test_style(text):
    assert formatted(text) == CASES[text]
    assert formatted(CASES[text]) == CASES[text]


LONG = """\
score = 0.5 * g1 + clip(a_rather_long_name - another_rather_long_name, 0, 1) * 0.25 - 1 / 3 * g4
bounded = clip(g1 * 0.25 + g2 * 0.5 + ramp(g3, 0.25, 0.75) * 0.125 - exp(-g4 * 3), 0, high)
reward = score if answer_is_right_by_far and not it_is_cut_off else bounded if mild else -1 #x
choice = score if answer_is_right_by_far and not it_is_cut_off else bounded if mild else other_score
"""


def test_long_lines_break_at_operators_and_arguments():
    assert (
        formatted(LONG)
        == """\
score = (
    0.5 * g1
    + clip(a_rather_long_name - another_rather_long_name, 0, 1) * 0.25
    - 1 / 3 * g4
)
bounded = clip(
    g1 * 0.25 + g2 * 0.5 + ramp(g3, 0.25, 0.75) * 0.125 - exp(-g4 * 3),
    0,
    high,
)
reward = (
    score if answer_is_right_by_far and not it_is_cut_off else bounded if mild else -1
)  # x
choice = (
    score
    if answer_is_right_by_far and not it_is_cut_off
    else bounded
    if mild
    else other_score
)
"""
    )


def test_comments_inside_brackets_stay_with_their_operand():
    text = "reward = (\n  # right\n  g1 * 2 + # first\n  # style\n  g2 # second\n  # end\n) # all\n"
    assert (
        formatted(text)
        == """\
reward = (
    # right
    g1 * 2  # first
    # style
    + g2  # second
    # end
)  # all
"""
    )


def test_a_line_that_is_spoken_to_stays_one_line():
    line = f"reward = {' + '.join(['g1'] * 30)}"
    assert formatted(f"{line} #derl: ignore[DRL506]") == f"{line}  # derl: ignore[DRL506]\n"
    assert formatted(line).count("\n") == 32


def test_a_statement_fits_exactly():
    name = "x" * (WIDTH - len("reward = g1 + "))
    fits = f"reward = g1 + {name}\n"
    assert formatted(fits) == fits
    assert formatted(f"reward = g1 + {name}y") == f"reward = (\n    g1 + {name}y\n)\n"


@pytest.mark.parametrize(
    ("text", "code"), [("a = g1 +\nreward = a", "DRL001"), ("(g1", "DRL003"), ("g1\x0b", "DRL002")]
)
def test_syntax_errors_are_reported_and_nothing_is_formatted(text, code):
    found = format_source(Source(text))
    assert found.text is None
    assert [d.code for d in found.diagnostics] == [code]


def test_large_files_take_no_time():
    text = "".join(f"part{k} = g1*{k}+g2 # c{k}\n" for k in range(800)) + "reward = part1"
    start = time.perf_counter()
    assert formatted(text).count("\n") == 801
    assert time.perf_counter() - start < 5


# The command


def run(*args: object, stdin: str | None = None):
    return CliRunner().invoke(APP, list(map(str, args)), input=stdin)


@pytest.fixture
def files(tmp_path):
    texts = {"good": "g1 + g2\n", "ugly": "g1+g2", "bad": "g1 +"}
    paths = {name: tmp_path / f"{name}.derl" for name in texts}
    for name, path in paths.items():
        path.write_text(texts[name])
    return paths


def test_files_are_rewritten_in_place(files):
    result = run(files["good"], files["ugly"])
    assert result.exit_code == 0, result.output
    assert files["ugly"].read_text() == "g1 + g2\n"
    assert result.stderr.splitlines() == [
        f"reformatted {files['ugly']}",
        "2 files: 1 changed, 1 unchanged",
    ]
    assert run(files["ugly"], "--check").exit_code == 0


def test_check_writes_nothing(files):
    result = run("--check", *files.values())
    assert result.exit_code == 1
    assert f"would reformat {files['ugly']}\n" in result.stderr
    assert "error DRL001" in result.stderr
    assert "3 files: 1 would change, 1 unchanged, 1 with syntax errors" in result.stderr
    assert files["ugly"].read_text() == "g1+g2"
    assert run("--check", files["good"]).exit_code == 0


def test_diff_shows_what_would_change(files):
    result = run("--diff", files["ugly"])
    assert result.exit_code == 1
    assert "-g1+g2\n\\ No newline at end of file\n+g1 + g2\n" in result.stdout
    assert files["ugly"].read_text() == "g1+g2"


def test_broken_files_are_left_and_the_others_formatted(files):
    result = run(files["bad"], files["ugly"])
    assert result.exit_code == 1
    assert files["bad"].read_text() == "g1 +"
    assert files["ugly"].read_text() == "g1 + g2\n"


def test_standard_input_goes_to_standard_output():
    result = run("-", stdin="g1+g2 # é")
    assert (result.exit_code, result.stdout) == (0, "g1 + g2  # é\n")
    result = run("-", stdin="g1+")
    assert (result.exit_code, result.stdout) == (1, "")


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_unreadable_input_is_exit_2(tmp_path, content):
    path = tmp_path / "x.derl"
    if content is not None:
        path.write_bytes(content)
    result = run(path)
    assert result.exit_code == 2
    assert str(path) in result.stderr
    assert run().exit_code == 2


def test_a_file_that_cannot_be_replaced_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "r.derl"
    path.write_text("a+b")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    result = run(str(path))
    assert result.exit_code == 2
    assert "No space left" in result.stderr
    assert path.read_text() == "a+b"
    assert [p.name for p in tmp_path.iterdir()] == ["r.derl"]


def test_what_is_written_has_the_rights_of_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "r.derl"
    path.write_text("a+b")
    path.chmod(0o640)
    assert run(str(path)).exit_code == 0
    assert path.read_text() == "a + b\n"
    assert path.stat().st_mode & 0o777 == 0o640


def test_what_fmt_writes_is_within_the_limits() -> None:
    text = "+".join(["a"] * 255)
    wide = format_source(Source(f"min({text},b)")).text
    assert wide is not None
    for found in (text, wide, wide.replace("\n    ", "\n" + " " * 40)):
        report = Report(Source(found))
        parse(found, report)
        assert [d.code for d in report.found if d.code == "DRL401"] == []
