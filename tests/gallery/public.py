"""Twelve public rewards stated again in plain Python, after the published code, with their rows.

Nothing here uses the language or its primitives. Rows are built from pieces that bring about the
forms, right and wrong, and the edge cases of each.
"""

from __future__ import annotations

import ast
import difflib
import json
import random
import re
import string
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

Row = dict[str, Any]


def joined(rng: random.Random, pieces: list[str], most: int = 7) -> str:
    return "".join(rng.choices(pieces, k=rng.randint(0, most)))


# Unsloth, basic


def unsloth_basic(row: Row) -> float:
    text = row["completion"]
    extracted = text.split("<answer>")[-1].split("</answer>")[0].strip()
    score = 2.0 if extracted == row["answer"] else 0.0
    score += 0.5 if extracted.isdigit() else 0.0
    strict = r"^<reasoning>\n.*?\n</reasoning>\n<answer>\n.*?\n</answer>\n$"
    score += 0.5 if re.match(strict, text) else 0.0
    score += 0.5 if re.match(r"<reasoning>.*?</reasoning>\s*<answer>.*?</answer>", text) else 0.0
    score += 0.125 * (text.count("<reasoning>\n") == 1)
    score += 0.125 * (text.count("\n</reasoning>\n") == 1)
    if text.count("\n<answer>\n") == 1:
        score += 0.125 - len(text.split("\n</answer>\n")[-1]) * 0.001
    if text.count("\n</answer>") == 1:
        score += 0.125 - (len(text.split("\n</answer>")[-1]) - 1) * 0.001
    return score


def basic_row(rng: random.Random) -> Row:
    answer = rng.choice(["4", "18", "-3", "x"])
    said = rng.choice([answer, "5", f" {answer}\u3000", "\u0664"])
    pieces = ["<reasoning>", "</reasoning>", "<answer>", "</answer>", "\n", said, " ", "x"]
    form = rng.choice([
        f"<reasoning>\nx\n</reasoning>\n<answer>\n{said}\n</answer>\n",
        f"<reasoning>\nx\n</reasoning>\n<answer>\n{said}\n</answer>\n\n",
        f"<reasoning>\nx\n</reasoning>\n<answer>\n{said}\n</answer>\nand more",
        f"<reasoning>x</reasoning>\u2003<answer>{said}</answer>", f"{said}</answer>", said, "",
    ])  # fmt: skip
    return {"completion": form if rng.random() < 0.6 else joined(rng, pieces), "answer": answer}


# Unsloth, advanced

_START, _END, _OPEN, _CLOSE = (
    "<start_working_out>",
    "<end_working_out>",
    "<SOLUTION>",
    "</SOLUTION>",
)
_FORM = re.compile(rf"^[\s]{{0,}}{_START}.+?{_END}.*?{_OPEN}(.+?){_CLOSE}[\s]{{0,}}$", re.M | re.S)
_NUMBER = re.compile(rf"{_OPEN}.*?([\d\.]{{1,}})", re.M | re.S)


def unsloth_advanced(row: Row) -> float:
    text, true = row["completion"], row["answer"]
    form = _FORM.search(text)
    score = 3.0 if form else 0.0
    score += sum(0.5 if text.count(tag) == 1 else -0.5 for tag in (_START, _END, _OPEN, _CLOSE))
    if form:
        guess = form[1]
        if guess == true:
            score += 3.0
        elif guess.strip() == true.strip():
            score += 1.5
        else:
            try:
                ratio = float(guess) / float(true)
                score += 0.5 if 0.9 <= ratio <= 1.1 else 0.25 if 0.8 <= ratio <= 1.2 else -1.0
            except (ValueError, ZeroDivisionError):
                score -= 0.5
    number = _NUMBER.search(text)
    with suppress(ValueError):
        score += 1.5 if number and float(number[1]) == float(true.strip()) else 0.0
    return score


