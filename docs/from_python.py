"""Ten public rewards before and after: their published Python, and the file of the gallery.

The Python is that of `tests/gallery/public.py`, which `tests/gallery/test_public.py` holds against
the gallery's files on hundreds of random rows each: what the page shows is what was compared.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_PLAIN = ROOT / "tests" / "gallery" / "public.py"
_GALLERY = ROOT / "derl_dsl" / "derl_dsl" / "gallery"
# The reward's file, its Python, its name, and what to see in the pair.
PAIRS = (
    ("27_unsloth_basic", "unsloth_basic", "Unsloth's basic rewards",
     "Five functions of a notebook are five parts of one reward, each a line of the log."),
    ("28_unsloth_advanced", "unsloth_advanced", "Unsloth's number rewards",
     "`float(…)` in a `try` is `default(number(…), 0)`; the division is guarded."),
    ("29_countdown", "countdown", "Countdown",
     "What a model wrote is not given to `eval`: `arithmetic` reads a formula and runs nothing."),
    ("30_squad", "squad", "SQuAD's exact match and F1",
     "Several golds are a list, and the best of them its `max`."),
    ("31_logic_rl", "logic_rl", "Logic-RL",
     "Early returns are one condition after the other; each has a name and a line of the log."),
    ("33_swe_rl", "swe_rl", "SWE-RL", "The ratio of `difflib` is a primitive."),
    ("34_nemo_iou", "nemo_iou", "Overlap of boxes",
     "`numbers` reads the box; fewer than four are an overlap of 0."),
    ("35_multiple_choice", "multiple_choice", "Multiple choice",
     "`re.search(…).group(1)` is `extract`, whose pattern has one group."),
    ("36_language_consistency", "language_consistency", "Language consistency",
     "A share whose divisor can be 0 has to say what it then is: `guard(…, 0)`."),
    ("37_verifiers_xml", "verifiers_xml", "verifiers' XML format",
     "A loop over messages is arithmetic on a list: the suite `chat` reads it out of the rows."),
)  # fmt: skip


def pairs() -> str:
    """The ten pairs as sections."""
    return "\n".join(
        f"### {title}\n\n{told}\n\nBefore:\n\n```python\n{_python(function)}\n```\n\n"
        f"After, `{file}.derl`:\n\n```python\n{_reward(file)}\n```\n"
        for file, function, title, told in PAIRS
    )


def _reward(file: str) -> str:
    return (_GALLERY / f"{file}.derl").read_text("utf-8").split("# test:")[0].strip()


def _python(function: str) -> str:
    """The function, after the helpers and constants of its module that it needs."""
    text = _PLAIN.read_text("utf-8")
    defined: dict[str, ast.stmt] = {}
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.FunctionDef):
            defined[statement.name] = statement
        elif isinstance(statement, ast.Assign):
            for target in statement.targets:
                defined.update(
                    {n.id: statement for n in ast.walk(target) if isinstance(n, ast.Name)}
                )
    wanted, found = [function], []
    while wanted:
        statement = defined[wanted.pop()]
        if statement not in found:
            found.append(statement)
            names = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}
            wanted += [n for n in names if n in defined and n != "Row"]
    shown = sorted(found, key=lambda s: s.lineno)
    return "\n\n".join(ast.get_source_segment(text, s) or "" for s in shown)
