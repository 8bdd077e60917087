"""Every reward of the gallery equals an independent statement of its formula on random rows."""

from __future__ import annotations

import ast
import doctest
import random
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import derl_dsl
from derl_dsl import gallery
from derl_dsl.tools.testing import cases
from derl_dsl.tools.testing.cases import read_tests
from derl_dsl.tools.testing.run import run_tests
from tests.gallery import formulas as f
from tests.gallery import rows as r
from tests.gallery.public import PUBLIC

Case = tuple[Callable[[random.Random], r.Row], Callable[[list[r.Row]], f.Rewards]]
CASES: dict[str, Case] = {
    "01_deepseek_r1": (r.answered, f.each(f.deepseek_r1)),
    "02_trl_accuracy": (r.answered, f.each(f.trl_accuracy)),
    "03_trl_reasoning_accuracy": (r.answered, f.each(f.trl_reasoning_accuracy)),
    "04_think_format": (r.answered, f.each(f.think_format)),
    "05_cosine_length": (r.answered, f.each(f.cosine_length)),
    "06_repetition_tokens": (r.answered, f.each(f.repetition_tokens)),
    "06_repetition_words": (r.answered, f.each(f.repetition_words)),
    "07_dapo_overlong": (r.long_texts, f.each(f.dapo_overlong)),
    "08_tag_count": (r.answered, f.each(f.tag_count)),
    "09_reasoning_steps": (r.answered, f.each(f.reasoning_steps)),
    "10_kimi_length": (r.answered, f.kimi_length),
    "11_code_tests": (r.tested, f.each(f.code_tests)),
    "12_l1_exact": (r.prompts, f.each(f.l1_exact)),
    "13_l1_max": (r.prompts, f.each(f.l1_max)),
    "14_grpo_lead": (r.answered, f.grpo_lead),
    "15_length_vs_right": (r.prompts, f.length_vs_right),
    "16_cost_aware": (r.episode, f.cost_aware),
    "17_quantile_length": (r.answered, f.quantile_length),
    "18_stop_properly": (r.prompts, f.each(f.stop_properly)),
    "19_rlvmr_steps": (r.episode, f.each(f.rlvmr_steps)),
    "20_derl_agent": (r.episode, f.each(f.derl_agent)),
    "21_derl_math": (r.derl_math, f.each(f.derl_math)),
    "22_derl_formula": (r.derl_math, f.each(f.derl_formula)),
    "23_gdpo": (r.answered, f.gdpo),
    "24_rank_shaping": (r.ranked, f.rank_shaping),
    "25_curriculum": (r.answered, f.each(f.curriculum)),
    "26_verl_gsm8k": (r.answered, f.each(f.verl_gsm8k)),
    "39_dpepo": (r.explored, f.each(f.dpepo)),
    "40_spark": (r.explored, f.each(f.spark)),
}
BATCHES, GROUPS = 3, 100
TABLE_3 = (
    "-(g1 + g2) / 1.2",
    "g1*(g2-1)/2+(g3-1)/3+(g4-1)/4+3.0",
    "g1*(g2+(g3-1.0)*(g4-0.0))",
    "0.5 * g1 + 0.5 * (g2 if g1 > 0.5 else g3 / (g4 + 1.0))",
)


def groups_of(name: str, progress: float) -> list[list[r.Row]]:
    make = CASES[name][0]
    rng = random.Random(f"{name} {progress}")
    groups = [[make(rng) for _ in range(r.GROUP)] for _ in range(GROUPS)]
    for rows in groups:
        alike = rng.random() < 0.2
        for row in rows:
            row["progress"] = progress
            if alike and "completion_ids" in row:
                row["completion_ids"] = rows[0]["completion_ids"]
    return groups


def columns_of(rows: list[r.Row]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0] if not name.startswith("_")}


@pytest.mark.parametrize("name", CASES)
def test_it_equals_its_formula(name: str) -> None:
    reward = gallery.load(name, backend="reference")
    expected: list[float] = []
    actual: list[float] = []
    for progress in (0.0, 0.3, 0.9)[:BATCHES]:
        groups = groups_of(name, progress)
        for rows in groups:
            stated = CASES[name][1](rows)
            expected += [np.nan if v is None else float(v) for v in stated]
        columns = columns_of([row for rows in groups for row in rows])
        scores = reward.score(columns, group_size=r.GROUP)
        assert not [fault for fault in scores.faults if fault.kind != "missing"]
        actual += scores.values.tolist()
    assert len(actual) >= 1000
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-9, equal_nan=True)
    # Rows on which nothing happens would prove nothing.
    assert len({round(v, 9) for v in expected if v == v}) >= 2
    assert all(np.mean(np.isclose(expected, v)) < 0.97 for v in set(expected) if v == v)


