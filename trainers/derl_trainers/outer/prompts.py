"""What a language model that writes formulas is asked, and the formula in what it answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from derl_dsl.elaborate.custom import REGISTRY
from derl_dsl.elaborate.scope import Scope, build_scope
from derl_grammar.types import Bool
from derl_primitives.suites import find_suite
from derl_runtime.faults import capped

Prompt = str | list[dict[str, str]]

_SYSTEM = "You write reward formulas for reinforcement learning."
_INSTRUCTION = """\
Combine these scores of an answer with numbers, + - * / and brackets:
{names}{history}
Reply with one formula alone, like: {example}"""

_HISTORY = """
Formulas tried so far, each after the score it reached, the best last:
{lines}
Write one that will score higher."""

# Where a model without a chat template goes on.
ASK = "reward = "


def chat_prompt(suite: str, past: Sequence[tuple[str, float]] = ()) -> list[dict[str, str]]:
    """The conversation that asks for a formula; `past` as in `prompt_with_history`."""
    return [
        {"role": "system", "content": _SYSTEM},
        {"role": "user", "content": instruction(suite, past)},
    ]


def instruction(suite: str, past: Sequence[tuple[str, float]] = ()) -> str:
    """What a model that reads English is asked: the suite's names, custom ones, an example.

    `past` as in `prompt_with_history`.
    """
    found = find_suite(suite)
    docs = {name: binding.primitive.doc for name, binding in found.bindings.items()}
    docs |= {p.signature: p.doc for p in found.primitives.values()}
    docs |= {e.primitive.signature: capped(e.primitive.doc, 80) for e in REGISTRY.values()}
    # The sentence up to its first colon says what; the rest, the exact values.
    lines = [f"{name}: {re.split('[:.]', doc)[0]}" for name, doc in docs.items()]
    first, second = scores(suite)[:2]
    example = f"0.7 * {first} + 0.3 * {second}"
    tried = "\n".join(f"{score:.3f}: {formula}" for formula, score in past)
    history = _HISTORY.format(lines=tried) if past else ""
    return _INSTRUCTION.format(names="\n".join(lines), history=history, example=example)


def scores(suite: str) -> list[str]:
    """The 0/1 scores of a suite as expressions: its bound names, or its calls of the columns."""
    found = find_suite(suite)
    return list(found.bindings) or [
        f"{p.name}({', '.join(parameter.name for parameter in p.params)})"
        for p in found.primitives.values()
        if p.returns == Bool() and all(q.name in found.columns for q in p.params)
    ]


def suite_scope(suite: str) -> Scope:
    """The names of the suite and the custom primitives, without those of every program."""
    scope, found = build_scope(suite), find_suite(suite)
    own = found.bindings.keys() | found.columns.keys()
    names = {name: source for name, source in scope.names.items() if name in own}
    primitives = {name: scope.primitives[name] for name in (*found.primitives, *REGISTRY)}
    return replace(scope, names=names, primitives=primitives)


def formula_text(completion: Any) -> str:
    """The formula in a completion: its first line that is not empty, Markdown's fences left out."""
    text = completion if isinstance(completion, str) else completion[-1]["content"]
    lines = [line.strip().strip("`").strip() for line in text.splitlines()]
    return next((line for line in lines if line and not re.fullmatch("python|text", line)), "")
