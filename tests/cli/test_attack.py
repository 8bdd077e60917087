"""`derl-dsl attack`: finds what is paid wrongly, cuts it down, writes it as a case."""

from __future__ import annotations

import doctest
import json

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import typer
from typer.testing import CliRunner

import derl_dsl
from derl_dsl.cli.attack import attack_command
from derl_dsl.cli.test import run_command
from derl_dsl.tools.attack import attack, examples, families, logged, search
from derl_dsl.tools.attack.examples import example
from derl_dsl.tools.attack.logged import logged_problems

APP = typer.Typer()
APP.command()(attack_command)
TESTS = typer.Typer()
TESTS.command()(run_command)


def run(*args):
    return CliRunner().invoke(APP, [str(a) for a in args], env={"COLUMNS": "100"})


def make(text, suite="math+format"):
    return derl_dsl.compile(text, suite=suite)


PLANTED = [
    # A wrong answer in a box outscores a right one without.
    ("exact(completion, answer) + 2 * boxed(completion)", "an honest wrong answer"),
    # Being long is worth more than being right.
    ("exact(completion, answer) + min(words(completion) / 100, 2)", "an honest wrong answer"),
    ("contains(completion, answer)", "negation"),
    ("contains(completion, answer)", "shotgun"),
    ("contains(completion, answer) and boxed(completion)", "answer in the thinking"),
    ("exact(completion, answer) + 2 * matches(completion, \"(?i)certainly[.!]\")",
     "an honest wrong answer"),
    ("exact(completion, answer) + count(completion, \"therefore\")", "an honest wrong answer"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "family"), PLANTED)
def test_planted_faults_are_found(text, family):
    found = attack(make(text))
    assert family in {hit.family for hit in found.hits}
    for hit in found.hits:
        assert hit.above_right >= -1e-9
        columns = {"completion": [hit.completion], "answer": [hit.problem.gold]}
        assert make(text).score(columns).values[0] == hit.reward


def test_a_hit_is_cut_down_to_what_it_needs():
    found = attack(make("exact(completion, answer) + min(words(completion) / 100, 2)"))
    hit = min(
        (h for h in found.hits if h.family == "an honest wrong answer"), key=lambda h: h.above_right
    )
    assert len(hit.completion.split()) < 250
    assert len(hit.decorations) <= 2


def test_only_the_parts_can_be_bent_where_the_outcome_is_a_column():
    """The outcome is a column: what the texts say cannot bend it."""
    reward = derl_dsl.compile(
        "1 + 0.2 * boxed(completion) if ok else 0.1 * boxed(completion)",
        suite="math", columns={"ok": "bool"}, outcome="ok",
    )  # fmt: skip
    assert reward.certificate.margin > 0
    rows = {
        "completion": ["It is 4.", "It is 5."] * 2, "answer": ["4", "4", "7", "7"],
        "prompt": ["2+2", "2+2", "3+4", "3+4"], "is_correct": [True, False] * 2,
        "ok": [True, False] * 2,
    }  # fmt: skip
    found = attack(reward, logged_problems(reward, rows))
    assert (found.hits, found.told, found.problems) == ((), 2, 2)
    # Without the margin a part is worth being right, and then it is found.
    bent = derl_dsl.compile(
        "ok + boxed(completion)", suite="math", columns={"ok": "bool"}, outcome="ok"
    )
    found = attack(bent, logged_problems(bent, rows))
    assert found.told == 2
    assert "an honest wrong answer" in {hit.family for hit in found.hits}
    assert all("\\boxed" in hit.completion for hit in found.hits)
    assert {hit.reward for hit in found.hits} == {1.0}


@pytest.mark.parametrize(
    "pattern",
    [r"#### -?[0-9]+", r"(?i)step [1-9]:|x", r"<answer>[\s\S]+</answer>", r"[^a-z]{3}", r"a{2,5}b?",
     r"^Final: \d+$", r"(yes|no)\.", r"(?P<n>\w+)=\d", r"[^\sx]", r"[]a]b", r"[^]x]", r"\x41\x{42}",
     r"\Qa.b\E+", r"[[:alpha:]]+-", r"a{,2}b", r"(?s:.)\.", r"\\boxed\{[^{}]*\}", r"(a|b)*c"],
)  # fmt: skip
def test_examples_of_patterns_match(pattern):
    made = example(pattern)
    assert made is not None
    assert pc.match_substring_regex(pa.array([made]), pattern)[0].as_py()