@pytest.mark.parametrize("name", CASES)
def test_the_default_backend_agrees(name: str) -> None:
    columns = columns_of([row for rows in groups_of(name, 0.3) for row in rows])
    fast, plain = (
        gallery.load(name, backend=backend).score(columns, group_size=r.GROUP).values
        for backend in ("auto", "reference")
    )
    np.testing.assert_array_equal(fast, plain)


def test_rows_without_a_score_occur() -> None:
    for name in ("02_trl_accuracy", "03_trl_reasoning_accuracy", "11_code_tests"):
        stated = [v for rows in groups_of(name, 0.0) for v in CASES[name][1](rows)]
        assert None in stated
        assert any(v is not None for v in stated)


def test_all_rows_of_the_gallery_are_there() -> None:
    assert sorted([*CASES, *PUBLIC]) == list(gallery.names())
    assert sorted({int(name[:2]) for name in gallery.names()}) == list(range(1, 41))


@pytest.mark.parametrize("name", CASES)
def test_its_own_tests_pass_and_it_names_its_source(name: str) -> None:
    source, settings = gallery.read(name)
    assert re.search(r"^# Source: .+", source.text, re.M)
    beside = Path(source.path).with_suffix(".test.derl")
    tests = read_tests(str(beside), beside.read_text("utf-8"))
    assert tests.cases
    found = run_tests(tests, source, settings)
    assert not found.failed, found.failed


def plain_value(formula: str, values: dict[str, float]) -> float:
    """What Python makes of a formula."""
    tree = ast.parse(formula.strip(), mode="eval")
    return float(eval(compile(tree, "formula", "eval"), {"__builtins__": {}}, dict(values)))


def check_formulas(formulas: list[str], rows: int) -> int:
    """Compares formulas over g1..g4 with Python; the number of those that are usable."""
    rng = random.Random(0)
    values = {f"g{k}": [rng.choice([1e-6, 1 + 1e-6]) for _ in range(rows)] for k in range(1, 5)}
    usable = 0
    for formula in formulas:
        try:
            reward = derl_dsl.compile(formula, suite="derl-math", backend="reference")
        except derl_dsl.RewardError:
            continue
        usable += 1
        actual = reward.score(values).values.tolist()
        for k in range(rows):
            stated = plain_value(formula, {name: column[k] for name, column in values.items()})
            assert abs(actual[k] - stated) <= 1e-9 * max(1, abs(stated)), formula
    return usable


def test_formulas_of_the_paper() -> None:
    assert check_formulas(list(TABLE_3), 1000) == len(TABLE_3)


def test_formulas_of_the_cold_start(shared_data: Path) -> None:
    lines = (shared_data / "derl" / "cold_start.txt").read_text("utf-8").splitlines()
    assert check_formulas(sorted({line for line in lines if line.strip()}), 16) >= 115


def test_the_example_of_the_length_suite_scores_through_the_trainer_protocol() -> None:
    text = (
        "n = tokens(completion)\nok = exact(completion, answer)\n"
        "floor = param(0.1, min=0, max=0.5)\n"
        "reward = 1 + 0.2 * (1 - ramp(n, 256, 1024)) if ok else floor * boxed(completion)\n"
    )
    assert derl_dsl.check(text, suite="math+length") == []
    reward = derl_dsl.compile(text, suite="math+length")
    assert reward.certificate.margin == pytest.approx(0.5)
    scored = reward(
        prompts=["p", "p", "p"],
        completions=["#### 4", r"\boxed{5}", "#### 4"],
        completion_ids=[[7] * 640, [7], [7]],
        answer=["4", "4", "4"],
    )
    assert scored == pytest.approx([1.1, 0.1, 1.2])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tokens(answer)", "tokens reads completion_ids beside completion; answer has no such"),
        ("tokens(lower(completion))", "lower(completion) has no such column beside it"),
        ("exact(completion, answer) - token_repetition(completion, 0.5)", "a whole number from 1"),
        ("exact(completion, answer) - token_repetition(completion, words(answer))", "written out"),
    ],
)
def test_what_cannot_be_counted_in_tokens_is_told(text: str, message: str) -> None:
    (first, *_) = derl_dsl.check(text, suite="math+length")
    assert first.severity == "error"
    assert message in first.message


@pytest.mark.parametrize("module", [gallery, cases])
def test_examples_run(module: ModuleType) -> None:
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed
