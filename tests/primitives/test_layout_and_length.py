"""Layout, repetition, tokens and episodes: what each primitive says, and that no text breaks it."""

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derl_primitives import episode, layout, repetition, tokens
from derl_primitives.suites import find_suite

THINK = [
    ("<think>a</think>b", True),
    ("\n <think>a</think>b", True),
    ("<think></think>b", True),
    ("<think>a</think>", False),
    ("<think>a</think> \n", False),
    ("a<think>b</think>c", False),
    ("<think>a</think>b</think>c", False),
    ("<think><think>a</think>b", False),
    ("</think><think>a", False),
    ("<Think>a</Think>b", False),
    ("", False),
]


@pytest.mark.parametrize(("text", "fits"), THINK)
def test_think_format(text, fits):
    assert layout.think_format([text]).tolist() == [fits]


BLOCKS = [
    ("<answer>4</answer>", True),
    ("x <answer> 4 </answer> y", True),
    ("<answer></answer>", False),
    ("<answer>\n</answer>", False),
    ("</answer>4<answer>", False),
    ("<answer>4</answer><answer>5</answer>", False),
    ("<answer>4", False),
    ("<answers>4</answers>", False),
]


@pytest.mark.parametrize(("text", "fits"), BLOCKS)
def test_has_block(text, fits):
    assert layout.has_block([text], "answer").tolist() == [fits]


CODE = [
    ("```\nx\n```", 1, "x\n"),
    ("```python\nx\n```\ntext\n```\ny\n```\n", 2, "y\n"),
    ("```python\nx\n```python\n```", 1, "x\n```python\n"),
    ("```\n```", 1, ""),
    ("```python\nx", 0, "x"),
    ("```\nx\n```\n```", 1, "x\n"),
    ("```\nx\n```\nThen:\n```py\ny = 1", 1, "y = 1"),
    ("~~~python\nx\n```\n~~~", 1, "x\n```\n"),
    ("````md\n```\nx\n```\n````", 1, "```\nx\n```\n"),
    ("```\nx\n`````", 1, "x\n"),
    ("`````\nx\n```\n", 0, "x\n```\n"),
    ("text ``` text", 0, ""),
    ("    ```\nx\n    ```", 0, ""),
    ("", 0, ""),
]


@pytest.mark.parametrize(("text", "count", "last"), CODE)
def test_code_blocks(text, count, last):
    assert layout.code_blocks([text]).tolist() == [count]
    assert layout.last_code([text]) == [last]


SHOWN = "```python\nprint(3)\n```\nIt prints\n```text\n3\n```"
IN_PYTHON = [
    (SHOWN, "print(3)\n"),
    ("```Python3\nx\n```\n```\n3\n```", "x\n"),
    ("``` python title=a.py\nx\n```", "x\n"),
    ("```{.python}\nx\n```", "x\n"),
    ("```\nx\n```\n```json\n{}\n```", "x\n"),
    ("```js\nx\n```", ""),
    ("```py\nx", "x"),
    ("", ""),
]


@pytest.mark.parametrize(("text", "last"), IN_PYTHON)
def test_the_last_code_in_a_language(text, last):
    assert layout.last_code_in([text], "python") == [last]


JSON = [
    ("{}", True),
    (' [1, 2.5, "x", null] ', True),
    ("1" * 50_000, True),
    ("[" * 100_000, False),
    ("[" * 100_000 + "]" * 100_000, False),
    ("{'a': 1}", False),
    ("[1,]", False),
    ("NaN", False),
    ("-Infinity", False),
    ("", False),
    ('"\ud800"', True),
]


@pytest.mark.parametrize(("text", "valid"), JSON, ids=range(len(JSON)))
def test_valid_json(text, valid):
    assert layout.valid_json([text]).tolist() == [valid]


REPEATED = [
    ("", 2, 0),
    ("a b", 3, 0),
    ("a b a b", 2, 1 / 3),
    ("a A a", 1, 2 / 3),
    ("x " * 9, 3, 6 / 7),
]


