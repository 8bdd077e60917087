"""The pages' colours can be told from the paper, and what an audit's page says of its dots."""

from __future__ import annotations

import re

import numpy as np
import pytest

from derl_dsl.tools.audit.codes import FIXES, PASSED
from derl_dsl.tools.audit.plots import drawn
from derl_grammar.diagnostics import CODES
from tests.conftest import ROOT

COMMON = (ROOT / "derl_dsl/derl_dsl/tools/pages/page.css").read_text("utf-8")
REPORT = (ROOT / "trainers/derl_trainers/report/report.css").read_text("utf-8")
COLOUR = re.compile(r"--([\w]+): (#[0-9a-f]{6});")


def light(hexadecimal: str) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    parts = [int(hexadecimal[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    low, high = sorted((light(a), light(b)))
    return (high + 0.05) / (low + 0.05)


def themes(css: str) -> tuple[dict[str, str], dict[str, str]]:
    bright, _, dark = css.partition("@media (prefers-color-scheme: dark)")
    first = dict(COLOUR.findall(bright))
    return first, first | dict(COLOUR.findall(dark.partition("\n}\n")[0]))


@pytest.mark.parametrize("dark", [False, True])
def test_every_mark_stands_out_from_the_paper(dark: bool) -> None:
    common, report = themes(COMMON)[dark], themes(REPORT)[dark]
    marks = {**{k: common[k] for k in ("right", "wrong", "all", "bad", "look", "ok")}, **report}
    assert len(marks) == 6 + 11
    low = {k: round(contrast(c, common["paper"]), 2) for k, c in marks.items()}
    assert min(low.values()) >= 3, low
    assert contrast(common["faint"], common["paper"]) >= 4.5


def test_every_audit_says_what_holds_when_nothing_is_found() -> None:
    assert PASSED.keys() == FIXES.keys()
    assert all(told != CODES[code].title for code, told in PASSED.items())


def test_a_million_rows_are_thinned_evenly() -> None:
    values = np.arange(1_000_000, dtype=float)
    values[5] = np.nan
    both, shown = drawn(values, values)
    assert len(both) == 999_999
    assert 1400 < len(shown) <= 1500
    assert set(np.diff(np.searchsorted(both, shown))) == {-(-999_999 // 1500)}
