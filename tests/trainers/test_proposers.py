"""Proposers: the same past gives the same formulas, all that can be valid are, and they improve."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from rich.console import Console

import derl_dsl
from derl_dsl.generate.unparse import expression_text
from derl_grammar.diagnostics import Report
from derl_grammar.parser import parse
from derl_grammar.spans import Source
from derl_trainers.outer.judge import judge
from derl_trainers.outer.meta import meta_train
from derl_trainers.outer.optimizer import build_tokenizer
from derl_trainers.outer.prompts import suite_scope
from derl_trainers.outer.proposers.base import (
    Context,
    Past,
    Proposer,
    distinct,
    group_advantages,
    make_proposer,
    proposer_class,
)
from derl_trainers.outer.proposers.graph import Network
from derl_trainers.outer.proposers.graph_fit import GraphFit
from derl_trainers.outer.proposers.prompted import history
from derl_trainers.outer.proposers.rollouts import Rollouts, sample_rollouts
from derl_trainers.outer.proposers.trees import Trees, places, replaced
from derl_trainers.outer.run import Run
from derl_trainers.policy.loading import small_llama
from derl_trainers.runs.jobs import Policy
from derl_trainers.runs.view import View
from derl_trainers.settings.run import ConfigError, RunConfig, parse_config
from tests.trainers.toys import built

pytestmark = pytest.mark.xdist_group("training")

SUITE = "derl-math"
ANSWERS = [r"\boxed{7}", r"\boxed{3}", "3", "7 3", r"7, \boxed{3}", "The answer is 7"]
TEXTS = [before + text for before in ("", "Step 1: a\nStep 2: b\n") for text in ANSWERS]
ROLLOUTS = Rollouts({"completion": TEXTS, "answer": ["7"] * len(TEXTS)}, len(TEXTS))
# What is worth rewarding, though no proposer knows it: one score that misleads.
HIDDEN = "g1 + 0.6*g3 - 0.4*g2"
SYNTHETIC = ["evolution", "graph-rl", "graph-fit"]


def settings(kind: str, seed: int = 0, **more: Any) -> RunConfig:
    graph = {"fit_steps": 60, "fit_starts": 2}
    table = {"seed": seed, "proposer": {"kind": kind, "graph": graph}}
    return parse_config(table | more)


def context(config: RunConfig, policy: str = "", cold: Path | None = None) -> Context:
    """What a proposer is given, without a store or an executor."""
    run = Run(config, (), Path(), Path(), None)  # type: ignore[arg-type]
    return Context(run, Policy(policy, policy), cold)


def proposer(config: RunConfig) -> Proposer:
    if config.proposer.kind == "graph-fit":
        return GraphFit(context(config), ROLLOUTS)
    return make_proposer(context(config))


def values(formula: str) -> Any:
    return derl_dsl.compile(formula, suite=SUITE).score(ROLLOUTS.columns).values


def worth(formula: str) -> float:
    """The meta-reward of these tests: how alike the rewards are to the hidden one's, 1 at best."""
    return float(np.corrcoef(values(formula), values(HIDDEN))[0, 1])


def outcomes(step: int, formulas: list[str]) -> list[Past]:
    return [Past(step, f, judge(f, SUITE).key, worth(f)) for f in formulas]


@cache
def search(kind: str, seed: int = 0, steps: int = 6, blind: bool = False) -> list[list[Past]]:
    """The steps of a search; a blind one is told nothing."""
    asked = proposer(settings(kind, seed))
    found: list[list[Past]] = []
    for step in range(1, steps + 1):
        past = [] if blind else [p for group in found for p in group]
        found.append(outcomes(step, asked.write(step, past)))
    return found


def mean(group: list[Past]) -> float:
    return float(np.mean([p.meta_reward for p in group if p.meta_reward is not None]))


@pytest.mark.parametrize("kind", SYNTHETIC)
def test_formulas_depend_on_seed_step_and_past_alone(kind: str) -> None:
    config = settings(kind)
    steps = search(kind)
    past = [p for group in steps[:2] for p in group]
    torch.manual_seed(99)
    random.seed(99)
    anew = proposer(config).write(3, past)
    assert anew == [p.formula for p in steps[2]]
    assert proposer(settings(kind, seed=1)).write(3, past) != anew
    assert proposer(config).write(4, past) != anew
    worse = [replace(p, meta_reward=-worth(p.formula)) for p in past]
    assert proposer(config).write(3, worse) != anew


@pytest.mark.parametrize("kind", SYNTHETIC)
def test_all_formulas_check_and_are_different_rewards(kind: str) -> None:
    for seed in range(3):
        found = [p.key for group in search(kind, seed) for p in group]
        assert len(found) == 6 * 8
        assert None not in found
        assert len(set(found)) == len(found)


@pytest.mark.parametrize("kind", SYNTHETIC)
def test_formulas_improve(kind: str) -> None:
    gained = [mean(search(kind, seed)[5]) - mean(search(kind, seed)[0]) for seed in range(3)]
    assert np.mean(gained) > 0.1, gained


