"""Every code has a page with an example that raises it and one that does not."""

from __future__ import annotations

import pytest

import derl_dsl
from derl_dsl.tools.catalogue import load_codes
from derl_grammar.diagnostics import Code

# Codes of data (6xx, 7xx) have examples with rows: tests/audit. Those of exports (8xx) are raised
# by the export: tests/adapters; DRL406 asks for --budget: tests/cli/test_budget.py.
ASKED = ("DRL406", "DRL6", "DRL7", "DRL8")
CODES = [code for code in load_codes() if not code.code.startswith(ASKED)]


@pytest.mark.parametrize("code", CODES, ids=lambda c: c.code)
def test_bad_example_raises_the_code(code: Code) -> None:
    found = derl_dsl.check(code.bad, suite=code.suite, columns=dict(code.columns))
    assert code.code in [d.code for d in found]


@pytest.mark.parametrize("code", CODES, ids=lambda c: c.code)
def test_good_example_is_clean(code: Code) -> None:
    found = derl_dsl.check(code.good, suite=code.suite, columns=dict(code.columns))
    assert [d for d in found if d.severity != "info" or d.code == code.code] == []


def test_pages_say_why() -> None:
    assert len(CODES) >= 25
    assert all(len(code.why) > 20 for code in CODES)