def advanced_row(rng: random.Random) -> Row:
    answer = rng.choice(["18", "2.5", "100", "0", "many"])
    guess = rng.choice([answer, f" {answer} ", "19", "90", "85", "1e2", "many", "1.2.3", "."])
    pieces = [_START, _END, _OPEN, _CLOSE, "\n", guess, "x"]
    form = f"{_START}9*2{_END}{rng.choice(['', 'so '])}{_OPEN}{guess}{_CLOSE}"
    around = rng.choice(["", "\n", " ", "\nBye"])
    text = form + around if rng.random() < 0.7 else joined(rng, pieces, 9)
    return {"completion": text, "answer": answer}


# Countdown


def countdown(row: Row) -> float:
    found = re.findall(r"<answer>(.*?)</answer>", row["completion"].split("\n")[-1])
    if not found:
        return 0.0
    equation = found[-1].strip()
    used = sorted(map(int, re.findall(r"\d+", equation)))
    if used != sorted(row["nums"]) or not re.fullmatch(r"[\d+\-*/().\s]+", equation):
        return 0.1
    try:
        value = _plain_value(ast.parse(re.sub(r"\b0+(?=\d)", "", equation), mode="eval").body)
    except (SyntaxError, ZeroDivisionError):
        return 0.1
    return 1.0 if abs(value - row["target"]) < 1e-5 else 0.1


def _plain_value(node: ast.expr) -> float:
    match node:
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _plain_value(left), _plain_value(right)
            match op:
                case ast.Add():
                    return a + b
                case ast.Sub():
                    return a - b
                case ast.Mult():
                    return a * b
                case ast.Div():
                    return a / b
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_plain_value(operand)
        case ast.Constant(value=int(number)):
            return number
    raise SyntaxError


def countdown_row(rng: random.Random) -> Row:
    nums = [rng.randint(1, 20) for _ in range(rng.randint(2, 4))]
    equation = " ".join(str(x) + rng.choice([" +", " *", " -", "/"]) for x in nums)[:-1].rstrip(
        "+ "
    )
    equation = equation.rstrip("*/-+ ")
    try:
        target = round(_plain_value(ast.parse(equation, mode="eval").body), 6)
    except ZeroDivisionError:
        target = 1
    equation = rng.choice([equation, f"({equation})", f"{equation} + 1", equation.replace("+", "-"),
                           "2 ** 3", "", "a + b", f"{equation}/0", f"{equation} )"])  # fmt: skip
    text = rng.choice(["<answer>{}</answer>", "<think>x</think>\n<answer> {} </answer>",
                       "<answer>1</answer> <answer>{}</answer>", "<answer>{}</answer>\n", "{}",
                       "<answer>{}", "<answer>{}</answer> </answer>"])  # fmt: skip
    return {"completion": text.format(equation), "nums": nums, "target": target}


# SQuAD


def _normal(text: str) -> str:
    text = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def _f1(said: str, gold: str) -> float:
    a, b = _normal(said).split(), _normal(gold).split()
    same = sum((Counter(a) & Counter(b)).values())
    if not a or not b:
        return float(a == b)
    if same == 0:
        return 0.0
    precision, recall = same / len(a), same / len(b)
    return 2 * precision * recall / (precision + recall)


def squad(row: Row) -> float:
    golds, said = row["answers"], row["completion"]
    exact = max((float(_normal(said) == _normal(g)) for g in golds), default=0.0)
    return 0.5 * exact + 0.5 * max((_f1(said, g) for g in golds), default=0.0)


def squad_row(rng: random.Random) -> Row:
    words = [
        "the ",
        "a ",
        "Denver ",
        "broncos",
        "Broncos ",
        ", ",
        "U.S. ",
        "é",
        "an",
        "1990s ",
        "!",
    ]
    golds = [joined(rng, words, 5) for _ in range(rng.randint(0, 3))]
    said = rng.choice(golds).upper() if golds and rng.random() < 0.4 else joined(rng, words)
    return {"completion": said, "answers": golds}


# Logic-RL


