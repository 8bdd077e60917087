"""Fixes that are proven to leave a reward as it is: what `check --fix` and an editor's save apply.

A finding's fix may correct the meaning (another comparison, another scale) or only the words. Which
it is, is not claimed by the lint but proven here, fix by fix: the fixed program has no error, the
same parts, each with the same value and applicable in the same rows, reads the same inputs (one
that is missing or broken faults as before), and no comment is lost.
"""

from __future__ import annotations

import re
from collections import Counter

from derl_dsl.checker import linted, prove_source
from derl_dsl.graph.ir import Graph
from derl_dsl.key.atoms import label
from derl_dsl.key.structure import same_value
from derl_dsl.prove.checked import Checked
from derl_dsl.tools.project import Settings
from derl_grammar.diagnostics import Diagnostic
from derl_grammar.spans import Source

_COMMENT = re.compile(r"#[^\n]*")
# Each fix makes a text shorter or plainer, so that far fewer are ever needed.
_MOST = 1000


def fix_safely(checked: Checked, settings: Settings) -> tuple[Checked, tuple[Diagnostic, ...]]:
    """Make the safe fixes of the findings that the settings show, until none is left.

    Returns the program as it then is, and the findings whose fixes were made, in their order.
    """
    made: list[Diagnostic] = []
    while len(made) < _MOST:
        for found in settings.shown(checked.diagnostics):
            fixed = _fixed(checked, found, settings)
            if fixed is not None:
                made.append(found)
                checked = linted(fixed)
                break
        else:
            break
    return checked, tuple(made)


def _fixed(checked: Checked, found: Diagnostic, settings: Settings) -> Checked | None:
    """The program with one finding's fix, when it is proven to be the same reward."""
    before = checked.source.text
    if found.fix is None or not checked.ok or checked.graph is None:
        return None
    text = found.fix.apply(before)
    if text == before or _comments(text) != _comments(before):
        return None
    source = Source(text, checked.source.path)
    after = prove_source(source, checked.scope, settings.sizes)
    if not after.ok or after.graph is None or not _same(checked.graph, after.graph):
        return None
    return after


def _comments(text: str) -> Counter[str]:
    return Counter(_COMMENT.findall(text))


def _same(one: Graph, two: Graph) -> bool:
    """Whether both have the same outputs, in values and in what they read."""
    if one.outputs.keys() != two.outputs.keys() or (one.steps is None) != (two.steps is None):
        return False
    if _reads(one) != _reads(two):
        return False
    names = [*one.outputs, *(["steps"] if one.steps is not None else [])]
    return all(same_value(one, two, name) for name in names)


def _reads(graph: Graph) -> dict[str, set[str]]:
    """What each output reads: a row that lacks it is a fault of that output."""
    names = [*graph.outputs, *(["steps"] if graph.steps is not None else [])]
    return {name: {label(graph, i) for i in graph.inputs(graph.roots_of(name))} for name in names}
