"""The codes of ranges and proofs (3xx)."""

from derl_grammar.diagnostics import define

DIVISION = define(
    "DRL301",
    "possible division by zero",
    stage="unsafe",
    why="One infinite or NaN reward turns every advantage of its group into NaN.",
    bad="g1 + g2 / (g3 - g4)",
    good="g1 + g2 / (1 + g3 + g4)",
)
OVERFLOW = define(
    "DRL302",
    "possible overflow",
    stage="unsafe",
    why="A value beyond 1.8e308 is infinite, and so is the reward.",
    bad="exp(1000 * g1)",
    good="exp(2 * g1)",
)
DOMAIN = define(
    "DRL303",
    "outside a function's domain",
    stage="unsafe",
    why="log of 0, sqrt of a negative number or a negative number to a fraction is no number.",
    bad="log(g1 - 0.5)",
    good="log(1 + g1)",
)
CONSTANT = define(
    "DRL304",
    "constant reward",
    stage="degenerate",
    why="Equal rewards in every group have zero advantage: nothing is learned.",
    bad="g1 - g1 + 0.5",
    good="g1 + 0.5",
)
INVERTED = define(
    "DRL305",
    "punishes being right",
    stage="degenerate",
    severity="warning",
    why="A reward that falls when the outcome rises teaches the policy to be wrong.",
    bad="-(g1 + g2)",
    good="g1 + g2",
)
IGNORED = define(
    "DRL306",
    "ignores the outcome",
    stage="degenerate",
    severity="warning",
    why="A reward without the outcome pays for form alone, which the policy will find out.",
    bad="g2 + g3",
    good="g1 + 0.1 * g2 + 0.1 * g3",
)
OVER_BUDGET = define(
    "DRL406",
    "slower than its budget",
    stage="unsafe",
    why="With --budget: a reward that may take long holds up every step of training.",
    bad="word_f1(completion, answer)",
    good="edit_similarity(completion, answer)",
    suite="similarity",
)