def logic_rl(row: Row) -> float:
    text, people = row["completion"], row["_people"]
    tags = ["<think>", "</think>", "<answer>", "</answer>"]
    places = [text.find(tag) for tag in tags]
    formed = all(text.count(tag) == 1 for tag in tags) and places == sorted(places)
    if not formed:
        return -1.0 - 2.0
    answer = text[places[2] + 8 : places[3]].lower()
    told = re.findall(r"\bis a (knight|knave)\b", answer)
    if len(told) != len(people):
        return 1.0 - 2.0
    right = all(f"{name} is a {kind}" in answer for name, kind in people.items())
    return 1.0 + (2.0 if right else -1.5)


def logic_row(rng: random.Random) -> Row:
    kinds = ("knight", "knave")
    people = {name: rng.choice(kinds) for name in rng.sample(["zoey", "riley", "owen", "ava"], 3)}
    told = {n: k if rng.random() < 0.85 else rng.choice(kinds) for n, k in people.items()}
    lines = [f"({i}) {n.title()} is a {k}" for i, (n, k) in enumerate(told.items(), 1)]
    lines = lines[: rng.choice([3, 3, 3, 2])] + ["Zoey is a knave"] * (rng.random() < 0.1)
    answer = "\n".join(rng.sample(lines, len(lines)))
    text = rng.choice(["<think>x</think><answer>{}</answer>"] * 3 + [
        "<think>x</think>\n<answer>{}", "<answer>{}</answer><think>x</think>", "{}",
        "<think>x</think><answer>{}</answer></answer>",
    ])  # fmt: skip
    golds = [f"{name} is a {kind}" for name, kind in people.items()]
    return {"completion": text.format(answer), "golds": golds, "_people": people}


# ToolRL


def toolrl(row: Row) -> float:
    text = row["completion"]
    form = re.search(r"^<think>.*</think>\n<tool_call>\n.*\n</tool_call>\Z", text, re.S) is not None
    golds = [json.loads(g) for g in row["wanted"]]
    block = text.rpartition("<tool_call>")[2].partition("</tool_call>")[0].strip()
    calls = []
    for line in block.split("\n") if "<tool_call>" in text and block else []:
        try:
            calls.append(json.loads(line))
        except ValueError:
            calls.append({"name": None})
    return form + 6 * _matched(golds, calls) - 3


def _matched(golds: list[dict], calls: list[dict]) -> float:
    if not golds and not calls:
        return 1.0
    gold_names = Counter(g["name"] for g in golds)
    names = Counter(c["name"] for c in calls)
    shared = sum((gold_names & names).values())
    score, most = shared / (len(golds) + len(calls) - shared), 1.0
    left = list(calls)
    for gold in golds:
        wanted = gold.get("arguments", {})
        most += 1 + len(wanted)
        best, chosen = 0.0, None
        for call in left:
            if call["name"] != gold["name"]:
                continue
            given = call.get("arguments", {})
            either = len(set(wanted) | set(given))
            value = len(set(wanted) & set(given)) / either if either else 1.0
            value += sum(k in given and given[k] == v for k, v in wanted.items())
            if value > best:
                best, chosen = value, call
        if chosen is not None:
            score += best
            left.remove(chosen)
    return score / most


def toolrl_row(rng: random.Random) -> Row:
    def call() -> dict:
        names = rng.sample(["to", "by", "at"], rng.randint(0, 3))
        return {"name": rng.choice(["go", "see"]),
                "arguments": {n: rng.choice([1, "x", [1, 2], None]) for n in names}}  # fmt: skip

    golds = [call() for _ in range(rng.randint(0, 3))]
    calls = golds if rng.random() < 0.4 else [call() for _ in range(rng.randint(0, 3))]
    lines = [json.dumps(c) for c in rng.sample(calls, len(calls))] + ["{"] * (rng.random() < 0.1)
    text = rng.choice(["<think>x</think>\n<tool_call>\n{}\n</tool_call>"] * 3 + [
        "<tool_call>{}</tool_call>", "<tool_call>\n{}", "nothing", "<think>{}</think>",
    ])  # fmt: skip
    completion = text.replace("{}", "\n".join(lines))
    return {"completion": completion, "wanted": [json.dumps(g) for g in golds]}


