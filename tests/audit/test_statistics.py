"""The figures of an audit are of all rows, whatever part of them is worked on at once."""

from __future__ import annotations

import numpy as np
import pytest

from derl_dsl.tools.audit import statistics
from derl_dsl.tools.audit.statistics import first_rows, misorder, outliers, relate
from derl_dsl.tools.evaluate import summary
from derl_dsl.tools.evaluate.kept import Kept
from derl_dsl.tools.evaluate.summary import agree, group_codes


def columns(rows=1000):
    rng = np.random.default_rng(3)
    outcome = rng.integers(0, 2, rows).astype(float)
    reward = np.where(rng.random(rows) < 0.5, outcome, rng.normal(size=rows).round(1))
    reward[rng.random(rows) < 0.05] = np.nan
    reward[17] = 40.0
    return reward, outcome, group_codes(rng.integers(0, 150, rows).tolist())


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(statistics, "_CHUNK", 64)
    monkeypatch.setattr(summary, "_CHUNK", 64)


def naive_ranks(values):
    return [(values < v).sum() + ((values == v).sum() - 1) / 2 for v in values]


def test_spearman_is_pearson_of_the_ranks(small_parts):
    reward, outcome, _ = columns()
    known = ~np.isnan(reward)
    pair = naive_ranks(reward[known]), naive_ranks(outcome[known])
    found = relate(Kept(reward), Kept(outcome))
    assert found.n == known.sum()
    assert found.spearman == pytest.approx(np.corrcoef(*pair)[0, 1])
    assert found.pearson == pytest.approx(np.corrcoef(reward[known], outcome[known])[0, 1])


def test_misordered_pairs_are_those_of_each_group(small_parts):
    reward, outcome, groups = columns()
    pairs = above = tied = 0
    worse = set()
    for group in range(groups.max() + 1):
        inside = np.flatnonzero((groups == group) & ~np.isnan(reward))
        for good in inside[outcome[inside] > 0.5]:
            for bad in inside[outcome[inside] <= 0.5]:
                pairs += 1
                tied += reward[bad] == reward[good]
                if reward[bad] > reward[good]:
                    above += 1
                    worse.add(int(bad))
    found = misorder(Kept(reward), Kept(outcome), groups, 5)
    assert (found.pairs, found.above, found.tied) == (pairs, above, tied)
    assert set(found.rows.tolist()) == worse
    gaps = [reward[bad] - reward[good] for good, bad in found.examples]
    assert gaps == sorted(gaps, reverse=True)
    whole = misorder(reward, outcome, None, 5)
    one = misorder(reward, outcome, np.zeros(len(reward), np.int64), 5)
    assert (whole.pairs, whole.above, whole.tied) == (one.pairs, one.above, one.tied)


def test_outliers_are_found_with_their_rows(small_parts):
    reward, _, _ = columns()
    found = outliers(Kept(reward), 30.0, 0.001)
    present = reward[~np.isnan(reward)]
    spread = np.median(np.abs(present - np.median(present)))
    assert found.rows.tolist() == [17]
    assert found.distance == pytest.approx(np.abs(present - np.median(present)).max() / spread)


def test_first_rows_and_the_share_of_pairs_in_order(small_parts):
    reward, outcome, groups = columns()
    assert first_rows(groups).tolist() == [groups.tolist().index(g) for g in range(150)]
    known = ~np.isnan(reward)
    good, bad = (reward[known & (outcome == told)] for told in (1, 0))
    order = (good[:, None] > bad).mean() + (good[:, None] == bad).mean() / 2
    assert agree(Kept(reward), Kept(outcome)).ranking == pytest.approx(order)
