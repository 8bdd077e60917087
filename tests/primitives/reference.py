r"""What each text primitive says, one rollout at a time, in plain Python: the definitions.

Nothing here is fast. The tests hold the primitives to these functions on random texts, and the
benchmarks measure against them. `REFERENCES` has them by name.
"""

from __future__ import annotations

import ast
import difflib
import json
import re
import warnings
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from derl_primitives.answers import last_number, number_of, same_answer
from derl_primitives.verdict import judge, read_gold
from tests.primitives.reference_texts import TEXT_FUNCTIONS

BOX = r"\boxed{"


def box_content(text: str, start: int) -> str | None:
    r"""What stands in the `\boxed{` at `start`, or None when its brace is never closed."""
    depth = 0
    for i in range(start + len(BOX) - 1, len(text)):
        if text[i] in "{}" and text[i - 1] != "\\":
            depth += 1 if text[i] == "{" else -1
            if depth == 0:
                return text[start + len(BOX) : i].strip()
    return None


def final_answer(text: str) -> str | None:
    """The last marked answer: a box that is closed and not blank, or the line after `####`."""
    marks = {}
    for match in re.finditer(r"\\boxed\{", text):
        content = box_content(text, match.start())
        if content:
            marks[match.start()] = content
    at = text.rfind("####")
    if at >= 0:
        line = text[at + 4 :].lstrip().partition("\n")[0].strip()
        marks[at] = re.split(r"<\|[a-z_]{1,24}\|>|</s>|<eos>|<end_of_turn>", line)[0].rstrip()
    if not marks:
        return None
    lead_in = r"(?i)\A(?:the\s+)?(?:final\s+)?answer\b(?:\s+is\b)?\s*[:=]?\s*"
    return re.sub(lead_in, "", marks[max(marks)], count=1)


def gold_answer(answer: str) -> str:
    """The marked answer of the gold column, or all of it."""
    marked = final_answer(answer)
    return answer.strip() if marked is None else marked


def exact(completion: str, answer: str) -> bool:
    """Whether the final answer equals the gold answer and nothing speaks against it."""
    return same_final(completion, answer) and judge(completion, answer).right is not False


def same_final(completion: str, answer: str) -> bool:
    """Whether the last marked answer equals the gold answer: g1 of DERL."""
    given, gold = final_answer(completion), gold_answer(answer)
    if given is not None:
        return same_answer(given, gold)
    if same_answer(completion, gold):
        return True
    number = number_of(gold)
    return number is not None and last_number(completion) == number


def boxed(completion: str) -> bool:
    """Whether a box is closed and holds more than white space."""
    starts = (match.start() for match in re.finditer(r"\\boxed\{", completion))
    return any(box_content(completion, start) for start in starts)


def hashed(completion: str) -> bool:
    """Whether more than white space follows the last `####`."""
    return "####" in completion and bool(completion.rpartition("####")[2].strip())


def numeric_equal(completion: str, answer: str) -> bool:
    """Whether the final number equals the number of the gold answer."""

    def number_in(text: str) -> Any:
        value = number_of(text)
        return last_number(text) if value is None else value

    gold, given = number_in(gold_answer(answer)), final_answer(completion)
    if gold is None:
        return False
    value = None if given is None else number_in(given)
    return bool((number_in(completion) if value is None else value) == gold)


def step_markers(completion: str) -> float:
    """The number of `Step 1:` and of item numbers at the start of a line."""
    steps = re.findall(r"\b(?:[Ss]tep|STEP)[ \t]{1,4}[0-9]{1,4}[ \t]{0,4}[:.]", completion)
    items = re.findall(
        r"^[ \t>*_#-]*+[0-9]{1,4}[.)][ \t]{1,4}+(?![*_]{0,3}[Ss](?:tep|TEP)[ \t]{1,4}[0-9])",
        completion,
        re.M,
    )
    return float(len(steps) + len(items))


def contains_answer(completion: str, answer: str) -> bool:
    """Whether the gold answer stands in the completion as a whole number or whole words."""
    gold = gold_answer(answer)
    value = number_of(gold)
    if not gold:
        return False
    if value is None or isinstance(value, Fraction):
        before = r"(?<![^\W_])" if gold[0].isalnum() else ""
        after = r"(?![^\W_])" if gold[-1].isalnum() else ""
        return re.search(before + re.escape(gold) + after, completion) is not None
    start = r"(?<![0-9])(?<![0-9]\.)(?!(?<=[0-9],)[0-9]{3}(?![0-9]))"
    minus = "(?<=[-\u2212])" if value < 0 else ""
    for spelling in spellings(abs(value)):
        if "." in spelling:
            end = "0*(?![0-9])"
        else:
            end = r"(?![0-9])(?!,[0-9]{3}(?![0-9]))(?!\.[0-9]*[1-9])"
        if re.search(start + minus + re.escape(spelling) + end, completion):
            return True
    return False


