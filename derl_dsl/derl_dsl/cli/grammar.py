"""`derl-dsl grammar`: the language as a grammar, for parsers, constrained decoding and prompts."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from derl_dsl.cli.inputs import Columns, Outcome, Suite, read_settings
from derl_dsl.cli.terminal import echo_data
from derl_dsl.generate import llguidance_grammar, prompt_text
from derl_grammar.parser import grammar_text
from derl_grammar.spans import Source


class Target(StrEnum):
    """Who reads the grammar."""

    lark = "lark"
    llguidance = "llguidance"
    prompt = "prompt"


def grammar_command(
    target: Annotated[
        Target, typer.Option("--for", help="lark, llguidance or prompt.")
    ] = Target.lark,
    suite: Suite = None,
    column: Columns = None,
    outcome: Outcome = None,
    programs: Annotated[
        bool,
        typer.Option("--programs/--expression", help="Parts and a reward, or one expression."),
    ] = False,
) -> None:
    """Print the grammar: the general one, or one made for the names and types of a suite.

    Everything that the grammar for llguidance generates parses and type-checks, and keeps the size
    limits. The prompt describes names, functions and rules in words.
    """
    scope = read_settings(Source("", "<expression>"), suite, column, outcome).scope()
    match target:
        case Target.lark:
            text = grammar_text()
        case Target.llguidance:
            text = llguidance_grammar(scope, programs=programs)
        case Target.prompt:
            text = prompt_text(scope, programs=programs)
    echo_data(text, nl=not text.endswith("\n"))
