"""Random rows for the gallery: texts with tags and answers, token ids, episodes.

Columns whose names start with `_` are facts about a text, known because it was built from them;
they are for the plain statements and are not passed to the reward.
"""

from __future__ import annotations

import random
from typing import Any

Row = dict[str, Any]
GROUP = 4
PIECES = [
    "<think>",
    "</think>",
    "<think>\n",
    "\n</think>\n",
    "\n<answer>\n",
    "\n</answer>",
    "4",
    "18",
    " 1,234 ",
    "\\boxed{4}",
    "\\boxed{18}",
    "#### 18\n",
    "#### -1,234.5",
    "#### x",
    "#### 0",
    "Step 1: ",
    "Step 22: ",
    "\n- ",
    "\n* ",
    "First, ",
    "Finally, ",
    "1. ",
    "\n",
    " ",
    "so it is ",
    "So it is ",
]
ANSWERS = ["0", "4", "18", "1234", "-1234.5", "none", ""]


def text(rng: random.Random, answer: str) -> str:
    """A text of random pieces, or a well-formed one, right or wrong."""
    if rng.random() < 0.5:
        return "".join(rng.choices(PIECES, k=rng.randint(0, 9)))
    value = answer if rng.random() < 0.5 else "77"
    final = rng.choice(["#### {}", "\\boxed{{{}}}", "{}", "\n<answer>\n{}\n</answer>", "It is {}"])
    think = rng.choice(["", "<think>", "<think>\n"])
    inner = "".join(rng.choices(["Step 1: ", "\n- ", "so it is ", "4"], k=rng.randint(0, 5)))
    close = rng.choice(["</think>", "\n</think>\n"]) if think or rng.random() < 0.2 else ""
    return think + inner + close + final.format(value)


def answered(rng: random.Random) -> Row:
    """A completion with its tokens and the gold answer."""
    answer = rng.choice(ANSWERS)
    longest = rng.choice([1, 5, 50, 500, 1500])
    tokens = [rng.randint(0, rng.choice([2, 9, 50_000])) for _ in range(rng.randint(0, longest))]
    return {"completion": text(rng, answer), "answer": answer, "completion_ids": tokens}


def prompts(rng: random.Random) -> Row:
    """As `answered`, with the columns that some rewards read besides."""
    return {
        **answered(rng),
        "target": rng.choice([0, 100, 1000, 4000, rng.randint(0, 100_000)]),
        "truncated": rng.random() < 0.3,
        "score": rng.choice([0, 0.5, 1, rng.random()]),
        "ok": rng.random() < 0.5,
    }


def long_texts(rng: random.Random) -> Row:
    """Lengths around DAPO's limits."""
    return {"completion": "", "completion_ids": [0] * rng.randint(15_000, 21_500)}


def tested(rng: random.Random) -> Row:
    """What a sandbox says of a program: some could not be run, some have no tests."""
    total = rng.choice([0, 1, 7, 100, 1000])
    passed = rng.choice([total, max(0, total - 1), rng.randint(0, total), None])
    return {"passed": passed, "total": total}


def episode(rng: random.Random) -> Row:
    """An agent's episode; all its lists have one value a step."""
    steps = rng.randint(0, 7)

    def each(*values: Any) -> list[Any]:
        return [rng.choice(values) for _ in range(steps)]

    return {
        "solved": rng.random() < 0.5,
        "tags": each("planning", "explore", "reflection", "monitor", ""),
        "actions": each("look", "open door", "take cup"),
        "valid": each(True, False),
        "step_scores": [rng.random() for _ in range(steps)],
        "turn_tokens": each(0, 10, rng.randint(0, 5000)),
        "turn_context": each(0, 100, rng.randint(0, 50_000)),
    }


def explored(rng: random.Random) -> Row:
    """An episode with what its group explored beside it."""
    row = episode(rng)

    def each(least: int, most: int) -> list[float]:
        return [float(rng.randint(least, most)) for _ in row["actions"]]

    return {
        **row,
        "repeats": each(0, 3), "moves_repeated": each(0, 3), "moves_shared": each(0, 9),
        "doubles": each(0, 3), "branches": each(1, 4),
    }  # fmt: skip


def derl_math(rng: random.Random) -> Row:
    """A completion built from facts, so that g1..g4 are known without reading it."""
    gold = rng.randint(10, 99)
    right, in_box, mentioned = (rng.random() < 0.5 for _ in range(3))
    steps = rng.randint(0, 3)
    value = gold if right else gold + 100
    lines = [f"Step {k}: think" for k in range(1, steps + 1)]
    lines += [f"It may be {gold}, who knows"] if mentioned else []
    lines.append(f"\\boxed{{{value}}}" if in_box else f"#### {value}")
    facts = {"_right": right, "_boxed": in_box, "_steps": steps, "_named": mentioned or right}
    return {"completion": "\n".join(lines), "answer": str(gold), **facts}


def ranked(rng: random.Random) -> Row:
    """Scores with ties."""
    return {"score": rng.choice([0, 1, 5, rng.uniform(0, 10)])}