def spellings(value: Any) -> list[str]:
    """How a number may be written: plain, with thousands commas, without a leading zero."""
    digits = f"{value:f}"
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    whole, dot, decimals = digits.partition(".")
    short = digits.removeprefix("0") if decimals else digits
    return [digits, f"{int(whole):,}{dot}{decimals}", short]


def same_choice(completion: str, answer: str) -> bool:
    """Whether gold is a letter from A to J, or several, and the completion chooses it."""

    def letter(text: str) -> str | None:
        dressed = r"[\s*_$]*(?:\\text(?:bf|rm)?\{)?[\s*_]*(\([A-Ja-j]\)|[A-Ja-j])[\s*_]*\}?[\s*_$]*"
        match = re.fullmatch(dressed + r"(?:[.):,\-\u2013\u2014](?:\s.*)?)?", text, re.S)
        return match[1].strip("()").upper() if match else None

    def chosen(text: str) -> str | None:
        marked = final_answer(text)
        if marked is not None:
            return letter(marked)
        said = re.findall(
            r"\b[Aa]nswer(?:[ \t]{1,4}is)?[ \t]{0,4}[:=]?[ \t*_]{0,4}(?:\\boxed\{)?"
            r"(\([A-Ja-j]\)|[A-J](?![A-Za-z0-9_'\u2019]))",
            text,
        )
        return said[-1].strip("()").upper() if said else letter(text)

    read = read_gold(answer)
    gold = answer if read is not None and read.kind.name == "choice" else chosen(answer)
    return gold is not None and judge(completion, gold).right is True


def chars(text: str) -> float:
    """The number of code points."""
    return float(len(text))


def words(text: str) -> float:
    """The number of words between white space."""
    return float(len(text.split()))


def repetition(text: str, n: float) -> float:
    """1 - different / all of the word n-grams."""
    return token_repetition(text.lower().split(), n)


