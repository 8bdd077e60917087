"""The reference page of all suites and primitives, generated from their declarations."""

from __future__ import annotations

from collections.abc import Iterator

from derl_primitives.primitive import Primitive, Suite
from derl_primitives.suites import SUITES

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
    return "\n".join([_HEAD, *(line for suite in SUITES.values() for line in _suite(suite))])


def _suite(suite: Suite) -> Iterator[str]:
    yield f"## Suite `{suite.name}`\n\n{suite.doc}\n"
    columns = ", ".join(f"`{name}: {kind}`" for name, kind in suite.columns.items())
    yield f"Columns: {columns}  "
    yield f"Outcome: `{suite.outcome}`\n" if suite.outcome else "Outcome: none\n"
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
    yield f"```python\n>>> {example.strip()}\n```\n"
