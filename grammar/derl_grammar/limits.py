"""How large a program may be, checked before and while it is parsed."""

from __future__ import annotations

from derl_grammar.records import record


@record
class Limits:
    """Sizes a program must keep; the defaults fit text that a model wrote.

    `depth` counts nested expressions; a chain such as `a + b + c` counts once.
    """

    bytes: int = 4096
    tokens: int = 1024
    brackets: int = 64
    literal: int = 128
    text: int = 264  # a pattern of 256, its quotes and its r
    nodes: int = 256
    depth: int = 32


MODEL = Limits()
WIDE = Limits(bytes=65536, tokens=16384, brackets=64, literal=512, text=1024, nodes=4096, depth=64)
LIMITS = {"default": MODEL, "wide": WIDE}
