"""The compiled figures against the audit's, fingerprints, and what the archive keeps."""

import numpy as np
import pytest

from derl_dsl.tools.audit.statistics import misorder
from derl_dsl.tools.evaluate.summary import flat_groups
from derl_dsl.tools.search.archive import Archive, Entry, front, spread_out
from derl_dsl.tools.search.problem import Rollouts
from derl_dsl.tools.search.screen import Screen
from derl_dsl.tools.search.vocabulary import Feature
from derl_grammar import nodes as n

SIZES = (1, 2, 5, 3, 4, 4, 1, 6)


def rollouts(seed: int) -> Rollouts:
    rng = np.random.default_rng(seed)
    rows = sum(SIZES)
    offsets = np.concatenate([[0], np.cumsum(SIZES)])
    right = rng.random(rows) < 0.5
    right[offsets[3] : offsets[4]] = True
    return Rollouts(np.arange(rows), rng.random((1, rows)), right, offsets)


def screen(part: Rollouts) -> Screen:
    return Screen([Feature(n.Name("x", (0, 0)), "x", False, 0.0, 1.0, (0.5,))], part)


@pytest.mark.parametrize("seed", range(5))
def test_figures_are_those_of_the_audit(seed):
    part = rollouts(seed)
    groups = np.repeat(np.arange(len(SIZES)), SIZES)
    scores = np.random.default_rng(seed).integers(0, 4, (50, part.rows)).astype(np.float64)
    scores[0] = 1.0
    found = screen(part).survey(scores)
    for k, row in enumerate(scores):
        expected = misorder(row, part.right.astype(np.float64), groups, 0)
        share = 1 - (expected.above + expected.tied / 2) / expected.pairs
        flat = flat_groups(row, groups)
        several = np.array(SIZES) > 1
        assert found.order[k] == pytest.approx(share if k else 0.5)
        assert found.spread[k] == pytest.approx((~flat).sum() / several.sum())
        still = [
            g for g in range(len(SIZES))
            if several[g] and len(set(part.right[groups == g])) == 1
        ]  # fmt: skip
        assert found.signal[k] == pytest.approx(np.mean([not flat[g] for g in still]))
        assert found.width[k] == np.ptp(row)


def test_fingerprints_forget_affine_changes_and_nothing_else():
    part = rollouts(1)
    rng = np.random.default_rng(0)
    base = rng.random(part.rows)
    other = base.copy()
    other[3] += 0.01
    same = screen(part).survey(np.stack([base, 3.7 * base - 11, 1e-3 * base, -0.2 * base + 5]))
    assert len(set(same.prints.tolist())) == 1
    assert same.order[3] == pytest.approx(1 - same.order[0])
    different = screen(part).survey(np.stack([base, other, base**2]))
    assert len(set(different.prints.tolist())) == 3


def test_a_fingerprint_of_conditions_survives_scaling():
    # Sums like 0.1 + 0.2 round differently: plain fractions must not lie on a step.
    part = rollouts(2)
    rng = np.random.default_rng(5)
    for _ in range(200):
        a, b = rng.random((2, part.rows)) < 0.5
        scores = np.stack([0.1 * a + 0.2 * b, (a + 2.0 * b) / 3, 0.7 * (0.1 * a + 0.2 * b) + 0.3])
        assert len(set(screen(part).survey(scores).prints.tolist())) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_told(bad):
    part = rollouts(1)
    scores = np.random.default_rng(0).random((2, part.rows))
    scores[1, 7] = bad
    found = screen(part).survey(scores)
    assert found.finite.tolist() == [True, False]


def entry(order: float, signal: float, size: int, print_: int = 0) -> Entry:
    code = hash((order, signal, size, print_))
    return Entry(order, signal, size, print_ or code, code, (-1, (), ()))


def test_the_front_is_what_nothing_beats():
    rng = np.random.default_rng(2)
    entries = [
        entry(round(float(o), 2), round(float(s), 1), int(size))
        for o, s, size in zip(*rng.random((2, 300)), rng.integers(1, 12, 300), strict=True)
    ]

    def beaten(a: Entry) -> bool:
        return any(
            (b.order, b.signal, -b.size) != (a.order, a.signal, -a.size)
            and b.order >= a.order
            and b.signal >= a.signal
            and b.size <= a.size
            for b in entries
        )

    expected = {(e.order, e.signal, e.size) for e in entries if not beaten(e)}
    found = front(entries)
    assert {(e.order, e.signal, e.size) for e in found} == expected
    assert len(found) == len(expected)
    assert [e.order for e in found] == sorted((e.order for e in found), reverse=True)


def test_a_front_ignores_hairs():
    assert front([entry(0.8, 1.0, 3), entry(0.8001, 1.0, 9)]) == [entry(0.8, 1.0, 3)]


def test_of_equal_scores_the_archive_keeps_the_smallest():
    archive = Archive()
    assert archive.offer(entry(0.8, 0.5, 9, 77))
    assert archive.offer(entry(0.8, 0.5, 4, 77))
    assert not archive.offer(entry(0.8, 0.5, 6, 77))
    assert [e.size for e in archive.entries] == [4]


def test_a_full_cell_takes_only_what_is_better():
    archive = Archive(entry(0.5 + k / 100, 0.5, 4) for k in range(30))
    kept = [e.order for e in archive.entries]
    assert kept == sorted(kept, reverse=True)
    assert kept[0] == 0.79
    cell = archive.entries[0].cell
    assert archive.least(cell) == kept[-1] > 0.7
    assert not archive.offer(entry(0.6, 0.5, 4, 5))
    assert archive.offer(entry(0.6, 0.5, 5, 5)), "another size is another cell"


def test_the_crowded_go_first_and_the_ends_stay():
    entries = [entry(0.9, 0.1, 9), entry(0.89, 0.1, 8), entry(0.88, 0.1, 7), entry(0.5, 1.0, 1)]
    shown = spread_out(entries, 2)
    assert {e.order for e in shown} == {0.9, 0.5}
    assert spread_out(entries, 10) == entries
