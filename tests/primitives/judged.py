"""Judged answers: completions, golds, and whether a careful grader says right.

`data/judged.txt` is what the verdicts were made with, `data/judged_held.txt` what nothing was tuned
on: the error that verdicts declare is measured on it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class Judged:
    """One judged answer; `line` is where it stands in the file."""

    kind: str
    family: str
    completion: str
    answer: str
    right: bool
    line: int


def _meant(text: str) -> str:
    text = text.replace("⏎", "\n")
    return re.sub(r"⟨([0-9a-f]+)⟩", lambda m: chr(int(m[1], 16)), text)


def judged(file: str = "judged.txt") -> list[Judged]:
    """All cases of a file, in order."""
    rows, kind, family = [], "", ""
    for number, line in enumerate((DATA / file).read_text("utf-8").split("\n"), 1):
        if line.startswith("== "):
            kind, _, family = line[3:].partition(" / ")
        elif line[:2] in ("+ ", "- "):
            answer, completion = map(_meant, line[2:].split(" || ", 1))
            rows.append(Judged(kind, family, completion, answer, line[0] == "+", number))
    return rows
