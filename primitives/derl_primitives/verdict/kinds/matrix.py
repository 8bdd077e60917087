"""Matrices and vectors in columns: every entry in its place; the brackets do not count."""

from __future__ import annotations

from derl_primitives.patterns import pattern
from derl_primitives.verdict.clean import ROW
from derl_primitives.verdict.elements import same_row, unnamed
from derl_primitives.verdict.kinds.kind import Kind
from derl_primitives.verdict.split import at_top, bracketed

Rows = list[list[str]]
_BODY = pattern(
    r"\\begin\s*\{(?P<name>[a-z]*matrix\*?|array|smallmatrix)\}(?:\s*\{[^{}]*\}"
    r"|\s*\[[^\]]*\])?(?P<body>[^\u2983]*?)\\end\s*\{(?P=name)\}"
)
_FACTOR = pattern(
    r"-?\s*(?:\d+(?:\.\d+)?(?:\s*/\s*\d+)?|\\frac\s*(?:\{-?\d+\}\s*\{\d+\}|\d\s*\d))\s*[\u00b7*]?"
)
_FACTOR_LAST = pattern(rf"(?<![\w.^])(?:{_FACTOR().pattern})\s*$")
"""What stands before a matrix and multiplies each entry."""
_CODE = pattern(r"^(?:np\.array|numpy\.array|Matrix|sympy\.Matrix|array|matrix)\((?P<body>.*)\)$")
_WRAP = pattern(r"^[\s([{|]*(?=\\begin)|(?<=\})[\s)\]}|]*$")


def rows_of(text: str) -> Rows | None:
    r"""The entries of a matrix, or None when the text is none.

    >>> rows_of("[[1, 2], [3, 4]]")
    [['1', '2'], ['3', '4']]
    """
    text = unnamed(text.strip(" .,"))
    turned = _TRANSPOSED().search(text)
    if turned:
        return _transposed(text[: turned.start()])
    match = _BODY().search(text)
    if match:
        if text[match.end() :].strip(" )]}|."):
            return None
        factor = text[: match.start()].strip(" ([{|")
        if factor:
            inner = rows_of(match.group()) if _FACTOR().fullmatch(factor) else None
            return inner and [[f"({factor})*({entry})" for entry in row] for row in inner]
        lines = [line for line in match["body"].replace("\\cr", ROW).split(ROW) if line.strip()]
        rows = [
            [entry.strip() for entry in line.replace("\\hline", "").split("&")] for line in lines
        ]
        return rows if rows and len({len(row) for row in rows}) == 1 else None
    match = _CODE().match(text)
    if match:
        text = match["body"]
    return _nested(text)


_TRANSPOSED = pattern(r"\s*\^\s*\{?\s*(?:T|t|\\top|\\intercal|\\mathsf\s*T)\s*\}?$")


def _transposed(text: str) -> Rows | None:
    """The columns of a matrix as rows; a row in plain brackets becomes a column."""
    rows = rows_of(text)
    if rows is not None:
        return [list(column) for column in zip(*rows, strict=True)]
    flat = bracketed(text.strip())
    if flat is None or flat[0] not in "([\u27e8":
        return None
    return [[entry.strip()] for entry in at_top(flat[1], ",")]


def _nested(text: str) -> Rows | None:
    outer = bracketed(text.strip())
    if outer is None or outer[0] not in "[(" or not outer[1].startswith(("[", "(")):
        if outer is not None and outer[0] == "[" and ";" in outer[1]:
            return [
                [e.strip() for e in (line.split(",") if "," in line else line.split())]
                for line in outer[1].split(";")
            ]
        return None
    rows = []
    for part in at_top(outer[1], ","):
        inner = bracketed(part.strip())
        if inner is None or inner[0] != "[":
            return None
        rows.append([entry.strip() for entry in at_top(inner[1], ",")])
    return rows if rows and len({len(row) for row in rows}) == 1 else None


def _same(given: tuple[Rows, bool], gold: Rows) -> bool | None:
    rows, comma = given
    if len(rows) != len(gold):
        return False
    verdicts = [same_row(one, other, comma) for one, other in zip(rows, gold, strict=True)]
    if False in verdicts:
        return False
    return None if None in verdicts else True


_NESTED = pattern(r"\[\s*\[[^\[\]]{1,200}\](?:\s*,\s*\[[^\[\]]{1,200}\]){0,40}\s*\]")


def _given(text: str, gold: Rows, comma: bool) -> tuple[Rows, bool] | None:
    rows = rows_of(text)
    if rows is None:
        flat = bracketed(text.strip(" ."))
        if flat is not None and len(gold[0]) == 1 and flat[0] in "(⟨":
            rows = [
                [entry.strip()] for entry in at_top(flat[1], ",")
            ]  # a column written as a point
    if rows is None:
        match = _BODY().search(text) or _NESTED().search(text)
        factor = _FACTOR_LAST().search(text, 0, match.start()) if match else None
        rows = rows_of((factor.group() if factor else "") + match.group()) if match else None
    return None if rows is None else (rows, comma)


KIND = Kind("matrix", rows_of, _given, _same)
