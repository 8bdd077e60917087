"""An open reward file: its findings, its names, and what each expression stands for."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property

from derl_dsl.checker import check_source
from derl_dsl.elaborate.expressions import Elaborator
from derl_dsl.elaborate.scope import Scope
from derl_dsl.elaborate.values import Value
from derl_dsl.graph.ir import Graph
from derl_dsl.graph.ranges import LARGEST
from derl_dsl.prove.analyse import Analysis
from derl_dsl.prove.checked import Checked
from derl_dsl.tools.project import Settings, settings_of
from derl_grammar import nodes as n
from derl_grammar.diagnostics import Diagnostic, Report
from derl_grammar.limits import WIDE
from derl_grammar.machine import Token
from derl_grammar.nodes import Place
from derl_grammar.parser import parse, place_of, tokens
from derl_grammar.spans import Source
from derl_grammar.syntax_codes import EMPTY, NO_REWARD

# Each round blanks out what does not parse; half-typed text has one or two such places.
_ROUNDS = 8


def _line_of(source: Source, found: Diagnostic) -> Place:
    """The whole line on which a finding begins."""
    start = found.span.start - found.column + 1
    return start, start + len(source.line(found.line))


class Document:
    """One version of an open file; everything is computed when it is first asked for."""

    def __init__(self, path: str, text: str) -> None:
        self.source = Source(text, path)
        self.problem: str | None = None
        try:
            self.settings = settings_of(path, text)
            self.scope: Scope = self.settings.scope()
        except ValueError as error:
            self.problem = str(error)
            self.settings = Settings()
            self.scope = self.settings.scope()

    @property
    def text(self) -> str:
        """The whole text."""
        return self.source.text

    @cached_property
    def checked(self) -> Checked | None:
        """The checked program, or None when the settings stand in the way."""
        if self.problem is not None:
            return None
        try:
            return check_source(self.source, self.scope, self.settings.sizes)
        except ValueError as error:  # the outcome of the settings is no input
            self.problem = str(error)
            return None

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """The findings that the settings show; a file of tests is no reward and has none."""
        if self.source.path.endswith(".test.derl"):
            return ()
        return self.settings.shown(self.checked.diagnostics) if self.checked else ()

    # Names

    @cached_property
    def tokens(self) -> list[Token]:
        """All tokens."""
        return tokens(self.text)

    @cached_property
    def _starts(self) -> list[int]:
        return [place_of(t)[0] for t in self.tokens]

    def token_at(self, offset: int) -> int | None:
        """The index of the name that touches `offset`, or of another token that holds it."""
        at = bisect_right(self._starts, offset) - 1
        touching = [i for i in (at, at - 1) if i >= 0 and place_of(self.tokens[i])[1] >= offset]
        names = [i for i in touching if self.tokens[i].type == "NAME"]
        holding = [i for i in touching if place_of(self.tokens[i])[1] > offset]
        return next(iter([*names, *holding]), None)

    def in_comment(self, offset: int) -> bool:
        """Whether `offset` lies in a comment."""
        at = bisect_right(self._starts, offset - 1) - 1
        end = place_of(self.tokens[at])[1] if at >= 0 else 0
        return "#" in self.text[end:offset].rpartition("\n")[2]

    def followed_by(self, index: int, kind: str) -> bool:
        """Whether the token behind the one at `index` is of this type."""
        return index + 1 < len(self.tokens) and self.tokens[index + 1].type == kind

    @cached_property
    def definitions(self) -> dict[str, Place]:
        """The place of each name that a statement defines, in order.

        A half-typed bracket may swallow the statements below it, so that an assignment at the
        beginning of a line counts inside brackets too.
        """
        found: dict[str, Place] = {}
        depth = 0
        for i, token in enumerate(self.tokens):
            depth += (token.type == "LPAR") - (token.type == "RPAR")
            if token.type != "NAME" or not self.followed_by(i, "EQUAL"):
                continue
            first = i == 0 or self.tokens[i - 1].type == "_NL"
            if first and (depth <= 0 or self.source.line_column(token.start_pos)[1] == 1):
                found.setdefault(str(token), place_of(token))
        return found

    def part_at(self, offset: int) -> str | None:
        """The part named at `offset`: where it is defined or used."""
        index = self.token_at(offset)
        if index is None:
            return None
        name = str(self.tokens[index])
        place = place_of(self.tokens[index])
        return name if name in self.definitions and place in self.places_of(name) else None

    def places_of(self, name: str) -> list[Place]:
        """Where a part is defined and used; calls and keywords of its name are something else."""
        return [
            place_of(token)
            for i, token in enumerate(self.tokens)
            if token.type == "NAME"
            and token == name
            and not self.followed_by(i, "LPAR")
            and (not self.followed_by(i, "EQUAL") or place_of(token) == self.definitions.get(name))
        ]

    # Types

    @cached_property
    def program(self) -> n.Program | None:
        """The program without the lines that do not parse; places are those of the whole text."""
        text = self.text
        for _ in range(_ROUNDS):
            report = Report(Source(text))
            found = parse(text, report, WIDE)
            if found is not None:
                return found
            if {d.code for d in report.found} & {NO_REWARD.code, EMPTY.code}:
                text += "\nreward = 0"
                continue
            for start, end in {_line_of(report.source, d) for d in report.found}:
                text = text[:start] + " " * (end - start) + text[end:]
        return None

    @cached_property
    def _elaborator(self) -> Elaborator:
        elaborator = Elaborator(self.scope, Report(self.source), Graph())
        if self.program is not None:
            elaborator.program(self.program)
        return elaborator

    @cached_property
    def _types(self) -> dict[Place, Value]:
        """What each name stands for, by its place."""
        values = self._elaborator.values
        found: dict[Place, Value] = {}
        if self.program is None:
            return found
        named = [(part.name_place, part.value) for part in self.program.parts]
        if place := self.definitions.get("reward"):
            named.append((place, self.program.reward))
        for place, root in named:
            found[place] = values[id(root)]
        for root in [*(p.value for p in self.program.parts), self.program.reward]:
            for node in n.postorder(root):
                if isinstance(node, n.Name):
                    found[node.place] = values[id(node)]
                elif isinstance(node, n.Call):
                    found[node.name_place] = values[id(node)]
        return found

    def type_at(self, place: Place) -> str | None:
        """The type and range of the name or call at a place; None when an error hides it."""
        value = self._types.get(place)
        if value is None or value.kind in ("broken", "skip"):
            return None
        text = value.kind
        if value.kind == "number" and value.node is not None:
            text = self._range(value.node, value.valid)
        if value.many:
            text = f"list[{text}]"
        return text if value.valid is None else f"{text}?"

    def _range(self, node: int, valid: int | None) -> str:
        found = Analysis(self._elaborator.graph, [node], given=valid)[node]
        if found.nan:
            return "number (can be NaN)"
        if found.lo <= -LARGEST and found.hi >= LARGEST:
            return "number"
        return f"number[{found.lo:.6g}, {found.hi:.6g}]"
