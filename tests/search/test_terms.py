"""Terms: the same values as their text, within their ranges; variation keeps their rules."""

import random
from itertools import islice

import numpy as np
import pytest

from derl_dsl.backends.kernel import Bound
from derl_dsl.backends.pack import key_of, pack
from derl_dsl.backends.reference import emit
from derl_dsl.backends.vm import Session
from derl_dsl.checker import check
from derl_dsl.generate.unparse import expression_text
from derl_dsl.score.reward import compile
from derl_dsl.tools.search.forest import Forest
from derl_dsl.tools.search.forms import FORMS, NAMED
from derl_dsl.tools.search.packing import Packer
from derl_dsl.tools.search.vary import Variation
from derl_dsl.tools.search.vocabulary import Feature
from derl_grammar import nodes as n

ROWS, GROUP = 24, 4
TYPES = {"a": "number[0, 1]", "b": "bool", "c": "bool", "w": "number[0, 400]"}


def features() -> list[Feature]:
    def named(name: str, condition: bool, hi: float, *cuts: float) -> Feature:
        return Feature(n.Name(name, (0, 0)), name, condition, 0.0, hi, cuts)

    return [
        named("a", False, 1.0, 0.2, 0.5, 0.8),
        named("b", True, 1.0),
        named("c", True, 1.0),
        named("w", False, 400.0, 10.0, 50.0, 120.0, 300.0),
    ]


@pytest.fixture(scope="module")
def data() -> dict[str, list]:
    rng = np.random.default_rng(3)
    return {
        "a": np.round(rng.random(ROWS), 1).tolist(),
        "b": (rng.random(ROWS) < 0.5).tolist(),
        "c": (rng.random(ROWS) < 0.3).tolist(),
        "w": rng.integers(0, 401, ROWS).tolist(),
    }


def values_of(forest: Forest, term: int, data: dict[str, list]) -> np.ndarray:
    graph, (root,) = forest.lower([term])
    graph.outputs["reward"] = root
    names = {f"feature{k}": f.text for k, f in enumerate(forest.features)}
    inputs = {
        i: np.array(data[names[graph.source(i).name]], dtype=np.float64)
        for i in graph.inputs([root])
    }
    groups = np.arange(0, ROWS + 1, GROUP)
    return emit(graph)(Bound(inputs, ROWS, groups, np.ones(ROWS, dtype=bool)))["reward"]


def grown(seed: int, size: int = 20):
    forest = Forest(features(), size)
    variation = Variation(forest, random.Random(seed))
    while True:
        term = variation.fresh("N", 12)
        if term is None:
            continue
        yield forest, term
        for changed in (variation.mutated(term), variation.crossed(term, 0)):
            if changed is not None and forest.terms[changed].kind == "N":
                yield forest, changed


def test_programs_packed_in_loops_compute_what_those_of_one_graph_do(data):
    pairs = list(islice(grown(5), 600))
    forest = pairs[0][0]
    packer = Packer()
    numbers = Forest(features(), forest.largest, packer)
    constant = forest.make(NAMED["level"], (), (0.3,))
    packer.pack(numbers.lower([numbers.plant(forest.tree(constant))])[1])
    for start in range(0, len(pairs), 40):
        # Inputs, constants, and the same term twice may be rows of output as well.
        terms = [t for _, t in pairs[start : start + 40]] + [0, constant, pairs[start][1]]
        graph, roots = forest.lower(terms)
        names = {f"feature{k}": f.text for k, f in enumerate(forest.features)}
        inputs = {
            key_of(graph.nodes[i]): np.array(data[names[graph.source(i).name]], dtype=np.float64)
            for i in graph.inputs(roots)
        }
        session = Session(inputs, ROWS, np.arange(0, ROWS + 1, GROUP))
        _, same = numbers.lower([numbers.plant(forest.tree(t)) for t in terms])
        found, expected = packer.pack(same), pack(graph, roots)
        assert found.registers <= expected.registers + 4
        assert found.length == expected.length
        np.testing.assert_array_equal(session.run([found]), session.run([expected]))
        assert (packer.state == -8).all()


