"""Backends: from a graph to code that computes its outputs for a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from derl_dsl.backends.loops import loops

if TYPE_CHECKING:
    from derl_dsl.backends.kernel import Kernel
    from derl_dsl.graph.ir import Graph

# A graph and the type of numbers, float64 or float32.
Emit = Callable[["Graph", str], "Kernel"]


def _auto() -> Emit:
    from derl_dsl.backends.auto import emit

    return emit


def _reference() -> Emit:
    from derl_dsl.backends.reference import emit

    return emit


def _vm() -> Emit:
    from derl_dsl.backends.vm import emit

    return emit


def _native() -> Emit:
    from derl_dsl.backends.native import emit

    return emit


def _torch() -> Emit:
    from derl_dsl.backends.torch import emit

    return emit


# Each backend is imported when it is first used.
BACKENDS: dict[str, Callable[[], Emit]] = {
    "auto": _auto,
    "reference": _reference,
    "vm": _vm,
    "native": _native,
    "numba": lambda: loops().emit,
    "torch": _torch,
}
DTYPES = ("float64", "float32")
