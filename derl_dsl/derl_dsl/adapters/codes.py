"""Why a reward cannot be exported to a framework (8xx)."""

from __future__ import annotations

from derl_grammar.diagnostics import define

GROUPED = define(
    "DRL801",
    "group function where samples come alone",
    stage="export",
    why="The framework scores one sample at a time: statistics of a group of one would be wrong "
    "numbers, in silence.",
    bad="1 if exact(completion, answer) and group_rank(chars(completion)) > 0.5 else 0",
    good="1 if exact(completion, answer) and chars(completion) < 500 else 0",
    suite="math",
)
NOT_GIVEN = define(
    "DRL802",
    "input that the framework does not give",
    stage="export",
    why="The framework's call has no such value, so every sample would fail.",
    bad="exact(completion, answer) + 0.1 * progress",
    good="exact(completion, answer) + 0.1",
    suite="math",
)
NO_VALUE = define(
    "DRL803",
    "reward that does not always apply",
    stage="export",
    why="The framework takes a number for every sample: it has no word for 'not applicable'.",
    bad="exact(completion, answer) if words(completion) > 3 else skip",
    good="default(exact(completion, answer) if words(completion) > 3 else skip, 0)",
    suite="math",
)
STEPS = define(
    "DRL804",
    "step rewards where one number a rollout is taken",
    stage="export",
    why="The framework's call takes one reward a rollout: `steps` would be left out without a "
    "word, and the run would train something else.",
    bad="steps = gain(scores)\nreward = solved",
    good="progress_made = sum(gain(scores))\nreward = solved",
    suite="agent",
)
