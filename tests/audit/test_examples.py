"""The examples in the docstrings of the audit hold."""

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize("name", ["excerpts", "findings", "run", "statistics"])
def test_docstring_examples(name):
    result = doctest.testmod(import_module(f"derl_dsl.tools.audit.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
