"""DRL513: one weight written several times."""

from __future__ import annotations

from derl_dsl.lint.context import Context, Rule
from derl_grammar import nodes as n
from derl_grammar.diagnostics import Fix, define

CODE = define(
    "DRL513",
    "weight written more than once",
    stage="degenerate",
    severity="info",
    why="A weight that is written in several places is one decision: named, it is changed in one "
    "place, and as a param it can be tuned.",
    bad="g1 + 0.15 * g2 + 0.15 * g3",
    good="form = 0.15\nreward = g1 + form * g2 + form * g3",
)
_PLAIN = frozenset({0.0, 0.5, 1.0, 2.0})
_TOLD = frozenset({"DRL507", "DRL514", "DRL515"})


def look(ctx: Context, program: n.Program) -> None:
    """Counts the literals that multiply or divide; of what is written twice itself, others tell."""
    if _TOLD & ctx.reported:
        return
    found: dict[float, list[n.NumberLiteral]] = {}
    for node in ctx.expressions:
        if type(node) is n.Binary and node.op in "*/":
            for side in (node.left, node.right):
                if type(side) is n.NumberLiteral and side.value not in _PLAIN:
                    found.setdefault(side.value, []).append(side)
    for value, literals in found.items():
        if len(literals) > 1:
            message = f"the weight {value:g} is written {len(literals)} times"
            hint = f"give it a name: weight = {value:g}, or param({value:g}, min=…, max=…)"
            ctx.add(CODE, literals[1].place, message, hint, fix=_named(ctx, literals))


def _named(ctx: Context, literals: list[n.NumberLiteral]) -> Fix:
    taken = {*ctx.parts, *ctx.checked.scope.names, *ctx.checked.scope.primitives}
    names = ["weight", *(f"weight{k}" for k in range(2, 100))]
    name = next(k for k in names if k not in taken)
    start, text = ctx.program.place[0], ctx.text(literals[0])
    bare = not ctx.parts and ctx.program.reward.place[0] == start
    before = f"{name} = {text}\n" + ("reward = " if bare else "")
    edits = [(start, start, before), *((*node.place, name) for node in literals)]
    return Fix(f"name it {name}", tuple(edits))


RULE = Rule(CODE, look)
