"""Lints: what is sound but a doubtful reward; one rule a file, listed here.

A lint runs only on programs without errors. It never changes whether a program is accepted.
To add one: a file with CODE (why, a bad and a good program), `look` and RULE; a line in RULES; a
chunk in tests/golden/programs/lint_*.derl that it fires on, and one that it leaves alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from derl_dsl.lint import (
    affine,
    circling,
    constant_branch,
    constant_part,
    dialect,
    double_negation,
    drowned,
    duplicated_term,
    empty_answer,
    epsilon,
    equality,
    group_target,
    idle_bounds,
    idle_extreme,
    idle_guard,
    inverted_component,
    magic_number,
    opposite_signs,
    outscored,
    punished_sign,
    redundant_condition,
    repeated_condition,
    reversed_bounds,
    same_operands,
    switched_off,
    threshold,
    tiny_scale,
    unbounded,
    unused_part,
    veto,
)
from derl_dsl.lint.context import Context, Rule
from derl_dsl.lint.suppress import named_target, suppressed
from derl_grammar import nodes as n
from derl_grammar.diagnostics import Diagnostic

if TYPE_CHECKING:
    from derl_dsl.prove.checked import Checked

# In this order: a rule may leave out what an earlier one has told.
RULES: tuple[Rule, ...] = (
    # Expressions, operands first
    same_operands.RULE,
    threshold.RULE,
    equality.RULE,
    constant_branch.RULE,
    repeated_condition.RULE,
    redundant_condition.RULE,
    epsilon.RULE,
    reversed_bounds.RULE,
    idle_bounds.RULE,
    idle_extreme.RULE,
    idle_guard.RULE,
    double_negation.RULE,
    group_target.RULE,
    dialect.RULE,
    # The program
    constant_part.RULE,
    unused_part.RULE,
    veto.RULE,
    inverted_component.RULE,
    punished_sign.RULE,
    unbounded.RULE,
    drowned.RULE,
    switched_off.RULE,
    outscored.RULE,
    empty_answer.RULE,
    duplicated_term.RULE,
    opposite_signs.RULE,
    affine.RULE,
    tiny_scale.RULE,
    circling.RULE,
    magic_number.RULE,
)

_AT: dict[str, list[Rule]] = defaultdict(list)
for _rule in RULES:
    for _written in _rule.at:
        _AT[_written].append(_rule)
_PROGRAM = tuple(rule for rule in RULES if not rule.at)
# What an expression is written with, as `Rule.at` names it; names and literals are nobody's.
_WRITTEN: dict[type, Callable[[Any], str]] = {
    n.Binary: attrgetter("op"),
    n.Unary: attrgetter("op"),
    n.Compare: lambda _: "<",
    n.Conditional: lambda _: "if",
    n.Call: lambda node: f"{node.name}()",
}


def findings(checked: Checked) -> tuple[Diagnostic, ...]:
    """All diagnostics of a program, its lints among them, but for those that it silences."""
    found = run(checked) if checked.ok else []
    return suppressed([*checked.diagnostics, *found], checked.source)


def run(checked: Checked, target: str | None = None) -> list[Diagnostic]:
    """All lint findings of a program without errors.

    `target` names the trainer the reward is meant for ("verl"); without it a comment of the
    program may, `# derl: target[verl]`.
    """
    context = Context(checked, target or named_target(checked.source))
    for node in context.expressions:
        written = _WRITTEN.get(type(node))
        if written is not None:
            for rule in _AT.get(written(node), ()):
                rule.look(context, node)
    for rule in _PROGRAM:
        rule.look(context, context.program)
    return context.found