# SWE-RL


def swe_rl(row: Row) -> float:
    text = row["completion"]
    if re.search(r"<solution>.*</solution>", text, re.S) is None:
        return -1.0
    patch = text[text.rindex("<solution>") + 10 :].split("</solution>")[0].strip()
    return difflib.SequenceMatcher(None, patch, row["patch"], autojunk=False).ratio()


def swe_row(rng: random.Random) -> Row:
    lines = ["-a = 1\n", "+a = 2\n", " def f(x):\n", "+    return x\n", "@@ -1,3 +1,3 @@\n", "é\n"]
    patch = joined(rng, lines, 12).strip()
    given = patch if rng.random() < 0.3 else joined(rng, lines, 12)
    text = rng.choice(["<think>x</think><solution>{}</solution>"] * 3 + [
        "{}", "<solution>{}", "</solution>{}",
        "<solution>no</solution> <solution>\n{}\n</solution>",
    ])  # fmt: skip
    return {"completion": text.format(given), "patch": patch}


# NeMo-RL, boxes


def nemo_iou(row: Row) -> float:
    text = row["completion"]
    inner = text.rpartition("<answer>")[2].split("</answer>")[0] if "<answer>" in text else ""
    form = re.search(r"\A<think>.*</think>.*<answer>.*</answer>\Z", text, re.S) is not None
    box = [float(x) for x in re.findall(r"-?[0-9]+(?:\.[0-9]+)?", inner)]
    return 0.9 * _overlap(box, row["box"]) + 0.1 * form


def _overlap(a: list[float], b: list[float]) -> float:
    if len(a) != 4 or min(a[2] - a[0], a[3] - a[1], b[2] - b[0], b[3] - b[1]) <= 0:
        return 0.0
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    return both / union


def nemo_row(rng: random.Random) -> Row:
    left, top = rng.randint(-20, 50), rng.randint(0, 50)
    box = [left, top, left + rng.randint(0, 40), top + rng.randint(1, 40)]
    moved = [x + rng.choice([0, 0, 5, -7, 0.5]) for x in box][: rng.choice([4, 4, 4, 3])]
    said = rng.choice(["[{}]", "({})", "{}"]).format(", ".join(map(str, moved)))
    said = rng.choice([said, said, "none"])
    text = rng.choice(["<think>x</think><answer>{}</answer>", "<answer>{}</answer>", "{}",
                       "<answer>1</answer><answer>{}"])  # fmt: skip
    return {"completion": text.format(said), "box": box}


# Multiple choice


def multiple_choice(row: Row) -> float:
    found = re.search(r"(?i)Answer[ \t]*:[ \t]*([A-Z])", row["completion"])
    return float(found is not None and found[1] == row["answer"])


def choice_row(rng: random.Random) -> Row:
    letter = rng.choice("ABCDb")
    pieces = ["Answer: ", "ANSWER :\t", "answer:", letter, "A", "so ", "\n", "(", ") "]
    said = f"so\nAnswer: {letter}" if rng.random() < 0.5 else joined(rng, pieces)
    return {"completion": said, "answer": rng.choice(letter * 3 + "ABCD")}


# Language consistency


def language_consistency(row: Row) -> float:
    text = row["completion"]
    if "</think>" in text:
        text = re.sub(r"\A\s*<think>", "", text[: text.rindex("</think>")])
    elif "<think>" in text:
        text = text.split("<think>", 1)[1]
    else:
        text = ""
    letters = [c for c in text if unicodedata.category(c).startswith("L")]
    script = "CJK" if row["language"] == "zh" else "LATIN"
    wanted = [c for c in letters if unicodedata.name(c).startswith(script)]
    return len(wanted) / len(letters) if letters else 0.0


