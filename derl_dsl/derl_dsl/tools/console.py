"""The console of all commands: rich's, whose texts are shown as they are and do nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import IO, Any

from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment

from derl_grammar.visible import seen


class Console(RichConsole):
    """A console that takes no markup and no control sequence from the texts it prints."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**{"markup": False, "highlight": False, "emoji": False, **given})

    @property
    def file(self) -> IO[str]:
        """The stream behind a strict one: control sequences of the console itself pass."""
        stream = self._file or (sys.stderr if self.stderr else sys.stdout)
        stream = getattr(stream, "rich_proxied_file", stream)
        found: IO[str] = getattr(stream, "styled", stream)
        return found

    @file.setter
    def file(self, new_file: IO[str]) -> None:
        self._file = new_file

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """The segments of anything that can be printed, their texts harmless."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(seen(segment.text), segment.style)
