"""Who runs the hostile suite: whoever runs the tests, and a plain user where that is root."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from derl_runtime.sandbox import Refused, Sandbox
from tests.hostile.running import close_raw_zygotes

ROOT = Path(__file__).parents[2]
NOBODY = 65534
_ROOMS = ("grammar", "primitives", "runtime", "derl_dsl", "trainers")


@pytest.fixture(scope="session", autouse=True)
def _machine() -> Iterator[None]:
    """Skip where there are no walls; keep the zygotes of both engines over all tests."""
    try:
        with Sandbox("strict"), Sandbox("strict", "monty"):
            yield
            close_raw_zygotes()
    except Refused as error:
        pytest.skip(f"this machine has no strict sandbox: {error}")


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


def outcomes_as_plain_user(suite: str) -> dict[str, tuple[str, str]]:
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
    outcomes: dict[str, tuple[str, str]] = json.loads(done.stdout)[suite]
    return outcomes
