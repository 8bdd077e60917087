"""`derl-dsl test`: what passes, what fails and how it is told, and bad test files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from derl_dsl.cli.test import run_command
from derl_dsl.tools.testing.cases import TestFileError, fenced_tests, read_tests

REWARD = """\
# suite: math
# column: late: bool?
ok = exact(completion, answer)
bonus = 0.5 * boxed(completion)
reward = ok + bonus if late else ok
"""
GROUPED = """\
# column: n: number[0, 100]
# column: ok: bool
# outcome: ok
best = group_min(n, where=ok)
reward = ok - 0.001 * default(n - best, 0)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, tests: str, reward: str = REWARD, name: str = "r") -> None:
    (folder / f"{name}.derl").write_text(reward, "utf-8")
    (folder / f"{name}.test.derl").write_text(tests, "utf-8")


def run(*args: str):
    app = typer.Typer()
    app.command()(run_command)
    return CliRunner().invoke(app, list(args))


def failures(folder: Path, tests: str, reward: str = REWARD) -> list[str]:
    """The messages of all failures of one file of tests."""
    write(folder, tests, reward)
    result = run("r.derl", "--format", "json")
    assert result.exit_code in (0, 1), result.output
    record = json.loads(result.stdout)
    found = [f["message"] for t in record["files"][0]["tests"] for f in t["failures"]]
    assert result.exit_code == (1 if found else 0)
    return found


RIGHT = 'row = { completion = "\\\\boxed{4}", answer = "4", late = true }'


def test_cases_orders_and_properties_pass(folder):
    tests = f"""
[[case]]
name = "right"
{RIGHT}
reward = 1.5
parts = {{ ok = true, bonus = 0.5 }}
[[case]]
name = "wrong"
row = {{ completion = "5", answer = "4", late = false }}
reward = {{ min = 0, max = 0.2 }}
[[case]]
name = "nobody knows whether it was late"
row = {{ completion = "4", answer = "4" }}
reward = "skip"
parts.ok = 1
[[order]]
cases = ["right", "wrong"]
by = 1.5
[[property]]
holds = "reward <= 1.5 and (reward >= ok or not late)"
[[property]]
rises = "boxed(completion)"
"""
    assert failures(folder, tests.replace("= true,", "= 1,")) == []
    result = run()
    assert result.exit_code == 0
    assert result.stdout == "r.test.derl ......\n\n6 passed in 1 file\n"


def test_a_wrong_value_names_part_and_place(folder):
    tests = f'# Cases.\n\n[[case]]\nname = "right"\n{RIGHT}\nreward = 1.4\nparts.bonus = 0.5\n'
    write(folder, tests)
    result = run()
    assert result.exit_code == 1
    assert result.stdout == (
        "r.test.derl F\n\nr.test.derl:3: case 'right' failed\n"
        "    reward: expected 1.4, got 1.5\n\n1 failed, 0 passed in 1 file\n"
    )
    assert failures(folder, "tolerance = 0.1\n" + tests) == []
    assert failures(folder, tests.replace("1.4", '"skip"')) == ["reward: expected skip, got 1.5"]


def test_rows_of_a_case_are_one_group(folder):
    tests = """
[[case]]
rows = [{ n = 10, ok = true }, { n = 30, ok = true }, { n = 5, ok = false }]
reward = [1, 0.98, 0.005]
parts.best = 10
order = [0, 1, 2]
[[case]]
rows = [{ n = 1, ok = false }, { n = 2, ok = false }]
reward = 0
parts.best = "skip"
"""
    assert failures(folder, tests, GROUPED) == []
    assert failures(folder, tests.replace("[0, 1, 2]", "[1, 0]"), GROUPED) == [
        "row 1 must beat row 0: 0.98 is not above 1"
    ]
    assert failures(folder, tests.replace("0.98", "0.9"), GROUPED) == [
        "reward of row 1: expected 0.9, got 0.98"
    ]


def test_an_order_that_does_not_hold(folder):
    tests = f'[[case]]\nname = "a"\n{RIGHT}\n[[case]]\nname = "b"\n{RIGHT}\n'
    order = '[[order]]\ncases = ["a", "b"]\n'
    assert failures(folder, tests + order) == ["'a' must beat 'b': 1.5 against 1.5"]


