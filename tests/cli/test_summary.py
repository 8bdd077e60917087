"""The statistics, against values worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from derl_dsl.tools.evaluate.summary import (
    agree,
    group_codes,
    histogram,
    summarise,
    zero_variance_groups,
)

NAN = math.nan


def test_summary_by_hand():
    s = summarise(np.array([1.0, 2.0, NAN, 6.0, 7.0]))
    assert (s.rows, s.mean, s.min, s.max) == (5, 4.0, 1.0, 7.0)
    assert s.std == pytest.approx(math.sqrt((9 + 4 + 4 + 9) / 4))
    assert s.not_applicable == pytest.approx(0.2)
    assert s.zero_variance_groups is None
    assert s.histogram.counts == (1, 1, 0, 0, 0, 0, 1, 1)


def test_summary_of_nothing():
    s = summarise(np.array([NAN, NAN]))
    assert (s.mean, s.std, s.min, s.max, s.not_applicable) == (None, None, None, None, 1.0)
    assert s.histogram.counts == ()
    assert summarise(np.array([])).rows == 0


def test_equal_values_have_no_deviation():
    s = summarise(np.full(1001, 0.1))
    assert (s.mean, s.std) == (0.1, 0.0)
    assert s.histogram.counts == (1001,)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=False, width=32), max_size=30))
def test_summary_is_consistent(values):
    s = summarise(np.array(values, dtype=np.float64))
    present = [v for v in values if v == v]
    assert sum(s.histogram.counts) == len(present)
    if present:
        assert min(present) == s.min <= s.mean <= s.max == max(present)


def test_zero_variance_groups_by_hand():
    keys = ["a", "a", "b", "b", "c", "c", "d", "e", "e"]
    values = np.array([1.0, 1.0, 0.0, 1.0, NAN, 1.0, 2.0, NAN, NAN])
    codes = group_codes(keys)
    assert codes.tolist() == [0, 0, 1, 1, 2, 2, 3, 4, 4]
    assert zero_variance_groups(values, codes) == pytest.approx(4 / 5)  # all but b
    assert summarise(values, codes).zero_variance_groups == pytest.approx(4 / 5)
    assert zero_variance_groups(np.array([]), group_codes([])) is None


def test_groups_need_not_be_consecutive():
    values = np.array([0.0, 5.0, 1.0, 5.0])
    assert zero_variance_groups(values, group_codes([1, 2, 1, 2])) == 0.5


def test_histogram_bins():
    assert histogram(np.array([0.0, 0.24, 0.25, 0.5, 1.0]), bins=4).counts == (2, 1, 1, 1)
    assert histogram(np.array([-1e308, 1e308]), bins=2).counts == (1, 1)
    assert histogram(np.array([0.0, 5e-324]), bins=2).counts in {(1, 1), (2,)}


def test_agreement_by_hand():
    reward = np.array([1.0, 0.0, 1.0, NAN, 0.0, 1.0])
    outcome = np.array([1.0, 0.0, 0.0, 1.0, NAN, 1.0])
    a = agree(reward, outcome)
    assert a.rows == 4
    assert a.agreement == 0.75
    assert a.disagreements is not None
    assert a.disagreements.tolist() == [2]
    # right 1, 1; wrong 0, 1: two pairs in order, two ties
    assert a.ranking == 0.75
    # x = 1 0 1 1, y = 1 0 0 1: covariance 1/8, deviations sqrt(3/16) and 1/2
    assert a.correlation == pytest.approx((1 / 8) / (math.sqrt(3 / 16) / 2))


def test_agreement_of_shades_is_ranking_only():
    a = agree(np.array([0.2, 0.5, 0.9]), np.array([0.0, 0.0, 1.0]))
    assert a.agreement is None
    assert a.disagreements is None
    assert a.ranking == 1.0
    assert agree(np.array([3.0, 2.0, 1.0]), np.array([0.0, 0.0, 1.0])).ranking == 0.0


@pytest.mark.parametrize(
    ("reward", "outcome"), [([1.0, 1.0], [0.0, 1.0]), ([], []), ([NAN, 1.0], [0.0, NAN])]
)
def test_no_correlation_without_variation(reward, outcome):
    assert agree(np.array(reward), np.array(outcome)).correlation is None


def test_huge_values_correlate():
    x = np.array([1e308, -1e308, 5e307])
    assert agree(x, np.array([1.0, 0.0, 0.75])).correlation == pytest.approx(1.0)
