"""One environment a target: its packages before those of the developers' environment, cached.

The targets pin each other's dependencies apart; here each has its own packages first on the path
and shares the rest (torch, transformers, this project) with the environment that runs the tests.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".conformance"
ROOMS = ("grammar", "primitives", "runtime", "derl_dsl", "trainers")


class NotInstalled(RuntimeError):
    """Packages of a target that pip did not install; the message is pip's last line."""


def environment(
    name: str, packages: tuple[str, ...], alone: bool = False, newer: tuple[str, ...] = ()
) -> Path:
    """The Python of a target's environment, made when it is not there; raises NotInstalled.

    Packages bring what they need, unless `alone`: some would bring another torch. Those of `newer`
    ask for a newer Python than the part of them that is tried here needs; they come alone as well.
    """
    folder = FOLDER / name
    python = folder / "bin" / "python"
    stamp = folder / "packages"
    wanted = hashlib.sha256("\n".join([str(alone), *packages, *newer]).encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    venv.create(folder, with_pip=False, clear=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    shared = [sysconfig.get_path("purelib"), ROOT, *(ROOT / room for room in ROOMS)]
    (site / "shared.pth").write_text("".join(f"{path}\n" for path in shared))
    if packages:
        _install(python, *(["--no-deps"] if alone else []), *packages)
    if newer:
        _install(python, "--no-deps", "--ignore-requires-python", *newer)
    stamp.write_text(wanted)
    return python


def _install(python: Path, *told: str) -> None:
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    command += ["--disable-pip-version-check", *told]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.upper().startswith("ERROR")]
        raise NotInstalled(lines[-1] if lines else "pip failed without a word")