def test_the_fit_finds_the_hidden_reward() -> None:
    for seed in range(3):
        first, *_, last = (group[0].meta_reward for group in search("graph-fit", seed))
        assert first is not None
        assert last is not None
        assert first < 0.85
        assert last > 0.95


def test_evolution_is_better_than_random_search() -> None:
    """At the same price: its groups on average, and the best formula of the run."""
    bred = [search("evolution", seed) for seed in range(3)]
    drawn = [search("evolution", seed, blind=True) for seed in range(3)]
    assert mean([p for run in bred for p in run[5]]) > mean([p for run in drawn for p in run[5]])
    best, lucky = (
        [distinct([p for group in run for p in group])[0][1] for run in runs]
        for runs in (bred, drawn)
    )
    assert np.mean(best) > np.mean(lucky), (best, lucky)


def test_what_failed_or_broke_is_no_parent() -> None:
    asked = proposer(settings("evolution"))
    known = [Past(1, "g1 + g2", judge("g1 + g2", SUITE).key, 0.5)]
    useless = [
        Past(1, "g1 + (", None, -1.0, "not closed"),
        Past(1, "g3", judge("g3", SUITE).key, None),
        Past(1, "a = g1\nreward = a * g4", judge("g1 * g4", SUITE).key, 0.9),
    ]
    assert asked.write(2, [*known, *useless[1:]])
    assert asked.write(2, useless)
    assert asked.write(2, known) == asked.write(2, [*known, useless[0]])


def test_equal_formulas_are_averaged() -> None:
    key = judge("g1", SUITE).key
    past = [Past(1, "g1", key, 0.2), Past(1, "g4", "k", 0.5), Past(2, "2*g1", key, 0.6)]
    assert distinct(past) == [("g4", 0.5), ("g1", pytest.approx(0.4))]


def test_advantages_are_those_of_each_step_and_of_usable_formulas() -> None:
    past = [
        Past(1, "g1", "a", 0.2), Past(1, "g2", "b", 0.4), Past(1, "g9", None, -0.8),
        Past(2, "g3", "c", 0.7), Past(2, "g4", "d", 0.7), Past(2, "g1", "a", None),
    ]  # fmt: skip
    found = {p.formula: a for p, a in group_advantages(past)}
    assert found == pytest.approx({"g1": -1, "g2": 1})


def test_subtrees_go_where_their_type_fits() -> None:
    program = parse("g1 if g2 > 0.5 and not g3 < g4 else -g2 / 2", Report(Source("")))
    assert program is not None
    kinds = {expression_text(p.node): p.kind for p in places(program.reward)}
    assert kinds["g2 > 0.5"] == kinds["not g3 < g4"] == kinds["g3 < g4"] == "condition"
    assert kinds["g1"] == kinds["0.5"] == kinds["-g2 / 2"] == "number"
    for place in places(program.reward):
        assert replaced(program.reward, place.path, place.node) == program.reward
    # Whatever is made of it has the right types; its ranges may be wrong.
    trees = Trees(suite_scope(SUITE), random.Random(0))
    trees_made = [trees.mutated(program.reward) for _ in range(200)]
    trees_made += [trees.crossed(program.reward, trees.fresh()) for _ in range(200)]
    stages = [judge(expression_text(t), SUITE).stage for t in trees_made if t is not None]
    assert len(stages) > 250
    assert set(stages) <= {None, "unsafe", "degenerate"}


# The graph


def test_the_graph_has_twelve_weights_and_says_what_it_computes() -> None:
    network = Network(SUITE, ("g1", "g2", "g3", "g4"))
    assert network.size == 12
    weights = np.random.default_rng(0).normal(size=12).round(4)
    g = np.stack([values(f"1*{name}") for name in network.scores])
    expected = weights[10] * np.tanh(weights[:4] @ g + weights[4])
    expected += weights[11] * np.tanh(weights[5:9] @ g + weights[9])
    np.testing.assert_allclose(values(network.text(weights)), expected, atol=1e-12)
    assert network.usable(np.zeros(12)) is None


def test_the_graph_over_calls_of_another_suite() -> None:
    config = replace(settings("graph-rl"), suite="math")
    found = make_proposer(context(config)).write(1, [])
    assert all(judge(f, "math").key is not None for f in found)
    assert "exact(completion, answer)" in found[0]


@pytest.mark.parametrize("kind", ["graph-rl", "graph-fit"])
def test_a_suite_without_scores_has_no_graph(kind: str, tmp_path: Path) -> None:
    config = replace(settings(kind), suite="length")
    with pytest.raises(ConfigError, match=r"0/1 scores, and the suite 'length' has none"):
        proposer_class(config).check(config)
    # Before anything is built.
    with pytest.raises(ConfigError, match=r"0/1 scores, and the suite 'length' has none"):
        meta_train(config, tmp_path / "run", View(Console()))
    assert not (tmp_path / "run").exists()


def test_the_first_fit_is_the_outcome() -> None:
    first = proposer(settings("graph-fit")).write(1, [])[0]
    assert np.corrcoef(values(first), values("g1"))[0, 1] > 0.95


