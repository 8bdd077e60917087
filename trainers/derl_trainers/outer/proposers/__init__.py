"""Proposers: what writes the formulas of a search, other than the outer GRPO."""

from derl_trainers.outer.proposers.base import Context, Past, Proposer, make_proposer

__all__ = ["Context", "Past", "Proposer", "make_proposer"]
