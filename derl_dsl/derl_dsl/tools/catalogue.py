"""All diagnostic codes, from the files that define them."""

from __future__ import annotations

import importlib

from derl_grammar.diagnostics import CODES, Code

_DEFINE_CODES = (
    "derl_grammar.syntax_codes",
    "derl_dsl.elaborate.codes",
    "derl_dsl.prove.codes",
    "derl_dsl.lint",
    "derl_dsl.lint.suppress",
    "derl_dsl.tools.audit.codes",
    "derl_dsl.tools.audit.faults",
    "derl_dsl.adapters.codes",
)


def load_codes() -> list[Code]:
    """All codes, in order."""
    for module in _DEFINE_CODES:
        importlib.import_module(module)
    return [CODES[code] for code in sorted(CODES)]
