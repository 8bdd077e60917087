"""The gallery's rewards stated again in plain Python, from their formulas in words.

Each function takes the rows of one group and returns a reward for each, None where there is none.
Nothing here uses the language or its primitives, but for the verdict of the verifiers.
"""

from __future__ import annotations

import math
import re
from collections import Counter

from derl_primitives.correct import correct
from derl_primitives.correctness import exact, numeric_equal
from tests.gallery.rows import Row

Rewards = list[float | None]


def is_right(row: Row) -> bool:
    return bool(exact([row["completion"]], [row["answer"]])[0])


def is_correct(row: Row) -> bool:
    return bool(correct([row["completion"]], [row["answer"]])[0])


def length(row: Row) -> int:
    return len(row["completion_ids"])


def one_leading_think_block(text: str) -> bool:
    bare = r"(?:(?!</?think>)[\s\S])*"
    found = re.fullmatch(rf"<think>{bare}</think>({bare})", text)
    return found is not None and re.search(r"\S", found[1]) is not None


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def deviation(values: list[float]) -> float:
    return math.sqrt(mean([(v - mean(values)) ** 2 for v in values]))


def z_score(value: float, values: list[float]) -> float:
    return (value - mean(values)) / deviation(values) if len(set(values)) > 1 else 0.0


def repeated(items: list, n: int) -> float:
    grams = Counter(tuple(items[k : k + n]) for k in range(len(items) - n + 1))
    return 1 - len(grams) / grams.total() if grams else 0.0


# One function a row of the gallery; `each` lifts a formula of one row.


def each(formula):
    return lambda rows: [formula(row) for row in rows]


def deepseek_r1(row: Row) -> float:
    text = row["completion"].lstrip()
    return is_correct(row) + one_leading_think_block(text)


def trl_accuracy(row: Row) -> float | None:
    return float(is_correct(row)) if row["answer"].strip() else None


def trl_reasoning_accuracy(row: Row) -> float | None:
    if not any(c in "0123456789" for c in row["answer"]):
        return None
    parts = row["completion"].split("</think>")
    if len(parts) == 1:
        return 0.0
    return float(numeric_equal([parts[-1]], [row["answer"]])[0])


def think_format(row: Row) -> float:
    return float(one_leading_think_block(row["completion"]))


def cosine_length(row: Row) -> float:
    low, high = (0.5, 1.0) if is_right(row) else (-0.5, -1.0)
    progress = min(length(row) / 1000, 1)
    return low + 0.5 * (high - low) * (1 + math.cos(math.pi * progress))


def repetition_tokens(row: Row) -> float:
    return -repeated(row["completion_ids"], 3)


def repetition_words(row: Row) -> float:
    return -repeated(re.findall(r"\S+", row["completion"].lower()), 3)


def dapo_overlong(row: Row) -> float:
    n, most, cache = length(row), 20480, 4096
    if n <= most - cache:
        return 0.0
    return ((most - cache) - n) / cache if n <= most else -1.0


def tag_count(row: Row) -> float:
    tags = ("<think>\n", "\n</think>\n", "\n<answer>\n", "\n</answer>")
    return sum(0.25 for tag in tags if len(row["completion"].split(tag)) == 2)


def reasoning_steps(row: Row) -> float:
    pattern = r"(Step \d+:|^\d+\.|\n-|\n\*|First,|Second,|Next,|Finally,)"
    return min(1.0, len(re.findall(pattern, row["completion"])) / 3)


def kimi_length(rows: list[Row]) -> Rewards:
    lengths = [length(row) for row in rows]
    low, high = min(lengths), max(lengths)
    found: Rewards = []
    for row, n in zip(rows, lengths, strict=True):
        bonus = 0.5 - (n - low) / (high - low) if high > low else 0.0
        found.append(bonus if is_right(row) else min(0.0, bonus))
    return found


def code_tests(row: Row) -> float | None:
    if row["passed"] is None or row["total"] == 0:
        return None
    rate = row["passed"] / row["total"]
    return 1.0 if rate > 0.99 else rate


def l1_exact(row: Row) -> float:
    return is_right(row) - 3e-4 * abs(row["target"] - length(row))


def l1_max(row: Row) -> float:
    room = 3e-4 * (row["target"] - length(row)) + 0.5
    return is_right(row) * min(max(room, 0.0), 1.0)


def grpo_lead(rows: list[Row]) -> Rewards:
    lengths = [float(length(row)) for row in rows if is_right(row)]
    return [
        math.exp(-0.05 * z_score(length(row), lengths)) if is_right(row) else 0.0 for row in rows
    ]


def length_vs_right(rows: list[Row]) -> Rewards:
    lengths = [float(length(row)) for row in rows if row["ok"]]
    found: Rewards = []
    for row in rows:
        bonus = 0.0
        if row["ok"]:
            bonus = min(max(1 - length(row) / max(1.0, mean(lengths)), 0.0), 1.0)
        found.append(row["score"] * (1 + bonus))
    return found


