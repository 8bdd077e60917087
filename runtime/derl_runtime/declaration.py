"""What untrusted source declares, free of heavy imports."""

from __future__ import annotations

from derl_grammar.records import record


@record
class Declaration:
    """A primitive that untrusted source declares.

    `parameters` are (name, type) pairs and `returns` is a type, all as text that
    `derl_grammar.types.parse_type` reads; `doc` is the docstring.
    """

    name: str
    parameters: tuple[tuple[str, str], ...]
    returns: str
    doc: str
