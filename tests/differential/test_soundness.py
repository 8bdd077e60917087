"""What the checker proves holds on random rows inside the declared ranges."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from derl_dsl.backends import reference
from derl_dsl.backends.kernel import Bound, Kernel
from derl_dsl.checker import check_source
from derl_dsl.prove.certificate import Certificate
from derl_dsl.prove.checked import Checked
from derl_grammar.spans import Source
from tests.differential.programs import bound, scope, texts

ROWS = 48
GROUP = 4
# Values near 1e308 overflow in the comparisons of this test, not in the programs.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def contradictions(checked: Checked, rng: np.random.Generator) -> list[str]:
    """The claims of the certificate that a random row refutes."""
    graph, certificate = checked.graph, checked.certificate
    assert graph is not None
    assert certificate is not None
    kernel = reference.emit(graph)
    inputs = bound(graph, ROWS, rng, in_range=True, group=GROUP)
    values, applies = scored(kernel, inputs)
    found = []
    if certificate.finite and not np.isfinite(values[applies]).all():
        found.append("finite")
    fine = values[applies & ~np.isnan(values)]
    if len(fine) and (fine.min() < certificate.lo or fine.max() > certificate.hi):
        found.append(f"range [{certificate.lo}, {certificate.hi}]: {fine.min()}, {fine.max()}")
    if certificate.constant and len(set(values[applies].tolist())) > 1:
        found.append("constant")
    outcome = checked.outcome
    if outcome in graph.inputs([checked.reward]) and certificate.finite:
        found += outcome_contradictions(certificate, kernel, inputs, outcome)
    return found


def scored(kernel: Kernel, inputs: Bound) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The rewards and where they apply."""
    outputs = kernel(inputs)
    applies = outputs.get("?reward", np.ones(inputs.rows)) != 0
    return outputs["reward"], applies


def outcome_contradictions(
    certificate: Certificate, kernel: Kernel, inputs: Bound, outcome: int
) -> list[str]:
    """Raises the outcome of the first rollout of each group from wrong to right."""
    own = np.arange(ROWS) % GROUP == 0
    before = inputs.inputs[outcome]
    assert isinstance(before, np.ndarray)
    cases = []
    for value in (0.0, 1.0):
        changed = {**inputs.inputs, outcome: np.where(own, value, before)}
        cases.append(scored(kernel, dataclasses.replace(inputs, inputs=changed)))
    (wrong, applies_wrong), (right, applies_right) = cases
    both = own & applies_wrong & applies_right
    if not both.any():
        return []
    found = []
    slack = 1e-9 * np.maximum(1.0, np.maximum(np.abs(wrong), np.abs(right)))
    if certificate.outcome_monotone and (right < wrong - slack)[both].any():
        found.append("monotone")
    gap = right[own & applies_right].min() - wrong[own & applies_wrong].max()
    if certificate.margin is not None and gap < certificate.margin - slack[both].max():
        found.append(f"margin {certificate.margin}: {gap}")
    return found


def run(count: int, seed: int) -> tuple[list[tuple[str, list[str]]], dict[str, int]]:
    names = scope()
    rng = np.random.default_rng(seed)
    wrong, seen = [], {"finite": 0, "monotone": 0, "constant": 0}
    for text in texts(count, seed, names):
        checked = check_source(Source(text), names)
        certificate = checked.certificate
        assert certificate is not None
        seen["finite"] += certificate.finite
        seen["constant"] += certificate.constant
        seen["monotone"] += bool(certificate.outcome_monotone)
        refuted = contradictions(checked, rng)
        if refuted:
            wrong.append((text, refuted))
    return wrong, seen


def test_proofs_hold() -> None:
    wrong, seen = run(1500, seed=11)
    assert wrong == []
    # The claims are made often enough for the test to mean something.
    assert seen["finite"] > 500
    assert seen["monotone"] > 300
    assert seen["constant"] > 20


@pytest.mark.slow
def test_proofs_hold_on_twenty_thousand_programs() -> None:
    wrong, _ = run(20_000, seed=12)
    assert wrong == []
