"""From text to a syntax tree: limits, tokens, statement by statement, all errors in one go."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from derl_grammar import nodes as n
from derl_grammar import syntax_codes as codes
from derl_grammar.diagnostics import Report
from derl_grammar.expected import RESERVED, expectation, fix_of, keyword_hint
from derl_grammar.limits import MODEL, Limits
from derl_grammar.machine import END, Machine, Token, Unexpected, load
from derl_grammar.nodes import Place


def grammar_text() -> str:
    """The Lark grammar of the language."""
    path = os.path.join(os.path.dirname(__file__), "reward.lark")
    with open(path, encoding="utf-8") as file:
        return file.read()


def place_of(token: Token) -> Place:
    """The character offsets of a token."""
    return (token.start_pos, token.end_pos)


# What each production stands for, from the values of its symbols.


# Python's escapes, but octal numbers and names.
_ESCAPED = re.compile(
    r"\\(?:([\\'\"nrt])|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U(00(?:0[0-9A-Fa-f]|10)[0-9A-Fa-f]{4}))"
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def _character(found: re.Match[str]) -> str:
    if found[1] is not None:
        return _ESCAPES.get(found[1], found[1])
    return chr(int(found[2] or found[3] or found[4], 16))


def _text_of(literal: str) -> str:
    """The text that a literal stands for; its escapes are known to be fine (`_literals_fit`)."""
    return literal[2:-1] if literal.startswith("r") else _ESCAPED.sub(_character, literal[1:-1])


def _number(items: list[Token]) -> n.NumberLiteral:
    return n.NumberLiteral(float(items[0]), place_of(items[0]))


def _string(items: list[Token]) -> n.TextLiteral:
    return n.TextLiteral(_text_of(str(items[0])), place_of(items[0]))


def _boolean(items: list[Token]) -> n.BoolLiteral:
    return n.BoolLiteral(items[0] == "True", place_of(items[0]))


def _name(items: list[Token]) -> n.Name:
    return n.Name(str(items[0]), place_of(items[0]))


def _group(items: list[Any]) -> n.Expr:
    inner: n.Expr = items[1]
    # `dataclasses.replace` takes three times as long; the place is every node's last field.
    fields = [getattr(inner, name) for name in inner.__match_args__[:-1]]
    make: Callable[..., n.Expr] = type(inner)
    return make(*fields, (items[0].start_pos, items[2].end_pos))


def _unary(items: list[Any]) -> n.Unary:
    op, operand = items
    return n.Unary(str(op), operand, (op.start_pos, operand.place[1]))


def _binary(items: list[Any]) -> n.Binary:
    left, op, right = items
    return n.Binary(str(op), left, right, (left.place[0], right.place[1]))


def _compare(items: list[Any]) -> n.Compare:
    ops, operands = tuple(map(str, items[1::2])), tuple(items[0::2])
    return n.Compare(ops, operands, (operands[0].place[0], operands[-1].place[1]))


def _conditional(items: list[Any]) -> n.Conditional:
    then, test, other = items
    return n.Conditional(then, test, other, (then.place[0], other.place[1]))


def _keyword(items: list[Any]) -> n.Keyword:
    name, value = items
    return n.Keyword(str(name), value, (name.start_pos, value.place[1]))


def _call(items: list[Any]) -> n.Call:
    name, inner = items[0], [i for i in items[2:-1] if not isinstance(i, Token)]
    return n.Call(
        str(name),
        tuple(i for i in inner if not isinstance(i, n.Keyword)),
        tuple(i for i in inner if isinstance(i, n.Keyword)),
        place_of(name),
        (name.start_pos, items[-1].end_pos),
    )


def _assignment(items: list[Any]) -> n.Assignment:
    name, value = items
    return n.Assignment(str(name), value, place_of(name), (name.start_pos, value.place[1]))


def _only(items: list[Any]) -> Any:
    return items[0]


@cache
def _machine() -> Machine:
    return load(
        {
            "number": _number,
            "string": _string,
            "boolean": _boolean,
            "name": _name,
            "group": _group,
            "unary": _unary,
            "not_": _unary,
            "binary": _binary,
            "or_": lambda items: _binary([items[0], "or", items[1]]),
            "and_": lambda items: _binary([items[0], "and", items[1]]),
            "compare": _compare,
            "conditional": _conditional,
            "keyword": _keyword,
            "positional": _only,
            "call": _call,
            "assignment": _assignment,
            "bare": _only,
        }
    )


def tokens(text: str) -> list[Token]:
    """All tokens of any text; characters that start none are tokens of the type UNKNOWN."""
    return _machine().lex(text)


# A text may be so many times its limit in all, spaces and line breaks included.
_WHITE = 4


def _check_text(text: str, limits: Limits, report: Report) -> bool:
    # Spaces and line breaks do not count, which `fmt` puts in; but not without end.
    whole = len(text.encode("utf-8", "surrogatepass"))
    inked = whole
    if limits.bytes < whole <= _WHITE * limits.bytes:
        inked = len("".join(text.split()).encode("utf-8", "surrogatepass"))
    if inked > limits.bytes:
        end = min(len(text), limits.bytes)
        message = f"the program has {inked} bytes, {limits.bytes} are allowed"
        report.add(codes.TOO_LONG, (end, end), message)
        return False
    if "\0" in text:
        at = text.index("\0")
        report.add(codes.CHARACTER, (at, at + 1), "the program contains a NUL character")
        return False
    return True


def _tokens(text: str, limits: Limits, report: Report) -> list[list[Token]] | None:
    """The tokens of each statement, or None when a limit or the brackets are broken."""
    statements: list[list[Token]] = [[]]
    opened: list[Token] = []
    for count, token in enumerate(_machine().lex(text), 1):
        kind = token.type
        if count > limits.tokens:
            message = f"more than {limits.tokens} tokens"
            report.add(codes.TOO_MANY_TOKENS, place_of(token), message)
            return None
        longest = limits.text if kind == "STRING" else limits.literal
        if len(token) > longest:
            what = "name" if kind == "NAME" else "literal"
            message = f"a {what} of {len(token)} characters, {longest} are allowed"
            report.add(codes.LITERAL_TOO_LONG, place_of(token), message)
            return None
        if kind == "_NL":
            if not opened:
                statements.append([])
            continue
        statements[-1].append(token)
        if kind == "LPAR":
            opened.append(token)
            if len(opened) > limits.brackets:
                message = f"brackets nest deeper than {limits.brackets}"
                report.add(codes.TOO_DEEP, place_of(token), message)
                return None
        elif kind == "RPAR":
            if not opened:
                message, fix = "this ')' closes nothing", "remove it, or add '('"
                report.add(codes.BRACKET, place_of(token), message, fix)
                return None
            opened.pop()
    if opened:
        report.add(codes.BRACKET, place_of(opened[-1]), "this '(' is never closed", "add ')'")
        return None
    return [s for s in statements if s]


# What UTF-8 cannot say, and a text from JSON or an editor may still hold.
_SURROGATE = re.compile("[\ud800-\udfff]")


def _literals_fit(tokens: Iterable[Token], report: Report) -> bool:
    """Reports literals that the grammar's patterns let through and Python does not."""
    fine = True
    for token in tokens:
        problem = None
        if token.type == "NAME" and token in RESERVED:
            # One is enough: what stands round it is meant for Python as well.
            told = keyword_hint(token)
            report.add(codes.SYNTAX, place_of(token), f"{str(token)!r} is a word of Python", *told)
            return False
        if token.type == "NUMBER":
            if token[0] == "0" and token.isdigit() and token.strip("0"):
                problem = (f"{token} starts with 0", f"write {token.lstrip('0')}")
            elif float(token) == float("inf"):
                problem = (f"{token} is larger than any float64 number", "write a smaller number")
        elif token.type == "STRING":
            bad = None if token.startswith("r") else _bad_escape(str(token))
            if bad:
                problem = (f"unknown escape {bad} in a string", f"write \\{bad}, or r{token}")
            elif _SURROGATE.search(_text_of(str(token))):
                problem = ("half of a surrogate pair in a string", "write the whole character")
        if problem:
            report.add(codes.LITERAL, place_of(token), *problem)
            fine = False
    return fine