def token_repetition(items: list[Any], n: float) -> float:
    """1 - different / all of the n-grams of a list."""
    grams = [tuple(items[k : k + int(n)]) for k in range(len(items) - int(n) + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def think_format(text: str) -> bool:
    """One think block first, and an answer after it."""
    tags = re.findall("<think>|</think>", text)
    first = re.match(r"\s*<think>", text)
    return (
        tags == ["<think>", "</think>"] and bool(first) and bool(text.split("</think>")[1].strip())
    )


def has_block(text: str, tag: str) -> bool:
    """One `<tag>`, then one `</tag>`, with something between them."""
    tags = re.findall(f"</?{tag}>", text)
    inner = re.search(f"<{tag}>(.*)</{tag}>", text, re.S)
    return tags == [f"<{tag}>", f"</{tag}>"] and bool(inner and inner[1].strip())


def fenced(text: str) -> list[tuple[str, str, bool]]:
    """The code blocks: content, what stands after the fence, whether it is closed."""
    blocks: list[tuple[str, str, bool]] = []
    opening, inside = None, ""
    for line in re.findall(r"[^\n]*\n|[^\n]+\Z", text):
        fence = re.fullmatch(r" {0,3}(?:(`{3,})([^`\n]*)|(~{3,})([^\n]*))\n?", line)
        mark, info = (fence[1] or fence[3], fence[2] or fence[4] or "") if fence else ("", "")
        if opening is None:
            opening, inside = ((mark, info), "") if fence else (None, "")
        elif fence and not info.strip() and mark.startswith(opening[0]):
            blocks.append((inside, opening[1], True))
            opening = None
        else:
            inside += line
    return [*blocks, (inside, opening[1], False)] if opening else blocks


def code_blocks(text: str) -> float:
    """The number of closed code blocks."""
    return float(sum(closed for _, _, closed in fenced(text)))


def last_code(text: str) -> str:
    """The last code block that holds something."""
    return next((code for code, _, _ in reversed(fenced(text)) if code.strip()), "")


def last_code_in(text: str, language: str) -> str:
    """The last code block in a language."""
    same = {"py": "python", "py3": "python", "python3": "python", "c++": "cpp", "js": "javascript"}

    def name(info: str) -> str:
        word = info.strip().split(" ")[0].strip("{}.,:").lower()
        return same.get(word, word)

    blocks = fenced(text)
    fits = [b for b in blocks if name(b[1]) == name(language)]
    fits = fits or [b for b in blocks if not b[1].strip()]
    return next((code for code, _, _ in reversed(fits) if code.strip()), "")


def json_value(text: str) -> tuple[bool, Any]:
    """Whether a text is one JSON value, and the value."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        return True, json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        return False, None


def valid_json(text: str) -> bool:
    """Whether a text is one JSON value."""
    return json_value(text)[0]


def fits_schema(text: str, schema: str) -> bool:
    """Whether a text is one JSON value that fits a schema."""
    from jsonschema import Draft202012Validator

    valid, value = json_value(text)
    return valid and Draft202012Validator(json.loads(schema)).is_valid(value)


def valid_python(text: str) -> bool:
    """Whether a text of at most 20,000 characters is a Python program."""
    if len(text) > 20_000 or not text.strip():
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return True


def reflections(text: str) -> float:
    """The number of phrases of doubt and checking."""
    from derl_primitives.reasoning import REFLECTIONS

    return float(len(re.findall(REFLECTIONS, text, re.A)))


def connectives(text: str) -> float:
    """The number of words that join an argument."""
    from derl_primitives.reasoning import CONNECTIVES

    return float(len(re.findall(CONNECTIVES, text, re.A)))


def edit_similarity(left: str, right: str) -> float:
    """1 - edits / the longer length, by the table of Wagner and Fischer."""
    left, right = left[:8192], right[:8192]
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        above, row = row, [i]
        for j, b in enumerate(right, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (a != b)))
    longer = max(len(left), len(right))
    return 1 - row[-1] / longer if longer else 1.0


def word_f1(left: str, right: str) -> float:
    """Twice the shared words over the words of both."""
    first, second = Counter(left.lower().split()), Counter(right.lower().split())
    total = sum(first.values()) + sum(second.values())
    return 2 * sum(min(n, second[word]) for word, n in first.items()) / total if total else 1.0


def word_overlap(left: str, right: str) -> float:
    """Shared words over all different words."""
    first, second = set(left.lower().split()), set(right.lower().split())
    return len(first & second) / len(first | second) if first | second else 1.0


def rouge_l(left: str, right: str) -> float:
    """Twice the longest common subsequence of words over the words of both."""
    first, second = left.lower().split()[:2048], right.lower().split()[:2048]
    row = [0] * (len(second) + 1)
    for a in first:
        above, row = row, [0]
        for j, b in enumerate(second, 1):
            row.append(above[j - 1] + 1 if a == b else max(above[j], row[-1]))
    total = len(first) + len(second)
    return 2 * row[-1] / total if total else 1.0


def think_closed(text: str) -> bool:
    """One closing tag before an answer, and an opening one at the start or nowhere."""
    before, closed, after = text.partition("</think>")
    opens = before.strip().startswith("<think>")
    return (
        bool(closed and after.strip())
        and "</think>" not in after
        and (text.count("<think>") == opens)
    )


def sequence_similarity(left: str, right: str) -> float:
    """difflib's ratio, of the first characters."""
    return difflib.SequenceMatcher(None, left[:2048], right[:2048], autojunk=False).ratio()


def number_closeness(completion: str, answer: str) -> float:
    """1 - difference / the larger of the final number and the gold number."""
    gold, given = number_of_gold(answer), None
    marked = final_answer(completion)
    for text in [completion] if marked is None else [marked, completion]:
        value = number_of(text)
        given = last_number(text) if value is None else value
        if given is not None:
            break
    if gold is None or given is None:
        return 0.0
    if gold == given:
        return 1.0
    a, b = Fraction(given), Fraction(gold)
    return max(0.0, float(1 - abs(a - b) / max(abs(a), abs(b))))


def number_of_gold(answer: str) -> Any:
    """The number that the gold answer is, or the last one in it."""
    value = number_of(gold_answer(answer))
    return last_number(gold_answer(answer)) if value is None else value


REFERENCES: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        exact, boxed, hashed, numeric_equal, same_choice, step_markers, contains_answer, chars,
        words, repetition, token_repetition, think_format, think_closed, has_block, code_blocks,
        last_code,
        last_code_in,
        valid_json, fits_schema, valid_python, reflections, connectives, edit_similarity, word_f1,
        word_overlap, rouge_l, sequence_similarity,
        number_closeness,
    )
} | TEXT_FUNCTIONS  # fmt: skip
