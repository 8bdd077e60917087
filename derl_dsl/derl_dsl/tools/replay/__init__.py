"""The stored rollouts of a run, scored again: curves, and a page to look at the rollouts."""

from derl_dsl.tools.replay.chosen import Scored, page_of
from derl_dsl.tools.replay.curves import Curve, Replay, replay, told

__all__ = ["Curve", "Replay", "Scored", "page_of", "replay", "told"]
