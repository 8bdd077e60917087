"""Comparing mathematical answers as math-verify does: a fast path, and workers behind it."""

from derl_primitives.verification.pool import Failure, Limits, Verifier, shared
from derl_primitives.verification.quick import quick_verdict

__all__ = ["Failure", "Limits", "Verifier", "quick_verdict", "shared"]