def test_a_term_has_the_values_of_its_text_within_its_range(data):
    seen = set()
    every = {form.name for form in FORMS}
    for number, (forest, term) in enumerate(grown(1)):
        if number >= 300 and seen == every:
            break
        assert number < 3000, every - seen
        text = expression_text(forest.expression(term))
        if {d.code for d in check(text, columns=TYPES) if d.severity == "error"} == {"DRL304"}:
            # Constant, as `b and not b`: the proof of finite domains sees what ranges do not.
            continue
        reward = compile(text, columns=TYPES, backend="reference")
        expected = reward.score(data, group_size=GROUP).values
        found = values_of(forest, term, data)
        assert found.tobytes() == expected.tobytes(), text
        at = forest.terms[term]
        assert (at.span.lo <= found).all()
        assert (found <= at.span.hi).all()
        below = [term]
        while below:
            part = forest.terms[below.pop()]
            below += part.args
            seen |= {part.form.name} if part.form else set()


def test_size_counts_names_numbers_and_operations():
    forest = Forest(features(), 20)
    ramp = forest.make(NAMED["ramp"], (3,), (10.0, 50.0))
    condition = forest.make(NAMED["num"], (1,))
    total = forest.make(NAMED["add"], (ramp, condition))
    assert expression_text(forest.expression(total)) == "ramp(w, 10, 50) + b"
    assert forest.terms[total].size == 6


def test_what_is_too_large_constant_or_unsafe_is_no_term():
    forest = Forest(features(), 4)
    two = forest.make(NAMED["num"], (1,))
    assert forest.make(NAMED["add"], (two, two)) is None
    assert forest.make(NAMED["ramp"], (3,), (10.0, 50.0)) is not None
    minus = forest.make(NAMED["minus"], (0,))
    assert forest.make(NAMED["root"], (minus,)) is None, "the root of what may be negative"
    assert Forest(features(), 3).make(NAMED["ramp"], (3,), (10.0, 50.0)) is None, "too large"
    level = forest.make(NAMED["level"], (), (0.5,))
    assert forest.make(NAMED["square"], (level,)) is None, "constant"


def test_two_minuses_cancel_and_differences_turn():
    forest = Forest(features(), 20)
    b = forest.make(NAMED["num"], (1,))
    minus = forest.make(NAMED["minus"], (0,))
    assert forest.make(NAMED["minus"], (minus,)) == 0
    assert forest.turned(minus) == 0
    difference = forest.make(NAMED["sub"], (0, b))
    assert expression_text(forest.expression(forest.turned(difference))) == "b - a"


def test_trees_travel_and_codes_are_the_same_everywhere():
    for forest, term in islice(grown(2), 200):
        other = Forest(features(), 20)
        planted = other.plant(forest.tree(term))
        assert other.terms[planted].code == forest.terms[term].code
        assert other.tree(planted) == forest.tree(term)


def test_the_same_seed_draws_the_same_terms():
    first = [f.tree(t) for f, t in islice(grown(5), 100)]
    assert first == [f.tree(t) for f, t in islice(grown(5), 100)]
    assert first != [f.tree(t) for f, t in islice(grown(6), 100)]


def test_cuts_belong_to_the_feature_they_cut():
    def check(forest: Forest, term: int) -> None:
        at = forest.terms[term]
        if at.form is not None and "cut" in at.form.literals:
            assert set(at.numbers) <= set(forest.features[at.args[0]].cuts)
        for arg in at.args:
            check(forest, arg)

    for forest, term in islice(grown(7), 400):
        check(forest, term)


@pytest.mark.parametrize("kept", [[0], [1], [3], [1, 3]])
def test_few_features_still_grow(kept):
    forest = Forest([features()[k] for k in kept], 12)
    variation = Variation(forest, random.Random(0))
    found = {variation.fresh("N", 8) for _ in range(50)} - {None}
    assert len(found) > 3
    assert all(forest.terms[t].kind == "N" for t in found)
