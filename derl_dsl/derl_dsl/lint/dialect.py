"""DRL531: a pattern that means something else in Python."""

from __future__ import annotations

from derl_dsl.lint.context import Context, Rule
from derl_grammar import nodes as n
from derl_grammar.diagnostics import define
from derl_primitives.regex import dialect_notes, one_group_problem, regex_problem
from derl_primitives.text import TEXT_FUNCTIONS

CODE = define(
    "DRL531",
    "pattern of RE2, not of Python",
    stage="degenerate",
    severity="info",
    why="Patterns are RE2's, so that they run in linear time. Some signs that both know mean "
    "something else there: classes are ASCII, and $ is the very end of the text.",
    bad=r'exact(completion, answer) + 0.1 * matches(completion, "[0-9]+$")',
    good=r'exact(completion, answer) + 0.1 * matches(completion, "[0-9]+\\n?\\z")',
    suite="math",
)
_PATTERNS = (regex_problem, one_group_problem)
_READ = {
    name: [k for k, p in enumerate(f.params) if p.literal in _PATTERNS]
    for name, f in TEXT_FUNCTIONS.items()
}


def look(ctx: Context, node: n.Call) -> None:
    """Tells of each sign once, at the pattern."""
    if ctx.checked.scope.primitives.get(node.name) is not TEXT_FUNCTIONS[node.name]:
        return
    for k in _READ[node.name]:
        pattern = node.args[k] if k < len(node.args) else None
        if isinstance(pattern, n.TextLiteral):
            for note in dialect_notes(pattern.value):
                told, _, fix = note.partition("; ")
                ctx.add(CODE, pattern.place, f"to RE2 {told}", *([fix] if fix else []))


RULE = Rule(CODE, look, tuple(f"{name}()" for name, places in _READ.items() if places))
