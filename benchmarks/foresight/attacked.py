"""Thirty rewards to attack: the gallery's that judge an answer, the reference verifiers of
rewardlint, the examples of rewardprobe's page, and what tutorials write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from derl_dsl import gallery


@dataclass(frozen=True, slots=True)
class Attacked:
    """A reward to attack, as its text, its suite, its columns."""

    name: str
    text: str
    suite: str | None
    columns: Mapping[str, str]


_MATH = "math+format+length"
_GALLERY = ("01_deepseek_r1", "02_trl_accuracy", "03_trl_reasoning_accuracy", "21_derl_math",
            "22_derl_formula", "26_verl_gsm8k", "27_unsloth_basic",
            "28_unsloth_advanced")  # fmt: skip
_BOXED = 'extract(completion, "\\\\\\\\boxed\\\\{([^{}]*)\\\\}")'
_OWN = {
    # rewardlint's five reference verifiers
    "substring_match": "1 * contains(completion, answer)",
    "last_number": "default(last(numbers(completion)), -1) == default(number(answer), -2)",
    "exact_match": "strip(completion) == strip(answer)",
    "boxed_exact": f"{_BOXED} == answer",
    "robust_match": "1 * correct(completion, answer)",
    # rewardprobe's page: verifiers' gsm8k, Open-R1's first match, verl's format score, a gist
    "verifiers_gsm8k": 'strip(between(completion, "<answer>", "</answer>")) == answer',
    "open_r1_first": 'exact(before(completion, "\\n"), answer) or exact(completion, answer)',
    "verl_format_score": "1 if hashed(completion) and exact(completion, answer) "
    "else 0.1 * hashed(completion)",
    "gist": '2 * (strip(between(completion, "<answer>", "</answer>")) == answer)'
    " + 0.5 * think_format(completion) + 0.5 * has_block(completion, \"answer\")",
    # what tutorials and issues write
    "mentions": "contains(lower(completion), lower(answer))",
    "ends with it": "ends_with(strip(completion), answer)",
    "after the hash": "contains(after_last(completion, \"####\"), answer)",
    "in the answer tag": 'contains(last_block(completion, "answer"), answer)',
    "right and long": "exact(completion, answer) + min(words(completion) / 100, 2)",
    "right and boxed": "exact(completion, answer) + boxed(completion)",
    "right and steps": "exact(completion, answer) + min(step_markers(completion), 4) / 4",
    "right and thinking": "correct(completion, answer) + think_format(completion)",
    "format gate": "contains(completion, answer) if think_format(completion) else 0",
    "mean of four": "(exact(completion, answer) + boxed(completion) + "
    "min(step_markers(completion), 2) / 2 + contains_answer(completion, answer)) / 4",
    "polite": 'exact(completion, answer) + 2 * matches(completion, "(?i)certainly[.!]")',
    "numeric": "1 * numeric_equal(completion, answer)",
    "proven": "1 + 0.2 * (1 - ramp(words(completion), 60, 200)) if correct(completion, answer) "
    "else 0.1 * boxed(completion)",
}  # fmt: skip


def _all() -> tuple[Attacked, ...]:
    found = []
    for name in _GALLERY:
        source, settings = gallery.read(name)
        found.append(Attacked(name, source.text, settings.suite, dict(settings.columns or {})))
    return (*found, *(Attacked(name, text, _MATH, {}) for name, text in _OWN.items()))


REWARDS = _all()
