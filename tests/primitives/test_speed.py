"""The speed that is promised; on a quiet machine, so not in the default run."""

import pytest

from benchmarks import primitives


@pytest.mark.slow
def test_derl_math_is_five_times_as_fast_as_its_definitions():
    assert primitives.ratio(primitives.derl_math(primitives._EXAMPLES), 9) >= 5


@pytest.mark.slow
def test_math_equal_is_twenty_times_as_fast_as_math_verify():
    assert primitives.ratio(primitives.math_equal(primitives._EXAMPLES), 5) >= 20
