"""What the tests of the environments need, and what they say when it is not there."""

from __future__ import annotations

import importlib.util

import pytest

from derl_trainers.tasks.environments.scienceworld.jvm import lacks


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items = [i for i in items if {m.name for m in i.iter_markers()} & {"alfworld", "java"}]
    if not items:
        return
    missing = [n for n in ("alfworld", "textworld") if importlib.util.find_spec(n) is None]
    java = lacks()
    for item in items:
        if item.get_closest_marker("alfworld") and missing:
            item.add_marker(pytest.mark.skip(reason=f"extra agents: {', '.join(missing)} missing"))
        if item.get_closest_marker("java") and java:
            item.add_marker(pytest.mark.skip(reason=f"ScienceWorld: {java}"))