def test_properties_that_do_not_hold_show_a_row(folder):
    (told,) = failures(folder, '[[property]]\nholds = "reward <= 1"\n')
    assert "it does not hold in " in told
    assert "of 1000 random rows; one: exact(completion, answer) = 1" in told
    reward = "# column: a: number[0, 9]\n# column: b: bool\n3 * b - a"
    assert failures(folder, '[[property]]\nrises = "b"\n', reward) == []
    (told,) = failures(folder, '[[property]]\nrises = "a"\n', reward)
    assert told.startswith("raising a from ")
    assert "lowers the reward from " in told


def test_properties_of_groups_raise_one_rollout_at_a_time(folder):
    reward = "# column: a: number[0, 1]\na - group_mean(a)"
    assert failures(folder, '[[property]]\nrises = "a"\n', reward) == []
    reward = "# column: a: number[0, 1]\na - 5 * group_mean(a)"
    assert len(failures(folder, '[[property]]\nrises = "a"\n', reward)) == 1


def test_steps_are_drawn_too(folder):
    reward = (
        "# column: xs: list[number[0, 1]]\n# column: ok: bool\nok + 0.1 * mean(xs) * all(xs < 1)"
    )
    assert failures(folder, '[[property]]\nholds = "reward <= 1.1"\n', reward) == []
    (told,) = failures(folder, '[[property]]\nholds = "reward <= 1.05"\n', reward)
    assert "xs = [" in told


def test_faults_are_failures_unless_expected(folder):
    tests = '[[case]]\nname = "x"\nrow = { n = 500, ok = true }\nreward = "skip"\n'
    (told,) = failures(folder, tests, GROUPED)
    assert told.startswith("fault: out_of_range in n: 500 is no value of number[0, 100]")
    assert failures(folder, tests + 'faults = ["out_of_range"]\n', GROUPED) == []
    assert failures(folder, tests.replace("500", "50") + 'faults = ["missing"]\n', GROUPED) == [
        "reward: expected skip, got 1",
        "no fault 'missing' was found",
    ]


def test_a_missing_column_is_a_failure(folder):
    (told,) = failures(folder, '[[case]]\nname = "x"\nrow = { n = 5 }\n', GROUPED)
    assert told == "the column 'ok' (bool) is missing; the data has: n"


def test_diagnostics(folder):
    inverted = "# suite: derl-math\n-(g1 + 2 * g2)"
    assert failures(folder, 'diagnostics = ["DRL305"]\n', inverted) == []
    write(folder, "diagnostics = []\n", inverted)
    result = run()
    assert result.exit_code == 1
    assert "expected none, got DRL305" in result.stdout
    broken = "# suite: derl-math\ng1 + g5"
    assert failures(folder, 'diagnostics = ["DRL101"]\n', broken) == []
    (told,) = failures(folder, '[[case]]\nname = "x"\nrow = {}\n', broken)
    assert "DRL101: unknown name 'g5'" in told


def test_comments_of_a_reward_are_tests(folder):
    fence = '# test:\n# [[case]]\n# row = { completion = "4", answer = "4" }\n# parts.ok = 0\n'
    (folder / "r.derl").write_text(REWARD + "\n" + fence, "utf-8")
    result = run("r.derl")
    assert result.exit_code == 1
    assert "r.derl:8: case 'case 1' failed\n    ok: expected 0, got 1" in result.stdout
    assert fenced_tests(REWARD) is None


def test_folders_are_searched_and_each_reward_runs_once(folder):
    write(folder, f"[[case]]\n{RIGHT}\nreward = 1.5\n")
    below = folder / "below"
    below.mkdir()
    write(below, "[[case]]\nrow = { n = 0, ok = true }\nreward = 1\n", GROUPED, "s")
    (below / "plain.derl").write_text("# column: a: bool\n1 * a", "utf-8")
    result = run(".", "r.test.derl", "r.derl")
    assert result.stdout == "below/s.test.derl .\nr.test.derl .\n\n2 passed in 2 files\n"


