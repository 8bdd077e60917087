"""Who runs the hostile suite: whoever runs the tests, and a plain user where that is root."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from derl_dsl.elaborate.custom import REGISTRY
from derl_runtime.sandbox import LEVELS, Sandbox, survey
from tests.hostile.running import close_raw_zygotes

ROOT = Path(__file__).parents[2]
NOBODY = 65534
_ROOMS = ("grammar", "primitives", "runtime", "derl_dsl", "trainers")


@pytest.fixture(scope="session")
def machine_level() -> Iterator[str]:
    """The level of this machine; the zygotes stay up over all tests."""
    found = survey()
    with ExitStack() as zygotes:
        for engine, why in found.engines.items():
            if not why:
                zygotes.enter_context(Sandbox("reduced", engine))
        yield found.level
        close_raw_zygotes()


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """What a test registers is found by no other in this process."""
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


@pytest.fixture(autouse=True)
def _walls(request: pytest.FixtureRequest, machine_level: str) -> None:
    """Skip what this machine has no walls for."""
    # What monty starts is held by Landlock, and some tests are of the strict level itself.
    words = ("monty", "starting", "strict", "all_walls", "forked")
    name = request.node.name.replace("restricted", "")
    needs = "strict" if any(word in name for word in words) else "standard"
    if LEVELS.index(machine_level) < LEVELS.index(needs):
        pytest.skip(f"this machine reaches level {machine_level}, this test needs {needs}")


@cache
def plain_python() -> tuple[str, dict[str, str]] | None:
    """An interpreter that nobody can run, and the environment in which it finds the packages."""
    import numpy

    places = [str(ROOT), *(str(ROOT / r) for r in _ROOMS), str(Path(numpy.__file__).parents[1])]
    scripts = str(Path(sys.executable).parent)
    environment = {
        "PYTHONPATH": os.pathsep.join(places),
        "PATH": f"{scripts}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    for python in (sys.executable, shutil.which(version, path="/usr/local/bin:/usr/bin")):
        if python is None:
            continue
        tried = as_plain_user([python, "-c", "import numpy, derl_runtime"], environment)
        if tried is not None and tried.returncode == 0:
            return python, environment
    return None


def as_plain_user(
    command: list[str], environment: dict[str, str]
) -> subprocess.CompletedProcess[str] | None:
    """Run a command as nobody; None where it cannot even be started."""
    try:
        return subprocess.run(
            command,
            env=environment,
            cwd="/",
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    except PermissionError:
        return None


def outcomes_as_plain_user(suite: str) -> dict[str, Any]:
    """What became of each case of a suite when nobody ran it."""
    if os.geteuid() != 0:
        pytest.skip("the tests run as a plain user already")
    found = plain_python()
    if found is None:
        pytest.skip("nobody can read no interpreter with the packages here")
    python, environment = found
    done = as_plain_user([python, "-m", "tests.hostile.running", suite], environment)
    assert done is not None
    assert done.returncode == 0, done.stderr
    outcomes: dict[str, Any] = json.loads(done.stdout)[suite]
    return outcomes
