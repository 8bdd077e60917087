"""Common subexpressions and dead code: what every walk does, with no rule of its own.

The builder numbers nodes by what they compute, so the same operation on the same arguments is one
node; the walk starts from the outputs, so what none of them needs is not in the result.
"""

from __future__ import annotations

from derl_dsl.passes.rewrite import Pass

PASS = Pass("share", "one node for one value, none that no output needs", {})
