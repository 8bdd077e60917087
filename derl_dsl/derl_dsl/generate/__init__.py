"""A grammar made for the names and types of a scope: all that it generates type-checks.

It drives constrained decoding (llguidance) and random search.
"""

from derl_dsl.elaborate.scope import Scope
from derl_dsl.generate.build import LEVELS, typed_grammar
from derl_dsl.generate.prompt import prompt_text
from derl_dsl.generate.rules import Grammar, Size

__all__ = ["Grammar", "Size", "llguidance_grammar", "prompt_text", "typed_grammar"]


def llguidance_grammar(scope: Scope, programs: bool = False, levels: int = LEVELS) -> str:
    """The typed grammar in the syntax of llguidance; see `typed_grammar`."""
    return typed_grammar(scope, programs, levels).text()
