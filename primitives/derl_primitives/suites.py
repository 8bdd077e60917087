"""The suites: what a program may name when it is checked for one of them.

`find_suite("math")` gives one; `find_suite("math+derl-agent")` the union of several. For ablations,
`derl-math[-g3]` is the suite without a name, and `derl-math[~g3]` has it high where it was low.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import TypeVar

from derl_grammar.near import did_you_mean, nearest
from derl_grammar.types import Bool, List, Number, Text, Type
from derl_primitives import (
    ablations,
    choice,
    code,
    code_tests,
    correct,
    correctness,
    derl_agent,
    derl_math,
    episode,
    equality,
    layout,
    reasoning,
    repetition,
    schema,
    shape,
    similarity,
    tokens,
    tool_calls,
)
from derl_primitives.extras import JSON, MATH
from derl_primitives.primitive import Binding, Suite, table

T = TypeVar("T")


class SuiteError(ValueError):
    """A suite name that cannot be used; the message says why and what to write instead."""


class UnknownSuite(SuiteError):
    """No suite has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"unknown suite {name!r}; {did_you_mean(name, sorted(SUITES))}")
        self.name = name
        self.suggestion = nearest(name, SUITES)


class SuiteNeedsExtra(SuiteError):
    """The primitives of a suite need a package that is not installed."""


class SuiteConflict(SuiteError):
    """Two suites give one name different meanings."""

    def __init__(self, name: str, first: str, second: str) -> None:
        super().__init__(
            f"suites {first!r} and {second!r} do not combine: "
            f"{name!r} means something else in each; use one of them"
        )
        self.name = name


_ALTERED = re.compile(r"(?P<name>[^\[\]]+)\[(?P<changes>\s*[-~]\w+(\s*,\s*[-~]\w+)*\s*)\]")
_TEXT_COLUMNS: dict[str, Type] = {"completion": Text(), "answer": Text()}

SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite(
            name="math",
            doc="Math problems with a gold answer: is it right, how is it written, how long is it.",
            columns=_TEXT_COLUMNS,
            primitives=table(
                [
                    correct.correct,
                    correctness.exact,
                    correctness.boxed,
                    correctness.hashed,
                    correctness.numeric_equal,
                    choice.same_choice,
                    shape.step_markers,
                    correctness.contains_answer,
                    shape.chars,
                    shape.words,
                ]
            ),
            outcome="correct(completion, answer)",
            outcomes=tuple(
                f"{name}(completion, answer)" for name in ("exact", "numeric_equal", "same_choice")
            ),
        ),
        Suite(
            name="derl-math",
            doc="The math primitives of DERL: right, boxed, steps shown, gold answer mentioned.",
            columns=_TEXT_COLUMNS,
            primitives={},
            bindings={
                "g1": Binding(derl_math.g1, ("completion", "answer")),
                "g2": Binding(derl_math.g2, ("completion",)),
                "g3": Binding(derl_math.g3, ("completion",)),
                "g4": Binding(derl_math.g4, ("completion", "answer")),
            },
            outcome="g1",
        ),
        Suite(
            name="derl-agent",
            doc="The agent primitives of DERL: solved, and the mean step score of each third.",
            columns={"solved": Bool(), "step_scores": List(Number(0.0, 1.0))},
            primitives={},
            bindings={
                "g1": Binding(derl_agent.g1, ("solved",)),
                "g2": Binding(derl_agent.g2, ("step_scores",)),
                "g3": Binding(derl_agent.g3, ("step_scores",)),
                "g4": Binding(derl_agent.g4, ("step_scores",)),
            },
            outcome="g1",
        ),
        Suite(
            name="format",
            doc="How a completion is laid out: think blocks, tagged blocks, code fences, JSON.",
            columns={"completion": Text()},
            primitives=table(
                [
                    layout.think_format,
                    layout.think_closed,
                    layout.has_block,
                    layout.code_blocks,
                    layout.last_code,
                    layout.last_code_in,
                    layout.valid_json,
                ]
            ),
        ),
        Suite(
            name="length",
            doc="How long a completion is and how much it repeats itself.",
            columns={"completion": Text()},
            primitives=table(
                [
                    tokens.tokens,
                    shape.words,
                    shape.chars,
                    tokens.token_repetition,
                    repetition.repetition,
                ]
            ),
        ),
        Suite(
            name="agent",
            doc="The steps of an agent's episode: actions, tags, validity, step scores, "
            "observations, and the score of the environment after each step.",
            columns={
                "solved": Bool(),
                "actions": List(Text()),
                "tags": List(Text()),
                "valid": List(Bool()),
                "step_scores": List(Number(0.0, 1.0)),
                "observations": List(Text()),
                "scores": List(Number(0.0, 1.0)),
            },
            primitives=table([episode.is_new, episode.changes, episode.previous, episode.gain]),
            outcome="solved",
        ),
        Suite(
            name="verify",
            doc="Answers compared as mathematics, by math-verify in worker processes.",
            columns=_TEXT_COLUMNS,
            primitives=table([correct.correct, equality.math_equal]),
            outcome="correct(completion, answer)",
            extra=MATH,
            outcomes=("math_equal(completion, answer)",),
        ),
        Suite(
            name="similarity",
            doc="How near a completion comes to a gold answer that it need not meet.",
            columns=_TEXT_COLUMNS,
            primitives=table(
                [
                    similarity.edit_similarity,
                    similarity.word_f1,
                    similarity.word_overlap,
                    similarity.rouge_l,
                    similarity.sequence_similarity,
                    similarity.box_iou,
                    similarity.number_closeness,
                ]
            ),
        ),
        Suite(
            name="reasoning",
            doc="Words that show reasoning: self-checks and the joints of an argument.",
            columns={"completion": Text()},
            primitives=table([shape.step_markers, reasoning.reflections, reasoning.connectives]),
        ),
        Suite(
            name="code",
            doc="Programs in a completion: code blocks, whether one parses and passes its tests.",
            columns={"completion": Text(), "tests": List(Text())},
            primitives=table(
                [
                    layout.code_blocks,
                    layout.last_code,
                    layout.last_code_in,
                    code.valid_python,
                    code_tests.passes_tests,
                    code_tests.tests_passed,
                ]
            ),
        ),
        Suite(
            name="chat",
            doc="Conversations: messages, reasoning, calls of tools and their results. All columns "
            "are read out of message lists; the completion is what the assistant said last, and "
            "`truncated` is what `finish_reason` (or `stop_reason`) says of its end.",
            columns={
                "completion": Text(),
                "roles": List(Text()),
                "contents": List(Text()),
                "reasoning": Text(),
                "tool_calls": List(Text()),
                "tool_names": List(Text()),
                "tool_arguments": List(Text()),
                "tool_results": List(Text()),
                "truncated": Bool(),
            },
            primitives=table([tool_calls.call_similarity]),
        ),
        Suite(
            name="json",
            doc="Completions that are data: JSON, and whether it fits a schema.",
            columns={"completion": Text()},
            primitives=table([layout.valid_json, schema.fits_schema]),
            extra=JSON,
        ),
    )
}


