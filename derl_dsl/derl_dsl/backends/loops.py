"""The numba backend, loaded when it is first used: importing numba takes half a second."""

from __future__ import annotations

from types import ModuleType


def loops() -> ModuleType:
    """The package: `build`, `coded`, `emit` and `source.write`."""
    from derl_dsl.backends import numba

    return numba
