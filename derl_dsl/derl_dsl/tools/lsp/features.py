"""Hover, completion, definition, rename, formatting and quick fixes of one document."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lsprotocol import types as lsp

from derl_dsl.elaborate.functions import FUNCTIONS, Function
from derl_dsl.elaborate.scope import PROGRESS
from derl_dsl.tools.fixes import fix_safely
from derl_dsl.tools.fmt.fmt import format_source
from derl_dsl.tools.lsp.document import Document
from derl_dsl.tools.lsp.positions import Positions
from derl_grammar.diagnostics import CODES, Diagnostic
from derl_grammar.nodes import Place
from derl_grammar.parser import place_of
from derl_grammar.types import Type
from derl_grammar.visible import visible
from derl_primitives.primitive import Primitive
from derl_runtime.sources import Apply, Column
from derl_runtime.untrusted import Untrusted

_SEVERITIES = {
    "error": lsp.DiagnosticSeverity.Error,
    "warning": lsp.DiagnosticSeverity.Warning,
    "info": lsp.DiagnosticSeverity.Information,
}
# The kinds of code actions.
KINDS = (lsp.CodeActionKind.QuickFix, lsp.CodeActionKind.SourceFixAll)
_WORDS = ("if", "else", "and", "or", "not", "True", "False")
_DID_YOU_MEAN = re.compile(r"did you mean '([A-Za-z_]\w*)'\?")
Edits = tuple[tuple[int, int, str], ...]
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def diagnostics(document: Document, at: Positions) -> list[lsp.Diagnostic]:
    """The findings; a mistake in the settings is one at the beginning of the file."""
    found = [_diagnostic(d, at) for d in document.diagnostics]
    if document.problem is not None:
        start = lsp.Position(0, 0)
        found.append(
            lsp.Diagnostic(
                lsp.Range(start, start), document.problem, _SEVERITIES["error"], source="derl-dsl"
            )
        )
    return found


def _diagnostic(found: Diagnostic, at: Positions) -> lsp.Diagnostic:
    return lsp.Diagnostic(
        at.range((found.span.start, found.span.end)),
        "\n".join([found.message, *found.hints]),
        _SEVERITIES[found.severity],
        code=found.code,
        source="derl-dsl",
    )


# Hover


def hover(document: Document, at: Positions, offset: int) -> lsp.Hover | None:
    """The type, the range and the documentation of the name at `offset`."""
    index = document.token_at(offset)
    if index is None or document.tokens[index].type != "NAME":
        return None
    name, place = str(document.tokens[index]), place_of(document.tokens[index])
    called = document.followed_by(index, "LPAR")
    text = _described(document, name, place, called)
    if text is None:
        return None
    return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, text), at.range(place))


def _code(text: str) -> str:
    return f"```python\n{text}\n```"


def _plain(text: str) -> str:
    """A text that nobody has read, as text alone: no link, no image, no command of an editor."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{visible(text, breaks=True)}\n{fence}"


def _doc(entry: Function | Primitive) -> str:
    """The documentation, its example as code."""
    if isinstance(entry, Primitive) and isinstance(entry.fn, Untrusted):
        return _plain(entry.doc)
    text, example, rest = entry.doc.partition(">>>")
    return text if not example else f"{text}{_code(example + rest)}"


def _described(document: Document, name: str, place: Place, called: bool) -> str | None:
    here = document.type_at(place)
    entry: Function | Primitive | None = None
    if called:
        entry = FUNCTIONS.get(name) or document.scope.primitives.get(name)
    if entry is not None:
        doc = [_code(entry.signature), _doc(entry)]
        return "\n\n".join([*doc, *([f"Here: `{here}`"] if here else [])])
    if document.part_at(place[0]) == name:
        what = "The reward" if name == "reward" else "A part"
        line = document.source.line_column(document.definitions[name][0])[0]
        head = _code(f"{name}: {here}" if here else name)
        return f"{head}\n\n{what}, defined in line {line}."
    source = document.scope.names.get(name)
    return None if source is None else _of_source(name, source, document)


def _of_source(name: str, source: Column | Apply, document: Document) -> str:
    head = _code(f"{name}: {source.type}")
    if source == PROGRESS:
        return f"{head}\n\nThe share of training that is done."
    if isinstance(source, Column):
        return f"{head}\n\nA column of the data."
    primitive = source.primitive
    columns = ", ".join(map(str, source.args))
    doc = _doc(primitive) if isinstance(primitive, Primitive) else ""
    return f"{head}\n\n`{primitive.name}({columns})`\n\n{doc}"


# Completion


def completion(document: Document, offset: int) -> list[lsp.CompletionItem]:
    """What may be written at `offset`: parts above, names of the suite, functions, words."""
    index = document.token_at(offset)
    inside = index is not None and document.tokens[index].type in ("STRING", "NUMBER")
    if inside or document.in_comment(offset):
        return []
    return [
        *_keywords(document, offset),
        *_parts(document, offset),
        *(_name_item(name, s.type) for name, s in document.scope.names.items()),
        *(_function_item(f) for f in FUNCTIONS.values()),
        *(_function_item(p) for p in document.scope.primitives.values()),
        *(lsp.CompletionItem(w, kind=lsp.CompletionItemKind.Keyword) for w in _WORDS),
    ]


def _parts(document: Document, offset: int) -> Iterator[lsp.CompletionItem]:
    line = document.source.line_column(offset)[0]
    for name, place in document.definitions.items():
        if name != "reward" and document.source.line_column(place[0])[0] < line:
            yield lsp.CompletionItem(
                name,
                kind=lsp.CompletionItemKind.Variable,
                detail=document.type_at(place),
                sort_text=f"0{name}",
            )