@pytest.mark.parametrize(("text", "n", "share"), REPEATED)
def test_repetition_of_words_and_tokens(text, n, share):
    assert repetition.repetition([text], n).tolist() == [pytest.approx(share)]
    ids = [sum(map(ord, word)) for word in text.lower().split()]
    assert tokens.token_repetition([ids], n).tolist() == [pytest.approx(share)]


@given(st.lists(st.integers(0, 3), max_size=30), st.integers(1, 5))
def test_the_repeated_share_is_that_of_a_list_of_grams(items, n):
    grams = [tuple(items[k : k + n]) for k in range(len(items) - n + 1)]
    expected = 1 - len(set(grams)) / len(grams) if grams else 0
    assert repetition.repeated_share(items, n) == expected


@pytest.mark.parametrize("value", ["0.0", "-1.0", "2.5", "17.0", "nan", "inf"])
def test_an_ngram_has_a_whole_length(value):
    assert repetition.whole_number(value) == "write a whole number from 1 to 16"


@pytest.mark.parametrize("value", ["", "<think>", "a b", "a" * 33, "1a"])
def test_a_tag_is_a_name(value):
    assert layout.tag_name(value) is not None


def test_episodes():
    actions = [["a", "b", "b", "a", "c"], ["a"], []]
    assert episode.is_new(actions) == [[True, True, False, False, True], [True], []]
    assert episode.changes(actions) == [[False, True, False, True, True], [False], []]
    flags = [[1.0, 0.0, 1.0], [True], []]
    assert episode.previous(flags) == [[False, True, False], [False], []]


TEXT: dict[str, Callable[[Sequence[str]], Any]] = {
    "think_format": layout.think_format,
    "has_block": lambda texts: layout.has_block(texts, "think"),
    "code_blocks": layout.code_blocks,
    "last_code": layout.last_code,
    "last_code_in": lambda texts: layout.last_code_in(texts, "python"),
    "valid_json": layout.valid_json,
    "repetition": lambda texts: repetition.repetition(texts, 4),
}
PIECES = ["<think>", "</think>", "```", "\n", " ", "{", '"', "[", "x", "\ud800", "\u3000", "\x00"]


@pytest.mark.parametrize("name", TEXT)
@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=30), st.lists(st.sampled_from(PIECES)).map("".join))))
def test_any_text_gives_a_value(name, texts):
    values = TEXT[name](texts)
    assert len(values) == len(texts)
    if name in ("last_code", "last_code_in"):
        assert all(value in text for value, text in zip(values, texts, strict=True))
    elif name != "code_blocks":
        assert all(0 <= value <= 1 for value in values.tolist())


HOSTILE = [
    "<think>", "</think>", "<think></think>", "```\n", "\n```", "```x\n", "   ```\n", "`", " ",
    "\n", "[", "{", '{"a":', '"', "\\", '"\\', "[[],", "1", "-", "a ", "a", "a b ",
]  # fmt: skip


@pytest.mark.parametrize("name", TEXT)
def test_hostile_texts_take_linear_time(name):
    texts = [piece * (100_000 // len(piece)) for piece in HOSTILE]
    texts += ["[" + text for text in texts]
    start = time.process_time()
    for text in texts:
        TEXT[name]([text])
    # 44 texts of 100 kB: a quadratic step would take minutes.
    assert time.process_time() - start < 5


def test_long_token_lists_take_linear_time():
    ids = random.Random(0).choices(range(3), k=300_000)
    start = time.process_time()
    tokens.token_repetition([ids, [7] * 300_000], 16)
    assert time.process_time() - start < 5


@pytest.mark.parametrize("name", ["math+length", "math+format", "agent+length", "agent+derl-agent"])
def test_suites_combine(name):
    suite = find_suite(name)
    assert suite.outcome is not None


def test_companion_columns_are_declared():
    companion = tokens.tokens.beside["completion"]
    assert (companion.name, str(companion.type)) == ("completion_ids", "list[number]")
    assert tokens.token_repetition.reading(companion).params[0] == companion
