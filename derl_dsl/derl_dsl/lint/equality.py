"""DRL509: == or != between computed numbers."""

from __future__ import annotations

from itertools import pairwise

from derl_dsl.lint.context import Context, Rule
from derl_grammar import nodes as n
from derl_grammar.diagnostics import Fix, define

CODE = define(
    "DRL509",
    "equality of computed numbers",
    stage="degenerate",
    severity="warning",
    why="0.1 + 0.2 == 0.3 is false in floating point; equality of computed numbers depends on the "
    "order of operations.",
    bad="g1 + (0.2 if 0.1 * g2 + 0.2 * g3 == 0.3 * g4 else 0)",
    good="g1 + (0.2 if abs(0.1 * g2 + 0.2 * g3 - 0.3 * g4) < 1e-3 else 0)",
)
_LEAVES = frozenset({"input", "const", "param"})
# Operations that give one of their arguments, or a whole number: nothing rounds.
_PICKS = frozenset(
    {"neg", "abs", "min", "max", "select", "guard", "third", "part", "group_min", "group_max"}
    | {f"list_{name}" for name in ("min", "max", "first", "last")}
)
_SUMS = frozenset({"list_sum", "list_mean", "group_mean"})


def look(ctx: Context, node: n.Compare) -> None:
    """Looks at pairs where a side is computed and rounding can decide."""
    if not {"==", "!="} & set(node.ops):
        return
    if any(d.code == "DRL508" and d.span.start == node.place[0] for d in ctx.found):
        return
    for op, (left, right) in zip(node.ops, pairwise(node.operands), strict=True):
        a, b = ctx.node(left), ctx.node(right)
        if op not in ("==", "!=") or a is None or b is None or a == b:
            continue
        if not (_steady(ctx, a, b) and _steady(ctx, b, a)):
            message = f"`{op}` of computed numbers depends on rounding"
            ctx.add(CODE, (left.place[0], right.place[1]), message, fix=_fix(ctx, node))


def _steady(ctx: Context, i: int, other: int) -> bool:
    """Whether rounding cannot decide if a number equals another."""
    op, args = ctx.graph.nodes[i][:2]
    if op in _LEAVES or ctx.whole(i):
        return True
    if op in _PICKS and all(ctx.graph.nodes[a].is_bool or _steady(ctx, a, other) for a in args):
        return True
    value = ctx.graph.nodes[other].payload
    if not isinstance(value, float):
        return False
    if op in ("min", "max") and other in args:  # held at the bound that it is compared with
        return True
    # A quotient of whole numbers is rounded as its literal is.
    shares = args[:2] if op == "div" else args[:1] if op in ("list_mean", "group_mean") else ()
    if shares and all(ctx.whole(a) for a in shares):
        return True
    return value == 0 and _zero(ctx, op, args)


def _zero(ctx: Context, op: str, args: tuple[int, ...]) -> bool:
    """Whether an operation is 0 exactly where it should be."""
    if op in _SUMS:
        bounds = ctx.range(args[0])
        return bounds is not None and (bounds.lo >= 0 or bounds.hi <= 0)
    return op in ("mul", "div", "sub", "group_std") and all(
        _steady(ctx, a, a) for a in args if not ctx.graph.nodes[a].is_bool
    )


def _fix(ctx: Context, node: n.Compare) -> Fix | None:
    if len(node.ops) != 1:
        return None
    left, right = (ctx.operand(o) for o in node.operands)
    sign = "<" if node.ops[0] == "==" else ">="
    opened, closed = ("(", ")") if ctx.bracketed(node) else ("", "")
    text = f"{opened}abs({left} - {right}) {sign} 1e-9{closed}"
    return ctx.replaced("compare with a tolerance", node.place, text)


RULE = Rule(CODE, look, ("<",))