def _name_item(name: str, kind: Type) -> lsp.CompletionItem:
    return lsp.CompletionItem(
        name, kind=lsp.CompletionItemKind.Field, detail=str(kind), sort_text=f"1{name}"
    )


def _function_item(entry: Function | Primitive) -> lsp.CompletionItem:
    return lsp.CompletionItem(
        entry.name,
        kind=lsp.CompletionItemKind.Function,
        detail=entry.signature,
        documentation=lsp.MarkupContent(lsp.MarkupKind.Markdown, _doc(entry)),
        sort_text=f"2{entry.name}",
    )


def _keywords(document: Document, offset: int) -> Iterator[lsp.CompletionItem]:
    """The keyword arguments of the call round `offset`."""
    depth = 0
    for i in range(len(document.tokens) - 1, 0, -1):
        token = document.tokens[i]
        if place_of(token)[0] >= offset:
            continue
        depth += (token.type == "RPAR") - (token.type == "LPAR")
        if depth < 0:
            function = FUNCTIONS.get(str(document.tokens[i - 1]))
            for keyword in function.keywords if function else ():
                yield lsp.CompletionItem(
                    f"{keyword}=",
                    kind=lsp.CompletionItemKind.Property,
                    detail=function.signature if function else None,
                    sort_text=f"0{keyword}",
                )
            return


# Definition and rename


def definition(document: Document, at: Positions, offset: int) -> lsp.Range | None:
    """Where the part at `offset` is defined."""
    name = document.part_at(offset)
    return None if name is None else at.range(document.definitions[name])


def renamable(document: Document, at: Positions, offset: int) -> lsp.Range | None:
    """The place of the part at `offset`; names of the suite and `reward` keep theirs."""
    name = document.part_at(offset)
    index = document.token_at(offset)
    if name is None or name == "reward" or index is None:
        return None
    return at.range(place_of(document.tokens[index]))


def rename(
    document: Document, at: Positions, offset: int, new: str
) -> list[lsp.TextEdit] | str | None:
    """The edits that rename a part, None where there is none, or why the name cannot be used."""
    if renamable(document, at, offset) is None:
        return None
    name = document.part_at(offset)
    assert name is not None
    if not _NAME.fullmatch(new) or new in (*_WORDS, "reward", "skip"):
        return f"{new!r} is no name for a part"
    scope = document.scope
    if new != name and new in {*document.definitions, *FUNCTIONS, *scope.names, *scope.primitives}:
        return f"{new!r} is taken already"
    return [lsp.TextEdit(at.range(place), new) for place in document.places_of(name)]


# Formatting and fixes


def formatting(document: Document, at: Positions) -> list[lsp.TextEdit]:
    """One edit of the lines that change; none for a text with syntax errors."""
    new = format_source(document.source).text
    old = document.text
    if new is None or new == old:
        return []
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    head = 0
    while head < min(len(before), len(after)) and before[head] == after[head]:
        head += 1
    tail = 0
    while tail < min(len(before), len(after)) - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    start = sum(map(len, before[:head]))
    end = len(old) - sum(map(len, before[len(before) - tail :]))
    return [lsp.TextEdit(at.range((start, end)), "".join(after[head : len(after) - tail]))]


def actions(
    document: Document, at: Positions, uri: str, wanted: lsp.Range
) -> Iterator[lsp.CodeAction]:
    """The quick fixes of the findings that touch a range."""
    first, last = at.offset(wanted.start), at.offset(wanted.end)
    for found in document.diagnostics:
        if found.span.end < first or found.span.start > last:
            continue
        for title, edits in [*_fixes(found), *_ignores(document, found)]:
            changes = [lsp.TextEdit(at.range((s, e)), text) for s, e, text in edits]
            yield lsp.CodeAction(
                title,
                kind=lsp.CodeActionKind.QuickFix,
                diagnostics=[_diagnostic(found, at)],
                edit=lsp.WorkspaceEdit({uri: changes}),
                is_preferred=not title.startswith("ignore"),
            )


def fix_all(document: Document, at: Positions, uri: str) -> Iterator[lsp.CodeAction]:
    """One action for all fixes that are proven to leave the reward as it is, as `check --fix`."""
    checked = document.checked
    if checked is None or not document.diagnostics:
        return
    fixed, made = fix_safely(checked, document.settings)
    if not made:
        return
    whole = lsp.TextEdit(at.range((0, len(document.text))), fixed.source.text)
    yield lsp.CodeAction(
        "fix all that leaves the reward as it is",
        kind=lsp.CodeActionKind.SourceFixAll,
        edit=lsp.WorkspaceEdit({uri: [whole]}),
    )


def _fixes(found: Diagnostic) -> Iterator[tuple[str, Edits]]:
    if found.fix is not None:
        title = found.fix.message or CODES[found.code].title
        yield title, found.fix.edits
    for hint in found.hints:
        if match := _DID_YOU_MEAN.match(hint):
            yield f"replace by {match[1]}", ((found.span.start, found.span.end, match[1]),)


def _ignores(document: Document, found: Diagnostic) -> Iterator[tuple[str, Edits]]:
    """A comment that silences a warning or an info, where the line has no comment yet."""
    line = document.source.line(found.end_line)
    end = found.span.end - (found.end_column - 1) + len(line)
    if found.severity != "error" and not document.in_comment(end):
        comment = f"  # derl: ignore[{found.code}]"
        yield f"ignore {found.code} on this line", ((end, end, comment),)
