"""DRL527: a part that the reward does not use."""

from __future__ import annotations

from derl_dsl.lint.context import Context, Rule
from derl_grammar import nodes as n
from derl_grammar.diagnostics import define

CODE = define(
    "DRL527",
    "unused part",
    stage="degenerate",
    severity="warning",
    why="A part that the reward does not depend on is computed and logged and never counts; "
    "begin its name with _ when it is there for the log.",
    bad="form = 0.2 * g2\nreward = g1",
    good="form = 0.2 * g2\nreward = g1 + form",
)


def look(ctx: Context, program: n.Program) -> None:
    """Follows the names from the reward."""
    parts = ctx.parts
    if not parts:
        return
    used: set[str] = set()
    stack: list[n.Expr] = [program.reward]
    if ctx.graph.steps is not None:
        used.add("steps")
        stack.append(parts["steps"])
    while stack:
        for node in n.postorder(stack.pop()):
            if isinstance(node, n.Name) and node.name in parts and node.name not in used:
                used.add(node.name)
                stack.append(parts[node.name])
    for part in program.parts:
        if part.name not in used and not part.name.startswith("_"):
            message = f"the reward does not use {part.name!r}"
            hint = f"add it to the reward, or name it _{part.name} to only log it"
            ctx.add(CODE, part.name_place, message, hint)


RULE = Rule(CODE, look)