def test_the_fit_turns_from_a_misleading_outcome() -> None:
    # The formulas like g1 trained badly, those like g3 well.
    texts = {"g1": 0.1, "g1 + 0.1*g2": 0.1, "g3": 0.9, "g3 - 0.1*g2": 0.9}
    past = [Past(s, f, judge(f, SUITE).key, r) for s in range(1, 9) for f, r in texts.items()]
    first = proposer(settings("graph-fit")).write(9, past)[0]
    assert np.corrcoef(values(first), values("g3"))[0, 1] > 0.7


def test_the_graph_is_fitted_on_rollouts_of_the_start_policy(tmp_path: Path) -> None:
    from derl_trainers.runs.jobs import PolicyJob

    table: dict[str, Any] = {
        "task": {"arithmetic": {"size": 80, "test_size": 32, "warmup_size": 400}},
        "policy": {"tiny": {"hidden_size": 32, "intermediate_size": 32, "layers": 1, "steps": 20}},
        "inner": {"prompts": 2, "num_generations": 4, "updates": 1, "max_completion_length": 12},
        "proposer": {"kind": "graph-fit", "graph": {"rollouts": 64, "fit_steps": 5}},
    }
    config = parse_config(table)
    job = PolicyJob(config.task, config.policy, str(tmp_path), 0)
    path = built(job).path
    one, other = sample_rollouts(path, config), sample_rollouts(path, config)
    assert one == other
    assert {name: len(column) for name, column in one.columns.items()} == dict.fromkeys(
        ("prompt", "completion", "answer"), 64
    )
    prompts = one.columns["prompt"]
    assert all(len(set(prompts[k : k + 4])) == 1 for k in range(0, 64, 4))
    assert len(set(prompts)) == 16
    assert len(set(one.columns["completion"])) > 16
    formulas = make_proposer(context(config, path)).write(1, [])
    assert formulas == make_proposer(context(config, path)).write(1, [])
    assert all(judge(f, SUITE).key is not None for f in formulas)


# Language models


def model_folder(to: Path) -> Path:
    """A small untrained model that has a chat template, as a folder."""
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    model = small_llama(tokenizer, 32, 64, 1, 4, positions=2048)
    with torch.no_grad():
        for weight in model.parameters():
            weight *= 10  # as it is initialised, what comes next hardly depends on the prompt
    model.save_pretrained(to)
    tokenizer.save_pretrained(to)
    return to


def test_frozen_samples_whatever_came_of_it(tmp_path: Path) -> None:
    from derl_trainers.outer.optimizer import build_meta_optimizer

    config = settings("frozen", meta={"hidden_size": 32, "max_tokens": 8})
    meta = build_meta_optimizer(config.meta, SUITE, 0)
    meta.model.save_pretrained(tmp_path)
    meta.tokenizer.save_pretrained(tmp_path)
    asked = make_proposer(context(config, cold=tmp_path))
    second = asked.write(2, [])
    assert len(second) == config.meta.formulas
    torch.manual_seed(5)
    before = torch.get_rng_state()
    past = [Past(1, "g1", judge("g1", SUITE).key, 0.5)]
    assert make_proposer(context(config, cold=tmp_path)).write(2, past) == second
    assert torch.equal(torch.get_rng_state(), before)
    assert asked.write(1, []) != second


def test_a_prompted_model_sees_what_came_of_earlier_formulas(tmp_path: Path) -> None:
    model = str(model_folder(tmp_path / "model"))
    config = settings("prompted", meta={"model": model, "max_tokens": 8, "formulas": 3})
    past = outcomes(1, ["g1", "g1 + g3", "g2"])
    asked = make_proposer(context(config))
    blind, told = asked.write(2, []), asked.write(2, past)
    assert len(blind) == len(told) == 3
    assert blind != told
    assert make_proposer(context(config)).write(2, past) == told
    other = [replace(p, meta_reward=0.125) for p in past]
    assert make_proposer(context(config)).write(2, other) != told


def test_the_history_has_the_best_last_and_some_failures() -> None:
    past = [
        *(Past(1, f"g{k}+", None, -1.0, "wrong") for k in range(9)),
        *(Past(1, f"g{k}", f"k{k}", k / 10) for k in range(1, 5)),
        Past(2, "3*g4", "k4", 0.3),
        Past(2, "", None, -1.0),
    ]
    failed = [(f"g{k}+", -1.0) for k in range(5, 9)]
    assert history(past, 2) == [*failed, ("g3", 0.3), ("g4", pytest.approx(0.35))]
    assert history(past, 0) == []


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"kind": "prompted"}, r"\[proposer.prompted\] url: 'tiny' has read nothing"),
        ({"prompted": {"url": "localhost:1"}}, "url: expected http:// or https://, not"),
        ({"prompted": {"url": "http://localhost:1/v1"}}, "model: the endpoint's name"),
        ({"kind": "evolutions"}, "not 'evolutions'; did you mean 'evolution'"),
    ],
)
def test_mistakes_in_the_config_are_named(table: dict[str, Any], message: str) -> None:
    def read() -> None:
        config = parse_config({"proposer": {"kind": "prompted", **table}})
        proposer_class(config).check(config)

    with pytest.raises(ConfigError, match=message):
        read()
