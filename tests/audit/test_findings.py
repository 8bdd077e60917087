"""Each audit code: the rows of its bad example raise it, those of its good one do not."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

import pytest

import derl_dsl.tools.audit.codes as audit_codes
from derl_dsl.tools.audit.findings import Finding
from derl_dsl.tools.audit.run import Audit, audit, to_json
from derl_dsl.tools.evaluate.evaluation import Question
from derl_grammar.diagnostics import CODES

OWN = sorted(code for code in CODES if code.startswith("DRL6"))


def example(text: str) -> tuple[str, dict[str, list]]:
    """Program and columns of an example; `× n` after a row repeats it."""
    program, rows = [], []
    for line in text.split("\n"):
        if not line.startswith("{"):
            program.append(line)
            continue
        row, _, times = line.partition("×")
        rows += [json.loads(row)] * int(times or 1)
    return "\n".join(program), {name: [r.get(name) for r in rows] for name in rows[0]}


def run(program: str, data: dict[str, list], **question: str | None) -> Audit:
    given = {"outcome": "ok" if "ok" in data else None, "group": "id" if "id" in data else None}
    return audit(Question(program, **{**given, **question}), data)


def raised(found: Audit, code: str) -> list[Finding]:
    return [f for f in found.findings if f.code == code and f.verdict != "ok"]


def one(found: Audit, code: str) -> Finding:
    (only,) = [f for f in found.findings if f.code == code]
    return only


@pytest.mark.parametrize("code", OWN)
def test_bad_example_raises_the_code(code):
    found = raised(run(*example(CODES[code].bad)), code)
    assert found
    assert all(f.shown and f.limit and f.message and f.fix for f in found)
    worst = {"error": "bad", "warning": "look"}[CODES[code].severity]
    assert all(f.verdict == worst or f.verdict == "look" for f in found)


@pytest.mark.parametrize("code", OWN)
def test_good_example_does_not(code):
    found = run(*example(CODES[code].good))
    assert raised(found, code) == []
    asked = [f for f in found.findings if f.code == code]
    assert [f.verdict for f in asked] == ["ok"], "a question that was asked has an answer"


@pytest.mark.parametrize("code", OWN)
def test_a_healthy_reward_raises_nothing(code):
    data = {
        "id": [i // 4 for i in range(80)],
        "ok": [i % 2 for i in range(80)],
        "n": [(i * 37) % 100 for i in range(80)],
        "completion": ["a" * (1 + (i * 37) % 100) for i in range(80)],
    }
    found = run("ok + 0.1 * (1 - n / 100)", data)
    assert raised(found, code) == []
    assert found.ok


def test_every_code_is_defined_here_with_a_mend():
    assert set(audit_codes.FIXES) == set(OWN)
    assert len(OWN) == 12


def test_figures_rows_and_thresholds_of_misordered_pairs():
    data = {
        "id": ["a", "a", "a", "b", "b", "c"],
        "ok": [True, False, False, True, False, False],
        "s": [0.5, 0.9, 0.5, 0.2, 0.8, 1.0],
    }
    found = run("s", data)
    f = one(found, "DRL606")
    # a: right 0.5 under 0.9, level with 0.5; b: right 0.2 under 0.8; c has no right row.
    assert (f.figure, f.threshold, f.verdict) == (pytest.approx(2 / 3), 0.01, "bad")
    assert "in 2 of 3 pairs of one group (66.7%)" in f.message
    assert "in 1 they tie" in f.message
    assert f.rows == (4, 1)
    assert [(p.group, p.right.row, p.wrong.row) for p in found.pairs] == [("b", 3, 4), ("a", 0, 1)]


def test_without_groups_all_rows_are_compared():
    data = {"ok": [1, 1, 0, 0], "s": [0.1, 0.8, 0.2, 0.9]}
    found = run("s", data)
    assert one(found, "DRL606").figure == 0.75
    assert [(p.right.row, p.wrong.row, p.group) for p in found.pairs] == [
        (0, 3, None),
    ]


def test_flat_groups_name_their_first_row():
    found = run("s", {"id": [1, 1, 2, 2, 3, 3], "ok": [1, 0] * 3, "s": [1, 1, 0, 0, 0, 1]})
    f = one(found, "DRL603")
    assert (f.verdict, f.figure, f.rows, f.count) == ("look", pytest.approx(2 / 3), (0, 2), 2)


def test_a_penalised_component_is_not_contrary():
    program, data = example(CODES["DRL604"].bad)
    assert one(run(program, data), "DRL604").subject == "long"
    assert raised(run("ok - 0.5 * long", data), "DRL604") == []
    # The outcome outweighs the bonus, but the bonus still pulls the wrong way.
    assert raised(run("ok + 0.01 * long", data), "DRL604") == []
    assert raised(run("ok + 0.1 * long", data), "DRL604")


def test_correlations_are_spearman_and_point_biserial():
    data = {"ok": [0, 0, 1, 1], "s": [0.0, 1.0, 2.0, 3.0]}
    message = one(run("s", data), "DRL605").message
    assert "Spearman +0.89, point-biserial +0.89 (n = 4)" in message
    data["s"][3] = 1000.0
    message = one(run("s", data), "DRL605").message
    assert "Spearman +0.89, point-biserial +0.58 (n = 4)" in message


def test_an_outlier_row_is_named_first():
    found = run("n", {"n": [5, 1, 2, 3] * 50 + [900]})
    (f,) = [f for f in raised(found, "DRL608") if f.subject == "n"]
    assert f.rows == (200,)
    assert f.figure == pytest.approx(448.5)


def test_few_rows_that_make_the_range():
    values = [0.0] * 1500 + [1.0] * 600 + [50.0]
    (f, *_) = raised(run("n", {"n": values}), "DRL608")
    assert (f.rows, f.figure, f.shown) == ((2100,), 50, "range x50")
    values = [float(i % 50) for i in range(2101)]
    assert raised(run("n", {"n": values}), "DRL608") == []


def test_rows_without_a_reward_and_their_faults():
    data = {"ok": [1, 0] * 50, "n": [1.0, 2.0] * 49 + [None, 2.0]}
    found = run("ok + 0.1 * n", data)
    f = one(found, "DRL609")
    assert (f.verdict, f.rows, f.figure) == ("look", (98,), 0.01)
    assert one(found, "DRL610").verdict == "look"
    data["n"][:10] = [None] * 10
    found = run("ok + 0.1 * n", data)
    assert one(found, "DRL609").verdict == "bad"
    assert one(found, "DRL610").count == 5, "faults keep their first five rows"
    assert not found.ok


def test_length_in_tokens_when_they_are_there():
    program, data = example(CODES["DRL611"].bad)
    assert "in characters" in one(run(program, data), "DRL611").message
    data["completion_ids"] = [list(range(len(t))) for t in data["completion"]]
    assert "in tokens" in one(run(program, data), "DRL611").message


def test_questions_that_cannot_be_asked_are_left_out():
    found = run("n", {"n": [1, 2, 3]})
    assert {f.code for f in found.findings} == {
        *("DRL601", "DRL602", "DRL607", "DRL608", "DRL609", "DRL610"),
    }
    assert found.pairs == ()


def test_the_worst_come_first():
    found = run(*example(CODES["DRL606"].bad))
    order = ["bad", "look", "ok"]
    places = [order.index(f.verdict) for f in found.findings]
    assert places == sorted(places)


def test_a_likely_group_column_is_found():
    rows = {"ok": [1, 0, 1, 0], "s": [0, 1, 1, 0]}
    prompts = [[{"role": "user", "content": c}] for c in "aabb"]
    assert run("s", {**rows, "prompt": prompts}).context.evaluation.groups == 2
    assert run("s", {**rows, "prompt": list("abcd")}).context.groups is None, "one row each"
    assert run("s", {**rows, "prompt": list("aaaa")}).context.groups is None, "one group"
    assert run("s", {**rows, "prompt": ["a", "a", "b", None]}).context.groups is None
    both = run("s", {**rows, "prompt": list("aabb"), "problem_id": [1, 2, 1, 2]})
    assert both.context.evaluation.question.group == "problem_id"


def test_the_outcome_defaults_to_that_of_the_suite():
    data = {"completion": ["#### 1", "#### 2"] * 2, "answer": ["1"] * 4}
    found = audit(Question("exact(completion, answer)", "math"), data)
    assert found.context.evaluation.question.outcome == "correct(completion, answer)"
    assert one(found, "DRL606").verdict == "ok"


def numbers(value: object) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from numbers(item)


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_json_is_plain_and_finite():
    data = {"ok": [1, 0, 1, 0], "n": [1e308, None, -1e308, 5.0], "completion": ["a", None, "", "b"]}
    record = to_json(run("0.5 * n + ok", data))
    text = json.dumps(record, allow_nan=False)
    assert all(map(math.isfinite, numbers(json.loads(text))))
    (n, reward) = [c for c in record["components"] if c["name"] in ("n", "reward")]
    assert n["with_outcome"]["n"] == 3
    assert reward["kind"] == "reward"


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_handful_of_rows_is_no_trouble(rows):
    run("ok + n", {"ok": [1, 0, 1][:rows], "n": [0.5, 0.1, 0.7][:rows], "id": [1, 1, 2][:rows]})
    lost = {"ok": [None] * rows, "n": [None] * (rows - 1) + [1]}
    found = audit(Question("ok + n", columns={"ok": "bool"}, outcome="ok"), lost)
    assert one(found, "DRL609").figure == 1
    assert one(found, "DRL612").verdict == "look"


def test_gsm8k_length_bonus_lets_wrong_answers_outscore_right_ones(shared_data):
    from derl_runtime.data import read_rows

    rows = read_rows(shared_data / "gsm8k" / "model_solutions.jsonl")
    text = "0.2*exact(completion, answer) + 0.8*clip(words(completion)/200, 0, 1)"
    found = audit(Question(text, "math", outcome="is_correct"), rows)
    assert not found.ok
    evaluation = found.context.evaluation
    assert (evaluation.question.group, evaluation.groups) == ("problem_id", 660)
    # The same count, pair by pair.
    reward = evaluation.components[-1].values
    above = pairs = 0
    members: dict[int, list[int]] = {}
    for row, key in enumerate(rows["problem_id"]):
        members.setdefault(key, []).append(row)
    for group in members.values():
        for i in group:
            for j in group:
                if rows["is_correct"][i] and not rows["is_correct"][j]:
                    pairs += 1
                    above += reward[j] > reward[i]
    f = one(found, "DRL606")
    assert f.verdict == "bad"
    assert above > 0
    lowest = {
        key: min((reward[i] for i in group if rows["is_correct"][i]), default=math.inf)
        for key, group in members.items()
    }
    over = [
        i
        for i, key in enumerate(rows["problem_id"])
        if not rows["is_correct"][i] and reward[i] > lowest[key]
    ]
    assert f.count == len(over)
    assert set(f.rows) <= set(over)
    assert f.figure == above / pairs
    assert found.pairs
    for pair in found.pairs:
        right, wrong = pair.right.row, pair.wrong.row
        assert rows["problem_id"][right] == rows["problem_id"][wrong]
        assert rows["is_correct"][right] is True
        assert rows["is_correct"][wrong] is False
        assert reward[wrong] > reward[right]
        assert pair.wrong.excerpt
    safe = audit(Question("exact(completion, answer)", "math", outcome="is_correct"), rows)
    assert safe.ok
    assert one(safe, "DRL606").figure == 0


def test_histograms_split_by_outcome_share_their_bins():
    import numpy as np

    from derl_dsl.tools.audit.plots import histogram

    values = np.array([0.0, 1.0, 0.0, 1.0, np.nan])
    svg = histogram("x", values, np.array([1.0, 1.0, 0.0, 0.0, 1.0]))
    assert svg.count('class="right"') == svg.count('class="wrong"') == 2
    assert svg.count("<title>right: 50.0%</title>") == 2
    # One class holds two of many values: its bars must stand over the same bins.
    values = np.array([0.0, 10.0, *np.arange(10.0)])
    svg = histogram("x", values, np.array([1.0] * 2 + [0.0] * 10))
    assert svg.count("<title>right: 50.0%</title>") == 2
    assert svg.count('class="wrong"') == 6
    assert "no values" in histogram("x", np.array([np.nan]), None)
    assert histogram("x", np.array([-1e308, 1e308]), None).count("<rect") == 2


def test_a_reward_that_compares_within_the_group_found():
    data = {"prompt": list("abab"), "ok": [1, 1, 0, 0], "s": [0.1, 0.9, 0.2, 0.8]}
    found = run("s - group_mean(s)", data)
    assert found.context.reward.values.tolist() == pytest.approx([-0.05, 0.05, 0.05, -0.05])
    assert [(p.right.row, p.wrong.row) for p in found.pairs] == [(0, 2)]