def language_row(rng: random.Random) -> Row:
    pieces = ["二加二", "等于四。", "so it is ", "né ", "4 ", "жук ", ", ", "\n", "ß"]
    inner = joined(rng, pieces, 9)
    text = rng.choice(["<think>{}</think>四 four", "{}</think>四", "<think>{}", "{}"])
    return {"completion": text.format(inner), "language": rng.choice(["zh", "en"])}


# verifiers, XML


def verifiers_xml(row: Row) -> float:
    scores = []
    for role, text in zip(row["roles"], row["contents"], strict=True):
        if role != "assistant":
            continue
        parsed = [re.search(rf"<{f}>\s*(.*?)\s*</{f}>", text, re.S) for f in ("think", "answer")]
        present = [p is not None or f"<{f}>" in text or f"</{f}>" in text
                   for p, f in zip(parsed, ("think", "answer"), strict=True)]  # fmt: skip
        score = 0.4 * sum(present) / 2 if any(parsed) else 0.0
        score += 0.2
        score += 0.2 * text.strip().startswith("<think>") + 0.2 * text.strip().endswith("</answer>")
        scores.append(score)
    return sum(scores) / len(scores) if scores else 0.0


def xml_row(rng: random.Random) -> Row:
    pieces = ["<think>", "</think>", "<answer>", "</answer>", "\n", " x ", "4"]
    whole = "<think>\nx\n</think>\n<answer>4</answer>"
    count = rng.randint(0, 4)
    contents = [whole if rng.random() < 0.4 else joined(rng, pieces) for _ in range(count)]
    return {"roles": [rng.choice(["assistant", "assistant", "user", "tool"]) for _ in contents],
            "contents": contents}  # fmt: skip


# Code tests


def code_passes(row: Row) -> float:
    blocks = re.findall(r"^```[a-z]*\n(.*?)^```[ ]*$", row["completion"], re.S | re.M)
    if not blocks:
        return 0.0
    passed = 0
    for test in row["tests"]:
        done = subprocess.run([sys.executable, "-c", f"{blocks[-1]}\n{test}"], capture_output=True,
                              check=False, timeout=20)  # fmt: skip
        passed += done.returncode == 0
    return 0.9 * passed / len(row["tests"]) + 0.1


_PROGRAMS = [
    "def add(a, b):\n    return a + b\n", "def add(a: int, b: int) -> int:\n    return 3\n",
    "def add(a, b):\n    return a - b\n", "def add(a, b:\n", "add = lambda a, b: a + b\n",
    "from functools import reduce\ndef add(a, b):\n    return reduce(int.__add__, [a, b])\n",
    "def add(a, b):\n    raise ValueError\n",
]  # fmt: skip


def code_row(rng: random.Random) -> Row:
    text = rng.choice(["```python\n{}```", "Look:\n```py\n{}```\nDone.", "{}",
                       "```\nx = 1\n```\nand\n```\n{}```\n"])  # fmt: skip
    tests = ["assert add(1, 2) == 3", "assert add(2, 2) == 4", "assert add(0, 3) == 3"]
    return {"completion": text.format(rng.choice(_PROGRAMS)), "tests": tests[: rng.randint(1, 3)]}


PUBLIC: dict[str, tuple[Callable[[random.Random], Row], Callable[[Row], float]]] = {
    "27_unsloth_basic": (basic_row, unsloth_basic),
    "28_unsloth_advanced": (advanced_row, unsloth_advanced),
    "29_countdown": (countdown_row, countdown),
    "30_squad": (squad_row, squad),
    "31_logic_rl": (logic_row, logic_rl),
    "32_toolrl": (toolrl_row, toolrl),
    "33_swe_rl": (swe_row, swe_rl),
    "34_nemo_iou": (nemo_row, nemo_iou),
    "35_multiple_choice": (choice_row, multiple_choice),
    "36_language_consistency": (language_row, language_consistency),
    "37_verifiers_xml": (xml_row, verifiers_xml),
    "38_code_passes": (code_row, code_passes),
}