def _bad_escape(literal: str) -> str | None:
    at = literal.find("\\")
    while at >= 0:
        escape = _ESCAPED.match(literal, at)
        if escape is None:
            return literal[at : at + 2]
        at = literal.find("\\", escape.end())
    return None


def _parse_statement(tokens: list[Token], report: Report) -> n.Assignment | n.Expr | None:
    if not _literals_fit(tokens, report):
        return None
    try:
        return _machine().parse(tokens)  # type: ignore[no-any-return]
    except Unexpected as error:
        _report_unexpected(error.token, error.accepted, tokens, report)
        return None


def _report_unexpected(
    token: Token, accepted: Iterable[str], tokens: list[Token], report: Report
) -> None:
    at_end = token.type == END
    index = len(tokens) if at_end else next(i for i, t in enumerate(tokens) if t is token)
    place = place_of(token)
    code, hint = fix_of(tokens, index)
    wanted = expectation(accepted)
    found = "the statement ends" if at_end else f"unexpected {str(token)!r}"
    report.add(code, place, f"{found}, expected {wanted}", *([hint] if hint else []))


def _fits_tree(statements: Iterable[Any], limits: Limits, report: Report) -> bool:
    count = 0
    for statement in statements:
        root = statement.value if isinstance(statement, n.Assignment) else statement
        depth: dict[int, int] = {}
        for node in n.postorder(root):
            count += 1
            if count > limits.nodes:
                report.add(codes.TOO_MANY_NODES, node.place, f"more than {limits.nodes} terms")
                return False
            below = [depth[id(child)] + 1 for child in n.children(node)]
            # A chain such as a + b + c leans to the left and counts once.
            if isinstance(node, n.Binary) and isinstance(node.left, n.Binary):
                below[0] -= 1
            depth[id(node)] = max(below, default=1)
            if depth[id(node)] > limits.depth:
                message = f"expressions nest deeper than {limits.depth}"
                report.add(codes.TOO_DEEP, node.place, message, "name a part and use the name")
                return False
    return True


