"""What a kind of gold answer is: how gold is read, how an answer is, and when both are the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from derl_grammar.records import record


@record
class Kind:
    """A kind of gold answer.

    `gold` reads an undressed gold, None when it is of another kind. `given` reads an undressed
    answer (with the meaning of gold, and whether decimal commas count); None: it says nothing of
    this kind. `same` compares the two; None: nothing here can tell, math-verify may be asked.
    `spoken` finds the answer in a sentence and takes the sentence, the meaning of gold and the
    comma; without it the whole sentence is read.
    """

    name: str
    gold: Callable[[str], Any]
    given: Callable[[str, Any, bool], Any]
    same: Callable[[Any, Any], bool | None]
    spoken: Callable[[str, Any, bool], Any] | None = None
    layer: str = "by value"
