"""Loading a reward: its header, its name, what the data calls its columns, golds as they come."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import derl_dsl
from derl_dsl.tools import loading
from derl_runtime.reading import ColumnError

HEADED = "# suite: math\n# column: bonus: number[0, 1]\n# outcome: bonus\nreward = "
GOLD = "1 * exact(completion, answer)"


def test_the_header_is_read_by_check_and_compile() -> None:
    text = HEADED + "0.5 * bonus + exact(completion, answer)"
    assert [d for d in derl_dsl.check(text) if d.severity == "error"] == []
    reward = derl_dsl.compile(text)
    assert (reward.suite, reward.outcome) == ("math", "bonus")
    again = pickle.loads(pickle.dumps(reward))
    assert (again.suite, again.outcome, again.key) == ("math", "bonus", reward.key)


def test_who_gives_the_suite_gives_the_columns_too() -> None:
    with pytest.raises(derl_dsl.RewardError, match="DRL101"):
        derl_dsl.compile(HEADED + "bonus", suite="length")
    with pytest.raises(ValueError, match="unknown suite 'mth'"):
        derl_dsl.compile("# suite: mth\nreward = 1")


def test_load_reads_header_and_project(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.derl]\nsuite = "math"\n')
    (tmp_path / "by_project.derl").write_text(f"\ufeffreward = {GOLD}\n", "utf-8")
    (tmp_path / "headed.v2.derl").write_text("# suite: derl-math\nreward = g1 + g2\n")
    plain, headed = (derl_dsl.load(tmp_path / n) for n in ("by_project.derl", "headed.v2.derl"))
    assert (plain.__name__, plain.suite) == ("by_project", "math")
    assert (headed.__name__, headed.suite) == ("headed", "derl-math")
    assert derl_dsl.load(tmp_path / "by_project.derl", name="right").__name__ == "right"
    columns = {"completion": [r"\boxed{4}"], "answer": ["4"]}
    assert plain(**{"completions": columns["completion"], "answer": columns["answer"]}) == [1.0]
    with pytest.raises(FileNotFoundError):
        derl_dsl.load(tmp_path / "none.derl")
    (tmp_path / "latin.derl").write_bytes(b"# \xe9\nreward = 1\n")
    with pytest.raises(ValueError, match="is not UTF-8"):
        derl_dsl.load(tmp_path / "latin.derl")


def test_two_rewards_are_two_lines_also_after_pickling() -> None:
    two = [
        derl_dsl.compile(f"ok = exact(completion, answer)\nreward = {k} * ok", "math", name=name)
        for k, name in ((1, "right"), (2, "reward"))
    ]
    logged: dict[str, float] = {}
    for reward in (*pickle.loads(pickle.dumps(two)), two[0].with_groups(2)):
        reward(completions=["4"], answer=["4"], log_metric=logged.__setitem__)
    assert [r.__name__ for r in pickle.loads(pickle.dumps(two))] == ["right", "reward"]
    assert logged == {"parts/right/ok": 1.0, "parts/ok": 1.0}


def test_columns_are_renamed_at_load() -> None:
    reward = derl_dsl.compile(GOLD, "math", columns={"solution": "answer", "n": "number[0, 9]"})
    assert reward(completions=["4", "5"], solution=["4", "4"]) == [1.0, 0.0]
    assert reward.outcome == "exact(completion, solution)"
    assert pickle.loads(pickle.dumps(reward))(completions=["4"], solution=["4"]) == [1.0]
    with pytest.raises(ColumnError, match=r"column 'solution' .* is missing"):
        reward.score({"completion": ["4"], "answer": ["4"]})
    bound = derl_dsl.compile("g1", "derl-math", columns={"gold": "answer"})
    assert bound.score({"completion": [r"\boxed{4}"], "gold": ["4"]}).values[0] == 1 + 1e-6
    typed = derl_dsl.compile("2 * b", columns={"b": "number[0, 1]", "seen": "b"})
    assert typed.score({"seen": [0.5]}).values.tolist() == [1.0]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"solution": "answr"},
            "neither a column of the program; did you mean 'answer'",
        ),
        ({"a": "answer", "b": "answer"}, "'a' and 'b' both stand for 'answer'"),
        ({"a": "boxed"}, "neither a column of the program"),
    ],
)
def test_bad_renamings(columns: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        derl_dsl.compile(GOLD, "math", columns=columns)


def test_golds_are_numbers_or_lists() -> None:
    reward = derl_dsl.compile(GOLD, "math")
    said = ["4", "4", "5", "0.5", "1/2"]
    golds = [4, 4.0, np.int64(4), ["1/2", "0.5"], ("3", 0.25)]
    assert reward(completions=said, answer=golds) == [1.0, 1.0, 0.0, 1.0, 0.0]
    assert reward.score({"completion": ["4"] * 2, "answer": np.array([4, 5])}).values.tolist() == [
        1.0,
        0.0,
    ]
    missing = reward.score({"completion": ["4", "4"], "answer": [["3", "4"], None]})
    assert missing.values[0] == 1.0
    assert np.isnan(missing.values[1])
    assert [(f.kind, f.rows) for f in missing.faults] == [("missing", (1,))]


def test_a_list_of_golds_where_no_best_is_meant() -> None:
    reward = derl_dsl.compile("ramp(words(answer), 0, 9)", "math")
    with pytest.raises(ColumnError, match=r"'answer' holds lists of texts: words\(answer\) cannot"):
        reward.score({"answer": [["a", "b"]]})


def test_public_names() -> None:
    assert dir(derl_dsl) == sorted(derl_dsl.__all__)
    assert all(getattr(derl_dsl, name) is not None for name in derl_dsl.__all__)
    assert derl_dsl.load is loading.load
