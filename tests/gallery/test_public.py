"""The twelve public rewards equal their published code, on rows with their edge cases."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np
import pytest

from derl_dsl import gallery
from derl_dsl.tools.testing.cases import read_tests
from derl_dsl.tools.testing.run import run_tests
from tests.gallery.public import PUBLIC

# A row of code runs up to three processes in the plain statement.
ROWS = {"38_code_passes": 40}


@pytest.mark.parametrize("name", PUBLIC)
def test_it_equals_the_published_code(name: str) -> None:
    make, stated = PUBLIC[name]
    rng = random.Random(name)
    rows = [make(rng) for _ in range(ROWS.get(name, 400))]
    columns = {k: [row[k] for row in rows] for k in rows[0] if not k.startswith("_")}
    expected = [float(stated(row)) for row in rows]
    for backend in ("auto", "reference"):
        scores = gallery.load(name, backend=backend).score(columns)
        assert not scores.faults
        np.testing.assert_allclose(scores.values, expected, rtol=0, atol=1e-9)
    # Rows on which nothing happens would prove nothing.
    assert len({round(v, 9) for v in expected}) >= 2
    assert all(np.mean(np.isclose(expected, v)) < 0.9 for v in set(expected))


@pytest.mark.parametrize("name", PUBLIC)
def test_its_own_tests_pass_and_it_names_its_source(name: str) -> None:
    source, settings = gallery.read(name)
    assert re.search(r"^# Source: .+", source.text, re.M)
    beside = Path(source.path).with_suffix(".test.derl")
    tests = read_tests(str(beside), beside.read_text("utf-8"))
    assert tests.cases
    found = run_tests(tests, source, settings)
    assert not found.failed, found.failed
