"""Every primitive is documented and its example is true."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import derl_primitives
from derl_primitives.page import page
from derl_primitives.primitive import COSTS, Primitive
from derl_primitives.suites import SUITES
from derl_primitives.text import TEXT_FUNCTIONS

PRIMITIVES = [
    pytest.param(p, id=f"{suite.name}:{name}")
    for suite in SUITES.values()
    for name, p in [
        *suite.primitives.items(),
        *((name, binding.primitive) for name, binding in suite.bindings.items()),
    ]
] + [pytest.param(p, id=name) for name, p in TEXT_FUNCTIONS.items()]
MODULES = [f"derl_primitives.{m.name}" for m in pkgutil.iter_modules(derl_primitives.__path__)]


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_the_example_runs(primitive: Primitive):
    globs = vars(importlib.import_module(primitive.fn.__module__)).copy()
    case = doctest.DocTestParser().get_doctest(primitive.doc, globs, primitive.name, None, 0)
    assert case.examples, f"{primitive.name} shows no example"
    report: list[str] = []
    result = doctest.DocTestRunner().run(case, out=report.append)
    assert result.failed == 0, "".join(report)


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_the_declaration_is_complete(primitive: Primitive):
    first = primitive.doc.splitlines()[0]
    assert first.endswith(".")
    assert primitive.source
    assert primitive.cost in COSTS
    assert primitive.fn.__name__ == primitive.name


@pytest.mark.parametrize("module", MODULES)
def test_examples_of_helpers_run(module: str):
    result = doctest.testmod(importlib.import_module(module))
    assert result.failed == 0


def test_bindings_fit_their_columns():
    for suite in SUITES.values():
        for binding in suite.bindings.values():
            types = [suite.columns[name] for name in binding.columns]
            assert types == [p.type for p in binding.primitive.params]


def test_the_page_is_up_to_date():
    path = Path(__file__).parents[2] / "primitives" / "PRIMITIVES.md"
    shown = path.read_text(encoding="utf-8")
    assert shown.endswith(page().rstrip("\n") + "\n"), "run `make docs`"
