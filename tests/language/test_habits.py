"""What people who know Python write gets one error each, with a hint of what to write instead."""

from __future__ import annotations

import ast
import keyword

import pytest

import derl_dsl

COLUMNS = {
    "a": "number[0, 1]",
    "b": "number[0, 1]",
    "xs": "list[number[0, 1]]",
    "t": "text",
    "o": "number[0, 1]?",
}
HABITS = {
    "len(xs)": "count(xs)",
    "float(a)": "float64 already",
    "int(a)": "floor(x)",
    "pow(a, 2)": "x ** y",
    "a in b": "contains(text",
    "o is None": "default(x",
    "a if o is not None else 0": "default(x",
    "a if a > 0.5 elif b": "a if p else b if q else c",
    "[a, b]": "min(a, b, c)",
    "max([a, b])": "min(a, b, c)",
    'f"{a}"': "texts are plain",
    "total = a\ntotal += b\nreward = total": "each name is given once",
    "a // 2": "floor(a / b)",
    "a <> b": "!=",
    "a * 1_000": "1000",
    "0,5 * a": "0.5",
    "a if true else b": "True",
    "a if b > 0.5 else None": "skip",
    "if a > 0.5:\n    reward = a": "name = a if c else b",
    "math.exp(a)": "no prefix",
    "np.clip(a, 0, 1)": "no prefix",
    "max(a, b, key=a)": "max(x, y, …)",
    "clip(a, min=0, max=1)": "clip(x, lo, hi)",
    "reward == a": "reward = …",
    "def f(x):\n    return x\nreward = a": "no functions of your own",
    "import math\nreward = a": "no imports",
    "~(a > b)": "`not`",
    "a if b > 0.5": "else 0, or else skip",
    "if a > b then 1 else 0": "name = a if c else b",
    "a > 0.5 AND b > 0.5": "`and`",
    "xs.mean()": "mean(xs)",
    't.count("a")': "count(t, …)",
    "A": "did you mean 'a'?",
    "o or 0": "default(…, 0)",
    "o if o else 0": "default(…, 0)",
    "ln(1 + a)": "log(x)",
    "clamp(a, 0, 1)": "clip(x, lo, hi)",
    "var(xs)": "mean(xs * xs)",
    "round(a, 2)": "round(100 * x) / 100",
    "log(1 + a, 2)": "log(x) / log(b)",
    "sum(a, b)": "a + b",
    "t + t": "words(",
    "for x in xs:\n    reward = x": "no loops",
}


@pytest.mark.parametrize("text", HABITS)
def test_each_habit_has_a_useful_hint(text: str) -> None:
    errors = [d for d in derl_dsl.check(text, columns=COLUMNS) if d.severity == "error"]
    assert any(HABITS[text] in hint for d in errors for hint in d.hints), errors


@pytest.mark.parametrize("text", [t for t in HABITS if "\n" not in t and "true" not in t])
def test_one_mistake_is_one_error(text: str) -> None:
    errors = [d for d in derl_dsl.check(text, columns=COLUMNS) if d.severity == "error"]
    assert len(errors) == 1, errors


@pytest.mark.parametrize("word", keyword.kwlist)
def test_words_of_python_are_no_names(word: str) -> None:
    for text in (f"{word} = a\nreward = a", f"{word} + a", f"max(a, {word}=b)"):
        try:
            ast.parse(text)
        except SyntaxError:
            assert [d for d in derl_dsl.check(text, columns=COLUMNS) if d.severity == "error"], text