def test_settings_of_the_test_file(folder):
    tests = 'columns = { a = "number[0, 2]" }\n[[case]]\nrow = { a = 2 }\nreward = 4\n'
    assert failures(folder, tests, "2 * a") == []


MISTAKES = {
    "[[case]\n": "r.test.derl:1: not TOML",
    "\n[[case]]\nreward = 1\n": "r.test.derl:2: a case has either row = {…}, or rows",
    "[[case]]\nrow = {}\nrwd = 1\n": "r.test.derl:1: unknown key 'rwd' in [[case]]; did you mean",
    "[[case]]\nrow = {}\nrewards = 1\n": "did you mean 'reward'?",
    '[[case]]\nrow = {}\nreward = "no"\n': 'write a number, { min = 0, max = 1 } or "skip"',
    "[[case]]\nrow = {}\nreward = [1]\n": "reward: one row has one value, not a list",
    "[[case]]\nrows = [{}]\nreward = [1, 2]\n": "reward: 2 values for 1 rows",
    "[[case]]\nrow = {}\n": "the case expects nothing",
    "[[case]]\nrow = {}\nreward = inf\n": "reward: write a number",
    "[[case]]\nrow = { ok = 1, n = 1 }\nparts.x = 1\n": "r.test.derl:1: no part is named 'x'",
    "[[case]]\nrows = [{}]\norder = [1]\n": "order lists rows from the best to the worst",
    '[[order]]\ncases = ["a"]\n': "an order names two cases or more",
    '[[order]]\ncases = ["a", "b"]\n': "no case is named 'a'; cases: none",
    "[[property]]\nrows = 5\n": "a property has either holds",
    '[[property]]\nholds = "reward"\n': "write a condition",
    '[[property]]\nholds = "x < 1"\n': "holds = 'x < 1': unknown name 'x'",
    '[[property]]\nrises = "reward"\n': "name a column or a primitive of columns",
    '[[property]]\nholds = "1 <"\n': "r.test.derl:1: holds = '1 <': ",
    '[[property]]\nholds = "ok"\nrows = 0\n': "[[property]] rows: expected at least 1, not 0",
    'suite = "maths"\n[[property]]\nholds = "ok"\n': "unknown suite 'maths'",
    "tolerance = -1\n": "tolerance: expected at least 0, not -1",
    "case = 3\n": "case: expected a list, not 3",
}


@pytest.mark.parametrize("tests", MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_in_a_test_file_is_exit_2(folder, tests):
    write(folder, tests, GROUPED)
    result = run()
    assert result.exit_code == 2, result.output
    assert MISTAKES[tests] in result.stderr
    assert "Traceback" not in result.output


def test_nothing_to_run_is_exit_2(folder):
    assert "no tests found" in run().stderr
    assert run().exit_code == 2
    assert "cannot read nothing.derl" in run("nothing.derl").stderr
    (folder / "alone.test.derl").write_text("", "utf-8")
    assert "alone.test.derl: its reward alone.derl is not beside it" in run().stderr


def test_headers_in_texts_do_not_shift_lines():
    text = 'x = 1\ndefaults.t = """\n[[case]]\n"""\n[[case]]\nrow = 3\n'
    with pytest.raises(TestFileError, match=r"^f:1: unknown key 'x'"):
        read_tests("f", text)
    with pytest.raises(TestFileError, match=r"^f:5: \[\[case\]\] row: expected a table"):
        read_tests("f", text.replace("x = 1", "tolerance = 1"))


def test_other_commands_leave_test_files_alone(folder):
    write(folder, "[[case]]\nrow = {}\nreward = 1\n")
    code = (
        "import sys; from derl_dsl.cli.app import main\n"
        "sys.argv = ['derl-dsl', 'check', *sys.argv[1:]]; main()"
    )

    def check(*files: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, *files]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert check("r.derl", "r.test.derl").returncode == 0
    alone = check("r.test.derl")
    assert alone.returncode == 2
    assert "r.test.derl holds tests, no reward; run them: derl-dsl test r.test.derl" in alone.stderr
