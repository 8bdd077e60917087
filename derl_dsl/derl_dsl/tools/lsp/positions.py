"""Between character offsets and the positions of the protocol, in the client's units."""

from __future__ import annotations

from lsprotocol import types as lsp
from pygls.workspace import PositionCodec

from derl_grammar.nodes import Place
from derl_grammar.spans import Source


class Positions:
    """The positions of one text; `codec` counts UTF-16 units unless the client chose others."""

    def __init__(self, source: Source, codec: PositionCodec) -> None:
        self.source = source
        self.codec = codec

    def position(self, offset: int) -> lsp.Position:
        """The position of a character offset."""
        line, column = self.source.line_column(offset)
        before = self.source.text[offset - column + 1 : offset]
        return lsp.Position(line - 1, self.codec.client_num_units(before))

    def range(self, place: Place) -> lsp.Range:
        """The range between two character offsets."""
        return lsp.Range(self.position(place[0]), self.position(place[1]))

    def offset(self, position: lsp.Position) -> int:
        """The character offset of a position; beyond a line or the text, its end."""
        lines = self.source.text.split("\n")
        if position.line >= len(lines):
            return len(self.source.text)
        units, column = 0, 0
        line = lines[position.line]
        if position.line + 1 < len(lines):
            line = line.removesuffix("\r")
        while column < len(line) and units < position.character:
            units += self.codec.client_num_units(line[column])
            column += 1
        return sum(len(text) + 1 for text in lines[: position.line]) + column
