"""DRL512: a group function where the trainer scores one rollout at a time."""

from __future__ import annotations

from derl_dsl.elaborate.functions import FUNCTIONS
from derl_dsl.lint.context import Context, Rule
from derl_grammar import nodes as n
from derl_grammar.diagnostics import define

CODE = define(
    "DRL512",
    "group function in a per-sample target",
    stage="degenerate",
    severity="warning",
    why="verl's default reward manager calls the reward for one rollout at a time: a group of one "
    "has rank 0.5, deviation 0 and itself as mean. Name the target with `# derl: target[verl]`.",
    bad="# derl: target[verl]\n"
    "exact(completion, answer) * (1.2 - 0.2 * group_rank(words(completion)))",
    good="# derl: target[trl]\n"
    "exact(completion, answer) * (1.2 - 0.2 * group_rank(words(completion)))",
    suite="math",
)
PER_SAMPLE = frozenset({"verl"})
_GROUP = tuple(f"{f.name}()" for f in FUNCTIONS.values() if f.kind == "group")


def look(ctx: Context, node: n.Call) -> None:
    """Looks for group functions, when such a target is named."""
    if ctx.target in PER_SAMPLE:
        message = f"{ctx.target} scores one rollout at a time: {node.name} sees a group of one"
        ctx.add(CODE, node.name_place, message, "use a fixed scale, such as ramp(…)")


RULE = Rule(CODE, look, _GROUP)
