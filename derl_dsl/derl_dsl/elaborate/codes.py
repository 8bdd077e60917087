"""The codes of names (1xx) and types (2xx)."""

from derl_grammar.diagnostics import define

UNKNOWN_NAME = define(
    "DRL101",
    "unknown name",
    stage="names",
    why="Every name is a column, a name of the suite, or a part defined above.",
    bad="g1 + g5",
    good="g1 + g4",
)
UNKNOWN_FUNCTION = define(
    "DRL102",
    "unknown function",
    stage="names",
    why="Only the functions of the language and the primitives of the suite can be called.",
    bad="g1 + maximum(g2, g3)",
    good="g1 + max(g2, g3)",
)
TWICE = define(
    "DRL103",
    "name defined twice",
    stage="names",
    why="Each part is logged under its name, so a name means one thing.",
    bad="a = g1\na = g2\nreward = a",
    good="a = g1\nb = g2\nreward = a + b",
)
SHADOW = define(
    "DRL104",
    "name taken",
    stage="names",
    why="A part that hides a column or a primitive reads as something it is not.",
    bad="g1 = g2\nreward = g1",
    good="bonus = g2\nreward = g1 + bonus",
)
UNCALLED = define(
    "DRL105",
    "function without arguments",
    stage="names",
    why="A primitive is a function of columns; its bare name has no value.",
    bad="1 if exact else 0",
    good="1 if exact(completion, answer) else 0",
    suite="math",
)
ARITY = define(
    "DRL106",
    "wrong number of arguments",
    stage="names",
    why="Functions and primitives have fixed arguments.",
    bad="clip(g1, 0)",
    good="clip(g1, 0, 0.5)",
)
KEYWORD = define(
    "DRL107",
    "unknown keyword argument",
    stage="names",
    why="A misspelt keyword would otherwise be ignored.",
    bad="ramp(g1, low=0, high=1)",
    good="ramp(g1, 0, 1)",
)

OPERAND = define(
    "DRL201",
    "not a number",
    stage="types",
    why="Arithmetic works on numbers and conditions (1 or 0), not on text.",
    bad="completion + 1",
    good="exact(completion, answer) + 0.1 * boxed(completion)",
    suite="math",
)
CONDITION = define(
    "DRL202",
    "not a condition",
    stage="types",
    why="A number is no condition: g1 of a suite may be 1e-6 for wrong, which Python calls true.",
    bad="1 if g1 else 0",
    good="1 if g1 > 0.5 else 0",
)
BRANCHES = define(
    "DRL203",
    "branches of different types",
    stage="types",
    why="Both branches of a conditional flow into the same place.",
    bad='1 if exact(completion, answer) else "wrong"',
    good="1 if exact(completion, answer) else 0",
    suite="math",
)
ARGUMENT = define(
    "DRL204",
    "argument of the wrong type",
    stage="types",
    why="Primitives declare what they read.",
    bad="1 * exact(completion, 3)",
    good="1 * exact(completion, answer)",
    suite="math",
)
COMPARED = define(
    "DRL205",
    "comparison of different types",
    stage="types",
    why="A text never equals a number; the comparison would be constant.",
    bad="1 if answer == 3 else 0",
    good='exact(completion, answer) + (answer == "3")',
    suite="math",
)
STAGED = define(
    "DRL206",
    "primitive of a computed value",
    stage="types",
    why="Primitives are evaluated once per batch, before the program's arithmetic.",
    bad="1 * same_numbers(2 * numbers(completion), numbers(answer))",
    good="exact(completion, answer) + 0.1 * same_numbers(numbers(completion), numbers(answer))",
    suite="math",
)

MANY = define(
    "DRL207",
    "a list where one value is needed",
    stage="types",
    why="A rollout has one reward; a list has a value for each of its steps.",
    bad="third(scores, 1)",
    good="mean(third(scores, 1))",
    suite=None,
    columns=(("scores", "list[number[0, 1]]"),),
)
LENGTHS = define(
    "DRL208",
    "lists of different lengths",
    stage="types",
    why="Lists go together step by step; a third of an episode has other steps than the whole.",
    bad="sum(scores * third(scores, 1))",
    good="mean(scores * scores)",
    suite=None,
    columns=(("scores", "list[number[0, 1]]"),),
)
LIST = define(
    "DRL209",
    "not a list",
    stage="types",
    why="mean, sum, first, third and their like work on the steps of a rollout.",
    bad="mean(g1)",
    good="g1 + 0.1 * g2",
)
LITERAL_ONLY = define(
    "DRL210",
    "unsuitable literal argument",
    stage="types",
    why="Patterns, shares and parameters are written out, so that their cost and range are known.",
    bad='exact(completion, answer) * matches(completion, "(a{30}){30}")',
    good='exact(completion, answer) + 0.1 * matches(completion, "(a{8}){8}")',
    suite="math",
)
STEPS = define(
    "DRL211",
    "a function that cannot work step by step",
    stage="types",
    why="A list has one text, number or condition for each step: no lists and nothing missing.",
    bad="count(lines(completions))",
    good="count(lines(last(completions)))",
    suite=None,
    columns=(("completions", "list[text]"),),
)
CUT = define(
    "DRL213",
    "step rewards that are cut",
    stage="types",
    why="`steps` pays every step of an episode; a third of them leaves open which steps it pays.",
    bad="steps = third(scores, 1)\nreward = mean(scores)",
    good="steps = scores - 1\nreward = mean(scores)",
    suite=None,
    columns=(("scores", "list[number[0, 1]]"),),
)
CASES = define(
    "DRL212",
    "too many texts to choose from",
    stage="types",
    why="What reads a text that depends on a condition is computed for each text it may be.",
    bad='a = "x" if ok else "y"\nb = a if g else "z"\nc = b if ok else b\nd = c if g else c\n'
    "reward = 1 * contains(completion, d if ok else d)",
    good='a = "x" if ok else "y"\nreward = 1 * contains(completion, a)',
    suite=None,
    columns=(("completion", "text"), ("ok", "bool"), ("g", "bool")),
)
