"""Random and mutated texts: everything that a model, an editor or an attacker may hand over."""

# ruff: noqa: E501
from __future__ import annotations

import random
from collections.abc import Callable

from derl_dsl.elaborate.scope import build_scope
from derl_dsl.generate import typed_grammar
from derl_dsl.generate.sample import EVERYTHING, FORMULAS, sample_program

SUITES = ("derl-math", "math", "agent", "math+length")
_SCOPES = {suite: build_scope(suite) for suite in SUITES}
_PIECES = (
    *"()+-*/%,=<>!.?:;\"'\\ \t\f\v\n\r#_&|^~$@`{}[]019azé≠“”×÷−\u2028\u2029\ufeff\u202e\u200b\0\x7f",
    "\ud800", "\udfff", "😀", "e\u0301", "Ⅷ", "٣", "ｇ1", "**", "//", "<=", ">=", "==", "!=", ":=", "->",
    " if ", " else ", " and ", " or ", " not ", "not ", "True", "False", "None", "lambda x: ", "import os",
    "for i in ", "reward = ", "part = ", "g1", "g2", "completion", "answer", "step_scores", "tags",
    "progress", "skip", "min(", "max(", "mean(", "third(", "part(", "group_mean(", "where=", "default(",
    "param(", "matches(completion, ", "exact(", "clip(", "ramp(", "guard(", "log(", "exp(", "1e308",
    "1e999", "1e-400", "9" * 40, "0" * 40, "0x1F", "1_000", "1e", "1e - 6", "1.", ".5", "1..2", "007",
    'r"\\d+"', '"(a+)+$"', '"(a{30}){30}"', '"[[:alpha:]]"', '"(?=a)"', "'''", '"""', "# derl: ignore[DRL5",
    "# derl: ignore[DRL306]\n", "# suite: math\n", "\r\n", "\n\n", "\\\n",
)  # fmt: skip


def _seed_text(rng: random.Random, corpus: list[str]) -> str:
    """A text that mostly checks: from the corpus or from the generators."""
    if corpus and rng.random() < 0.5:
        return rng.choice(corpus)
    suite = rng.choice(SUITES)
    return sample_program(_SCOPES[suite], rng, rng.choice((FORMULAS, EVERYTHING)))


def noise(rng: random.Random, corpus: list[str]) -> str:
    """Pieces of programs and of Unicode, in any order."""
    return "".join(rng.choices(_PIECES, k=rng.randint(0, 40)))


def characters(rng: random.Random, corpus: list[str]) -> str:
    """Any code points, surrogates included."""
    return "".join(chr(rng.choice((rng.randrange(128), rng.randrange(0x110000))))
                   for _ in range(rng.randint(0, 60)))  # fmt: skip


def mutated(rng: random.Random, corpus: list[str]) -> str:
    """A program with pieces cut out, doubled, exchanged or put in."""
    text = _seed_text(rng, corpus)
    for _ in range(rng.randint(1, 6)):
        at, end = sorted((rng.randint(0, len(text)), rng.randint(0, len(text))))
        end = min(end, at + rng.choice((0, 1, 1, 3, 20)))
        new = rng.choice(("", text[at:end] * 2, rng.choice(_PIECES), rng.choice(_PIECES)))
        text = text[:at] + new + text[end:]
    return text


def crossed(rng: random.Random, corpus: list[str]) -> str:
    """The head of one program and the tail of another."""
    one, two = _seed_text(rng, corpus), _seed_text(rng, corpus)
    return one[: rng.randint(0, len(one))] + two[rng.randint(0, len(two)) :]


def cut_off(rng: random.Random, corpus: list[str]) -> str:
    """A program that ends too early, as a model's does at its token limit."""
    text = _seed_text(rng, corpus)
    return text[: rng.randint(0, len(text))]


def bomb(rng: random.Random, corpus: list[str]) -> str:
    """Something repeated until it hits a limit."""
    size = rng.choice((10, 60, 64, 65, 255, 257, 500, 1024, 2000, 4096, 5000))
    one = rng.choice(_PIECES)
    shapes: tuple[Callable[[], str], ...] = (
        lambda: "(" * size + "g1" + ")" * rng.choice((size, size - 1, 0)),
        lambda: "min(" * size + "g1" + ", g2)" * size,
        lambda: "-" * size + "g1",
        lambda: "not " * size + "g1 > 0",
        lambda: " + ".join(["g1"] * size),
        lambda: " ** ".join(["g1"] * size),
        lambda: " < ".join(["g1"] * size),
        lambda: " if g1 > 0 else ".join(["g1"] * size),
        lambda: "\n".join(f"p{k} = {f'p{k - 1} * p{k - 1}' if k else 'g1'}" for k in range(size)),
        lambda: "".join(f"p{k} = p{k - 1} if p{k - 1} > 0 else p{k - 1} + g1\n" if k else "p0 = g1\n"
                        for k in range(min(size, 80))) + f"reward = p{min(size, 80) - 1}",
        lambda: "g" * size,
        lambda: "9" * size,
        lambda: f'matches(completion, "{"(a" * size}")',
        lambda: one * size,
    )  # fmt: skip
    return rng.choice(shapes)()


def typed(rng: random.Random, corpus: list[str]) -> str:
    """A text of a typed grammar, as it is or with one mutation."""
    suite = rng.choice(SUITES)
    text = typed_grammar_of(suite).sample(rng)
    return text if rng.random() < 0.5 else mutated(rng, [text])


_GRAMMARS = {suite: typed_grammar(_SCOPES[suite], programs=True) for suite in SUITES}
typed_grammar_of = _GRAMMARS.__getitem__

KINDS: tuple[tuple[Callable[[random.Random, list[str]], str], int], ...] = (
    (mutated, 8),
    (noise, 4),
    (crossed, 3),
    (typed, 3),
    (cut_off, 2),
    (characters, 1),
    (bomb, 1),
)


def text(rng: random.Random, corpus: list[str]) -> tuple[str, str]:
    """The kind of a random text, and the text."""
    kind = rng.choices([k for k, _ in KINDS], [w for _, w in KINDS])[0]
    return kind.__name__, kind(rng, corpus)
