"""The codes of syntax (0xx) and limits (4xx)."""

from derl_grammar.diagnostics import define

SYNTAX = define(
    "DRL001",
    "syntax error",
    stage="syntax",
    why="The text is no program of the language, which is a strict subset of Python's expressions.",
    bad="g1 + * g2",
    good="g1 + g2",
)
CHARACTER = define(
    "DRL002",
    "unknown character",
    stage="syntax",
    why="The language has names, numbers, strings, brackets and Python's operators; nothing else.",
    bad="g1 ^ 2 + g2",
    good="g1 ** 2 + g2",
)
BRACKET = define(
    "DRL003",
    "unbalanced bracket or quote",
    stage="syntax",
    why="Cut-off text is the most frequent failure of formulas that a model wrote.",
    bad="(g1 + g2 * (g3",
    good="(g1 + g2 * (g3))",
)
LITERAL = define(
    "DRL004",
    "malformed literal",
    stage="syntax",
    why="Numbers and strings are Python's; `1e - 6` reads as a name after a number.",
    bad="g1 + 1e - 1 * g2",
    good="g1 + 1e-1 * g2",
)
EMPTY = define(
    "DRL005",
    "empty program",
    stage="syntax",
    why="A file of comments alone scores nothing.",
    bad="# nothing here",
    good="g1",
)
NO_REWARD = define(
    "DRL006",
    "no reward",
    stage="syntax",
    why="A program of named parts ends with `reward = …`, which is what the trainer receives.",
    bad="bonus = g1 + g2",
    good="bonus = g1 + g2\nreward = bonus",
)
AFTER_REWARD = define(
    "DRL007",
    "statement after the reward",
    stage="syntax",
    why="`reward = …` comes last, so that a reader finds it and no part is forgotten behind it.",
    bad="reward = g1\nbonus = g2",
    good="bonus = g2\nreward = g1 + bonus",
)
BARE = define(
    "DRL008",
    "expression without a name",
    stage="syntax",
    why="In a program of several statements each has a name: a part, or the reward.",
    bad="bonus = g2\ng1 + bonus",
    good="bonus = g2\nreward = g1 + bonus",
)

TOO_LONG = define(
    "DRL401",
    "program too long",
    stage="syntax",
    why="A program is read before it is trusted; its size is bounded in bytes, spaces and line "
    "breaks aside, which `fmt` puts in.",
    bad="g1" + " + g1" * 1500,
    good="g1 + g2",
)
TOO_MANY_TOKENS = define(
    "DRL402",
    "too many tokens",
    stage="syntax",
    why="The parser's work is bounded before it starts.",
    bad="g1" + "+g1" * 600,
    good="g1 + g2",
)
TOO_DEEP = define(
    "DRL403",
    "nested too deeply",
    stage="syntax",
    why="Deep nesting hides what a reward does; name the parts.",
    bad="-" * 40 + "g1",
    good="g1 - g2",
)
TOO_MANY_NODES = define(
    "DRL404",
    "too many terms",
    stage="syntax",
    why="Checking and compiling cost grows with the number of terms.",
    bad="g1" + "+g1" * 200,
    good="g1 + g2",
)
LITERAL_TOO_LONG = define(
    "DRL405",
    "name or literal too long",
    stage="syntax",
    why="No sensible number, name or pattern needs that many characters.",
    bad="g1 + 0." + "1" * 200,
    good="g1 + 0.1",
)
