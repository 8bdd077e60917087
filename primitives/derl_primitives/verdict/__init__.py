"""Whether a completion is right: which answer is final, and when two answers are the same.

`judge` gives the verdict on one completion with how it came about. `final` says which answer
counts, `kinds` when it equals gold; rules and their order stand there.
"""

from derl_primitives.verdict.gold import Gold, read_gold
from derl_primitives.verdict.judging import Verdict, judge

__all__ = ["Gold", "Verdict", "judge", "read_gold"]