@pytest.mark.parametrize(
    "pattern", [r"\pL", "a{1000}", "(", "[", r"a\bb", "(?<=a)b", "[[:no:]]", ""]
)
def test_what_has_no_example_says_so(pattern):
    assert example(pattern) in (None, "")


def test_groups_are_scored_among_honest_fellows():
    found = attack(make("ok = contains(completion, answer)\nreward = ok - group_mean(ok)"))
    assert found.hits


def test_what_cannot_be_attacked_says_so():
    result = run("-e", "reward = g1", "-s", "derl-agent")
    assert result.exit_code == 2
    assert "reads no completion" in result.stderr
    result = run("-e", "passes_tests(completion, tests)", "-s", "code")
    assert result.exit_code == 2
    assert "the reward reads 'tests': give rows that have it with --data" in result.stderr
    assert run("-e", "exakt(completion)", "-s", "math").exit_code == 1
    assert run().exit_code == 2


def test_hits_become_cases_that_fail_until_the_reward_is_fixed(tmp_path):
    path = tmp_path / "r.derl"
    path.write_text("# suite: math\nreward = contains(completion, answer)\n")
    result = run(path, "--write")
    assert result.exit_code == 1
    tests = tmp_path / "r.test.derl"
    count = tests.read_text().count("[[case]]")
    assert count > 10
    failed = CliRunner().invoke(TESTS, [str(path)])
    assert failed.exit_code == 1
    assert run(path, "--write").exit_code == 1
    assert tests.read_text().count("[[case]]") == count  # no case twice


def test_on_logged_rollouts(tmp_path):
    rows = [
        {"prompt": p, "answer": a, "completion": c, "is_correct": ok}
        for p, a, c, ok in [
            ("2+2?", "4", "#### 4", True), ("2+2?", "4", "#### 5, not 4", False),
            ("3+4?", "7", "#### 7", True), ("3+4?", "7", "#### 9", False),
        ]
    ]  # fmt: skip
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = run("-e", "contains(completion, answer)", "-s", "math", "--data", data,
                 "--format", "json")  # fmt: skip
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert "a logged wrong answer" in {hit["family"] for hit in found["hits"]}
    data.write_text(json.dumps({"completion": "4", "answer": "4"}) + "\n")
    result = run("-e", "contains(completion, answer)", "-s", "length", "--data", data,
                 "-c", "completion:text", "-c", "answer:text")  # fmt: skip
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1


def rows_of(golds, **more):
    """Two rows a problem, one right and one wrong."""
    return {
        "prompt": [f"problem {k}" for k in range(len(golds)) for _ in range(2)],
        "answer": [gold for gold in golds for _ in range(2)],
        "completion": ["#### 4 or so", "#### 987654321"] * len(golds),
        "is_correct": [True, False] * len(golds),
        **more,
    }


@pytest.mark.parametrize("golds", [[4, 7], [4.0, 7.5], [["4", "four"], ["7"]], ["4", "7"]])
def test_golds_may_be_numbers_and_lists(golds):
    found = logged_problems(make("contains_answer(completion, answer)"), rows_of(golds))
    assert [one.problem.gold for one in found] == ["4", "7.5" if golds[1] == 7.5 else "7"]
    assert found[0].problem.wrong not in ("4", "four")


@pytest.mark.parametrize(
    "golds", [["0.50", "0.5", "9"], ["1/2", "0.5", "\\frac12", "9"], ["0", "1"]]
)
def test_no_right_answer_is_called_a_wrong_one(golds):
    """Golds that are one number are no wrong answers to each other; 0 times ten is still 0."""
    reward = make("correct(completion, answer)")
    said = [text for gold in golds for text in (f"#### {gold}", "#### 987654321")]
    found = attack(reward, logged_problems(reward, rows_of(golds, completion=said)))
    families = {hit.family for hit in found.hits}
    assert not families & {
        "an honest wrong answer", "magnitude and units", "hedge", "shotgun", "other scripts",
        "invisible characters", "contradiction",
    }  # fmt: skip


def test_the_suite_says_which_rows_are_right_where_the_reward_does_not_ask():
    rows = {k: v for k, v in rows_of(["4", "7"]).items() if k != "is_correct"}
    rows["completion"] = ["#### 4", "#### 5", "#### 7", "#### 5"]
    first, _ = logged_problems(make("contains_answer(completion, answer)"), rows)
    assert ([s.text for s in first.right], [s.text for s in first.wrong]) == (
        ["#### 4"],
        ["#### 5"],
    )


