"""What the checker proves holds on random rows inside the declared ranges."""

from __future__ import annotations

import numpy as np
import pytest
from derl_dsl.backends import reference
from derl_dsl.checker import Checked, check_source
from derl_grammar.spans import Source

from tests.differential.programs import ranged_rows, scope, texts

ROWS = 48


def contradictions(checked: Checked, rng: np.random.Generator) -> list[str]:
    """The claims of the certificate that a random row refutes."""
    graph, certificate = checked.graph, checked.certificate
    assert graph is not None
    assert certificate is not None
    kernel = reference.emit(graph)
    inputs = ranged_rows(graph, ROWS, rng)
    values = kernel(inputs, ROWS)["reward"]
    found = []
    if certificate.finite and not np.isfinite(values).all():
        found.append("finite")
    fine = values[~np.isnan(values)]
    if len(fine) and (fine.min() < certificate.lo or fine.max() > certificate.hi):
        found.append(f"range [{certificate.lo}, {certificate.hi}]: {fine.min()}, {fine.max()}")
    if certificate.constant and len(set(values.tolist())) > 1:
        found.append("constant")
    used = graph.inputs([checked.reward])
    if certificate.outcome_monotone and checked.outcome in used:
        wrong = kernel({**inputs, checked.outcome: np.zeros(ROWS)}, ROWS)["reward"]
        right = kernel({**inputs, checked.outcome: np.ones(ROWS)}, ROWS)["reward"]
        slack = 1e-9 * np.maximum(np.abs(wrong), np.abs(right))
        if (right < wrong - slack).any():
            found.append("monotone")
        if certificate.margin is not None and right.min() - wrong.max() < (
            certificate.margin - 1e-9 * max(abs(right.min()), abs(wrong.max()), 1.0)
        ):
            found.append(f"margin {certificate.margin}")
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