def cost_aware(rows: list[Row]) -> Rewards:
    spent = [sum(row["turn_tokens"]) for row in rows]
    context = [max(row["turn_context"], default=0) for row in rows]
    turns = [len(row["turn_tokens"]) for row in rows]
    pass_rate = sum(row["solved"] for row in rows) / len(rows)

    def share(values: list[int], k: int) -> float:
        return values[k] / max(values) if max(values) > 0 else 0.0

    return [
        row["solved"]
        - pass_rate * (0.1 * share(spent, k) + 0.05 * share(context, k) + 0.05 * share(turns, k))
        for k, row in enumerate(rows)
    ]


def quantile_length(rows: list[Row]) -> Rewards:
    lengths = sorted(length(row) for row in rows if is_right(row))
    found: Rewards = []
    for row in rows:
        penalty = 0.0
        if lengths:
            at = 0.8 * (len(lengths) - 1)
            below = math.floor(at)
            above = lengths[min(below + 1, len(lengths) - 1)]
            limit = lengths[below] * (1 - (at - below)) + above * (at - below)
            penalty = min(0.5, max(0.0, length(row) - limit) / max(limit, 1))
        found.append(is_right(row) - penalty)
    return found


def stop_properly(row: Row) -> float:
    return (0.5 if row["truncated"] else 1.0) * is_right(row)


def rlvmr_steps(row: Row) -> float:
    seen: set[str] = set()
    total = 0
    for k, (tag, action) in enumerate(zip(row["tags"], row["actions"], strict=True)):
        mends = k > 0 and not row["valid"][k - 1] and action != row["actions"][k - 1]
        paid = {"planning": row["solved"], "explore": action not in seen, "reflection": mends}
        total += bool(paid.get(tag, False))
        seen.add(action)
    return row["solved"] + (0.5 * total / len(row["tags"]) if row["tags"] else 0.0)


def dpepo(row: Row) -> float:
    paid = []
    for t in range(len(row["actions"])):
        counts = [row[name][t] for name in ("repeats", "moves_repeated", "moves_shared")]
        deep = sum(math.pow(0.9, count) for count in counts) / 3
        paid.append((deep + math.pow(0.9, row["doubles"][t])) / 2 if row["solved"] else 0.0)
    return row["solved"] + 0.1 * (mean(paid) if paid else 0.0)


def spark(row: Row) -> float:
    paid = [
        (0.1 if ways > 1 else -0.1) if tag == "explore" else 0.0
        for tag, ways in zip(row["tags"], row["branches"], strict=True)
    ]
    return row["solved"] + (mean(paid) if paid else 0.0)


def derl_agent(row: Row) -> float:
    scores, n = row["step_scores"], len(row["step_scores"])
    thirds = [scores[k * n // 3 : (k + 1) * n // 3] for k in range(3)]
    return (row["solved"] + sum(mean(third) if third else 0.0 for third in thirds)) / 4


def derl_math_primitives(row: Row) -> list[float]:
    """g1..g4 from the facts that the text was built from."""
    facts = (row["_right"], row["_boxed"], row["_steps"] >= 2, row["_named"])
    return [fact + 1e-6 for fact in facts]


def derl_math(row: Row) -> float:
    return sum(derl_math_primitives(row)) / 4


def derl_formula(row: Row) -> float:
    g1, g2, g3, g4 = derl_math_primitives(row)
    first = (0.5 * g1 + 0.3 * g2) * (0.8 * g3 + 0.2 * g4) / 1.2
    return first + (g1 if row["_right"] else (1 - g2) / 10)


def gdpo(rows: list[Row]) -> Rewards:
    right = [float(is_right(row)) for row in rows]
    form = [float(one_leading_think_block(row["completion"].lstrip())) for row in rows]
    return [z_score(a, right) + 0.5 * z_score(b, form) for a, b in zip(right, form, strict=True)]


def rank_shaping(rows: list[Row]) -> Rewards:
    found: Rewards = []
    for k, row in enumerate(rows):
        others = [other["score"] for j, other in enumerate(rows) if j != k]
        beaten = [1.0 if s < row["score"] else 0.5 if s == row["score"] else 0.0 for s in others]
        found.append(mean(beaten) * math.exp(-3 * row["progress"]))
    return found


def curriculum(row: Row) -> float:
    form = one_leading_think_block(row["completion"].lstrip())
    return is_right(row) + (0.2 * form if row["progress"] >= 0.3 else 0.0)


def verl_gsm8k(row: Row) -> float:
    if re.search(r"#### -?\d", row["completion"], re.ASCII) is None:
        return 0.0
    return 1.0 if is_right(row) else 0.1