def test_logged_rows_are_scored_with_their_own_columns():
    """A judge that likes a wrong row better than a right one; what it would say of others, nobody
    knows, so they are held against right answers under the same verdict."""
    reward = derl_dsl.compile(
        "0.3 * exact(completion, answer) + 0.07 * judge", suite="math",
        columns={"judge": "number[0, 10]"},
    )  # fmt: skip
    rows = rows_of(
        ["4", "7"], judge=[2, 9, 2, 9], completion=["#### 4", "#### 9", "#### 7", "#### 9"]
    )
    found = attack(reward, logged_problems(reward, rows))
    assert {hit.family for hit in found.hits} == {"a logged wrong answer"}
    assert found.hits[0].above_right == pytest.approx(0.63 - 0.44)
    assert found.held == ("judge",)
    assert "not attacked, for no text here changes them: judge" in run(
        "-e", reward.text, "-s", "math", "-c", "judge:number[0, 10]"
    ).stdout  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        'contains(between(completion, "<score>", "</score>"), "10")',
        'default(number(extract(completion, "score: ([0-9])")), 0) / 9',
        "words(thought(completion)) > 40",
        'chars(strip(lower(last_block(completion, "reason")))) > 100',
        'words(after_last(completion, "Reason:")) > 20',
    ],
)
def test_what_is_looked_for_in_a_part_of_the_text_is_put_there(text):
    found = attack(make(f"exact(completion, answer) + 2 * ({text})"))
    assert found.hits[0].above_right > 0.5
    assert {"an honest wrong answer", "refusal"} <= {hit.family for hit in found.hits}


def test_no_more_is_added_than_pays():
    reward = make('exact(completion, answer) + 2 * (words(last_block(completion, "why")) >= 37)')
    hit = next(h for h in attack(reward).hits if h.decorations == ("words in <why>",))
    assert hit.completion.count("word") == 37


def test_a_reward_that_tells_nothing_apart_is_not_called_sound():
    result = run("-e", "1 * boxed(completion)", "-s", "math")
    assert result.exit_code == 1
    assert "in none of 4 problems is a right answer paid more than a wrong one" in result.stdout


WRITTEN = {
    "columns": "# suite: math\n# column: judge: number[0, 10]\n# column: prompt: text\n"
    "reward = contains_answer(completion, answer) + 0.1 * judge + 0.1 * contains(prompt, answer)",
    "outcome": "# suite: math\n# column: ok: bool\n# outcome: ok\nreward = ok + boxed(completion)",
    "group": "# suite: math\nok = contains_answer(completion, answer)\n"
    "reward = ok - group_mean(ok)",
}


@pytest.mark.parametrize("name", WRITTEN)
def test_written_cases_have_all_that_the_reward_reads(name, tmp_path):
    path = tmp_path / "r.derl"
    path.write_text(WRITTEN[name])
    assert run(path, "--write").exit_code == 1
    count = (tmp_path / "r.test.derl").read_text().count("[[case]]")
    result = CliRunner().invoke(TESTS, [str(path)])
    assert f"{count} failed, 0 passed" in result.stdout
    assert "missing" not in result.stdout
    assert result.stdout.count("expected <=") == count


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (b"not [ toml", "r.test.derl:1: not TOML"),
        (b"\xff\xfe", "r.test.derl is not UTF-8"),
        (b"case = []\n", "r.test.derl:"),  # another [[case]] after it is no TOML
    ],
)
def test_a_test_file_that_cannot_be_added_to_is_left_as_it_is(written, message, tmp_path):
    path, tests = tmp_path / "r.derl", tmp_path / "r.test.derl"
    path.write_text("# suite: math\nreward = contains(completion, answer)\n")
    tests.write_bytes(written)
    result = run(path, "--write")
    assert (result.exit_code, tests.read_bytes()) == (2, written)
    assert message in result.stderr


def test_cases_are_added_and_none_is_lost(tmp_path):
    path, tests = tmp_path / "r.derl", tmp_path / "r.test.derl"
    path.write_text("# suite: math\nreward = contains(completion, answer)\n")
    own = '[[case]]\nname = "mine"\nrow = { completion = "", answer = "42" }\nreward = 0'
    tests.write_text(own)
    assert run(path, "--write").exit_code == 1
    assert tests.read_text().startswith(own)
    assert 'name = "mine"' in tests.read_text()


def test_examples():
    for module in (families, examples, logged, search):
        assert doctest.testmod(module).failed == 0
