"""Backends: from a graph to code that computes its outputs for a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from derl_dsl.backends.kernel import Kernel
    from derl_dsl.ir import Graph

Emit = Callable[["Graph"], "Kernel"]


def _reference() -> Emit:
    from derl_dsl.backends.reference import emit

    return emit


def _numba() -> Emit:
    from derl_dsl.backends.numba import emit

    return emit


def _torch() -> Emit:
    from derl_dsl.backends.torch import emit

    return emit


# Each backend is imported when it is first used: numba alone takes half a second.
BACKENDS: dict[str, Callable[[], Emit]] = {
    "auto": _reference,
    "reference": _reference,
    "numba": _numba,
    "torch": _torch,
}
