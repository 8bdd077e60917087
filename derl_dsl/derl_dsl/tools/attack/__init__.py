"""Wrong completions that a reward pays like right ones: searched for, and cut down."""

from derl_dsl.tools.attack.families import Problem
from derl_dsl.tools.attack.search import Attack, Hit, Lazy, Logged, attack

__all__ = ["Attack", "Hit", "Lazy", "Logged", "Problem", "attack"]