def _program(statements: list[n.Assignment | n.Expr], report: Report) -> n.Program | None:
    """Puts the statements together: parts, then the reward, or one bare expression."""
    *before, last = statements
    for statement in before:
        if not isinstance(statement, n.Assignment):
            report.add(
                codes.BARE,
                statement.place,
                "an expression stands alone",
                "give it a name: part = …",
            )
        elif statement.name == "reward":
            report.add(
                codes.AFTER_REWARD, last.place, "a statement follows `reward = …`", "put it before"
            )
    if isinstance(last, n.Assignment) and last.name != "reward":
        if not any(isinstance(s, n.Assignment) and s.name == "reward" for s in before):
            place = (last.place[1], last.place[1])
            report.add(codes.NO_REWARD, place, "the program defines no reward", "add: reward = …")
    elif not isinstance(last, n.Assignment) and before:
        report.add(codes.BARE, last.place, "the program defines no reward", "write: reward = …")
    if report.failed:
        return None
    reward = last.value if isinstance(last, n.Assignment) else last
    parts = tuple(s for s in before if isinstance(s, n.Assignment))
    return n.Program(parts, reward, (statements[0].place[0], last.place[1]))


def statements(text: str, report: Report, limits: Limits = MODEL) -> list[list[Token]]:
    """The tokens of each statement, none when one of them does not parse; see `report` for why.

    Unlike `parse` it does not ask that the statements make up a program.
    """
    chunks = _tokens(text, limits, report) if _check_text(text, limits, report) else None
    parsed = [s for s in (_parse_statement(c, report) for c in chunks or []) if s is not None]
    if chunks is None or len(parsed) < len(chunks) or not _fits_tree(parsed, limits, report):
        return []
    return chunks


def parse(text: str, report: Report, limits: Limits = MODEL) -> n.Program | None:
    """Parse a program; what is wrong goes to `report`, all statements in one go.

    Returns None when an error was reported.
    """
    if not _check_text(text, limits, report):
        return None
    chunks = _tokens(text, limits, report)
    if chunks is None:
        return None
    if not chunks:
        report.add(codes.EMPTY, (0, 0), "the program is empty", "write: reward = …")
        return None
    statements = [_parse_statement(chunk, report) for chunk in chunks]
    parsed = [s for s in statements if s is not None]
    if len(parsed) < len(statements):
        return None
    # A node takes a token at least, so that a short program fits as it is.
    short = sum(map(len, chunks)) <= min(limits.nodes, limits.depth)
    if not short and not _fits_tree(parsed, limits, report):
        return None
    return _program(parsed, report)
