"""When a search has come to its end before its last step."""

from __future__ import annotations

from collections.abc import Sequence


def converged(best: Sequence[float], patience: int) -> bool:
    """Whether the best meta-reward of the steps has not risen for `patience` of them; 0 = never.

    >>> converged([0.1, 0.3, 0.3, 0.2], 2), converged([0.1, 0.3, 0.3, 0.4], 2)
    (True, False)
    """
    return (
        bool(patience) and len(best) > patience and max(best[-patience:]) <= max(best[:-patience])
    )