def find_suite(name: str) -> Suite:
    """The suite of this name, or the union of several joined by `+`; `[-g3]`, `[~g3]` change one.

    The outcome of a union is that of the first suite that has one.
    Raises `UnknownSuite` for a name that is not in the table, `SuiteNeedsExtra` for a suite whose
    package is not installed, `SuiteConflict` when two suites give one name different meanings, and
    `SuiteError` for a change that a suite does not allow.

    >>> find_suite("math+derl-agent").outcome, sorted(find_suite("derl-math").bindings)
    ('correct(completion, answer)', ['g1', 'g2', 'g3', 'g4'])
    >>> sorted(find_suite("derl-math[-g2,~g3]").bindings)
    ['g1', 'g3', 'g4']
    """
    first, *others = [_part(part.strip()) for part in name.split("+")]
    for other in others:
        first = _union(first, other)
    return first


def _part(text: str) -> Suite:
    """One suite of a union, changed as its brackets say."""
    name, bracket, _ = text.partition("[")
    if name not in SUITES:
        raise UnknownSuite(name)
    extra = SUITES[name].extra
    if extra is not None and extra.missing:
        raise SuiteNeedsExtra(
            f"the suite {name!r} needs {extra.package}, which is not installed: "
            f"pip install 'derl-dsl[{extra.name}]'"
        )
    return _altered(text) if bracket else SUITES[name]


# Kept, because values are cached by the function that gives them.
@cache
def _altered(text: str) -> Suite:
    found = _ALTERED.fullmatch(text)
    if found is None:
        name = text.partition("[")[0]
        raise SuiteError(f"suite {text!r}: write {name}[-x] to leave x out, {name}[~x] to turn it")
    suite = SUITES[found["name"]]
    try:
        for change in found["changes"].split(","):
            alter = ablations.without if change.strip()[0] == "-" else ablations.turned
            suite = alter(suite, change.strip()[1:])
    except ValueError as error:
        raise SuiteError(f"suite {text!r}: {error}") from None
    return replace(suite, name=text)


def _union(first: Suite, second: Suite) -> Suite:
    meanings: dict[str, object] = _meanings(first)
    for name, meaning in _meanings(second).items():
        if meanings.setdefault(name, meaning) != meaning:
            raise SuiteConflict(name, first.name, second.name)
    return Suite(
        name=f"{first.name}+{second.name}",
        doc=first.doc if first.doc == second.doc else f"{first.doc} {second.doc}",
        columns=_merged(first.columns, second.columns),
        primitives=_merged(first.primitives, second.primitives),
        bindings=_merged(first.bindings, second.bindings),
        outcome=first.outcome if first.outcome is not None else second.outcome,
        outcomes=tuple(dict.fromkeys(first.outcomes + second.outcomes)),
    )


def _meanings(suite: Suite) -> dict[str, object]:
    return {**suite.columns, **suite.primitives, **suite.bindings}


def _merged(first: Mapping[str, T], second: Mapping[str, T]) -> dict[str, T]:
    return {**first, **second}
