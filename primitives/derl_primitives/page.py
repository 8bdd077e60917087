"""The reference page of all suites and primitives, generated from their declarations."""

from __future__ import annotations

from collections.abc import Iterator

from derl_primitives.primitive import Primitive, Suite
from derl_primitives.suites import SUITES
from derl_primitives.text import TEXT_FUNCTIONS

_HEAD = """\
# Primitives

Generated from the declarations in `derl_primitives`; do not edit. Write `--suite NAME`, or join
several with `+`. Cost: `constant` per text, `scan` one pass over it, `parse` builds something from
it, `process` runs in a worker.
"""


def page() -> str:
    """The page as Markdown.

    >>> page().splitlines()[0]
    '# Primitives'
    """
    suites = (line for suite in SUITES.values() for line in _suite(suite))
    return "\n".join([_HEAD, *suites, *_text_functions()])


def _text_functions() -> Iterator[str]:
    yield "## In every program: functions of a text\n"
    yield "They take a column or another of these functions; of a list of texts, step by step.\n"
    for primitive in TEXT_FUNCTIONS.values():
        yield from _primitive(primitive.signature, primitive)


def _suite(suite: Suite) -> Iterator[str]:
    yield f"## Suite `{suite.name}`\n\n{suite.doc}\n"
    columns = ", ".join(f"`{name}: {kind}`" for name, kind in suite.columns.items())
    yield f"Columns: {columns}  "
    yield f"Outcome: `{suite.outcome}`\n" if suite.outcome else "Outcome: none\n"
    if suite.extra:
        yield f"Needs {suite.extra.package}: `pip install 'derl-dsl[{suite.extra.name}]'`.\n"
    for primitive in suite.primitives.values():
        yield from _primitive(primitive.signature, primitive)
    for name, binding in suite.bindings.items():
        columns = ", ".join(binding.columns)
        yield from _primitive(
            f"{name}: {binding.primitive.returns}  (of {columns})", binding.primitive
        )


def _primitive(heading: str, primitive: Primitive) -> Iterator[str]:
    text, _, example = primitive.doc.partition(">>> ")
    yield f"### `{heading}`\n\n{text.strip()}\n"
    yield f"Cost: {primitive.cost}. Source: {primitive.source}.\n"
    if primitive.measured is not None:
        yield f"Measured on hard cases: {primitive.measured} (95% intervals).\n"
    for column, companion in primitive.beside.items():
        yield f"Of `{column}` the column `{companion.name}: {companion.type}` is read.\n"
    yield f"```python\n>>> {example.strip()}\n```\n"
