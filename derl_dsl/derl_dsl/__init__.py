"""derl-dsl: rewards for language-model RL as small typed programs, proven before they run.

>>> import derl_dsl
>>> r = derl_dsl.compile("g1 + 0.2 * g2", suite="derl-math")
>>> r.certificate.finite, r.certificate.outcome_monotone
(True, True)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from derl_dsl.version import __version__ as __version__

if TYPE_CHECKING:
    from derl_dsl.adapters.watching import watch
    from derl_dsl.checker import check
    from derl_dsl.elaborate.custom import PrimitiveError, load_primitives, primitive
    from derl_dsl.prove.certificate import Certificate
    from derl_dsl.score.kernels import BoundReward
    from derl_dsl.score.many import score_many
    from derl_dsl.score.reward import Reward, RewardError, compile
    from derl_dsl.score.scores import Scores
    from derl_dsl.tools.loading import load

# A name is imported when it is first used: `derl-dsl check` starts without NumPy and without lints.
_LAZY = {
    "BoundReward": "score.kernels",
    "Certificate": "prove.certificate",
    "PrimitiveError": "elaborate.custom",
    "Reward": "score.reward",
    "RewardError": "score.reward",
    "Scores": "score.scores",
    "check": "checker",
    "compile": "score.reward",
    "load": "tools.loading",
    "load_primitives": "elaborate.custom",
    "primitive": "elaborate.custom",
    "score_many": "score.many",
    "watch": "adapters.watching",
}

__all__ = [
    "BoundReward",
    "Certificate",
    "PrimitiveError",
    "Reward",
    "RewardError",
    "Scores",
    "check",
    "compile",
    "load",
    "load_primitives",
    "primitive",
    "score_many",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"derl_dsl.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'derl_dsl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
