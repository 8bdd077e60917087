"""A candidate for the final answer."""

from __future__ import annotations

from derl_grammar.records import record


@record
class Final:
    """A candidate for the final answer: as written, where it was taken from.

    `text` is None when there is none, `how` then says why. `spoken`: words of a sentence may stand
    around the answer. `comma`: the text is in a language that writes 3,5. `weak`: when it says
    nothing of gold's kind the next candidate is tried.
    """

    text: str | None
    how: str
    spoken: bool = False
    comma: bool = False
    weak: bool = False
    alone: bool = False

    @property
    def tentative(self) -> bool:
        """Whether it is the text or its last line as it stands: right, or the next is tried."""
        return self.how in ("the whole text", "the last line")
