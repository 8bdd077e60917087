"""Install derl-dsl as users do and run the tutorial: lowest versions, every Python, beside others.

    python -m tests.installs lowest             # the lowest versions that pyproject.toml allows
    python -m tests.installs pythons            # every Python from 3.11 on that is found here
    python -m tests.installs beside vllm        # resolves derl-dsl[train] with another package

Environments lie in `.lowest`, made by uv. A Python that is not on this machine is said, and left
out.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".lowest"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
TOOLS = ("pytest>=8.3", "hypothesis>=6.130", "pyyaml>=6.0")
# What a base install has to pass: no torch, no extra.
TESTS = (
    "tests/docs/test_readme.py", "tests/golden", "tests/kernels/test_tiers.py",
    "tests/cli/test_eval.py", "tests/cli/test_formats.py", "tests/runtime/test_data.py",
)  # fmt: skip


def uv(*args: object) -> None:
    command = [str(Path(sys.executable).with_name("uv")), *map(str, args)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"uv {' '.join(map(str, args))}\n{done.stderr}")


def environment(name: str, python: str, lowest: bool = False) -> Path:
    """A new environment with derl-dsl in it; its Python."""
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    uv("venv", "--quiet", "--python", python, folder)
    inside = folder / "bin" / "python"
    if lowest:
        versions = FOLDER / f"{name}.txt"
        resolved = ("--resolution", "lowest-direct", "--python-version", python)
        uv("pip", "compile", "--quiet", *resolved, "pyproject.toml", "-o", versions)
        uv("pip", "install", "--quiet", "-p", inside, "-r", versions)
        uv("pip", "install", "--quiet", "-p", inside, "--no-deps", ".")
    else:
        uv("pip", "install", "--quiet", "-p", inside, "--only-binary", ":all:",
           "--no-binary", "derl-dsl", ".")  # fmt: skip
    uv("pip", "install", "--quiet", "-p", inside, *TOOLS)
    return inside


def interpreter(python: str) -> str | None:
    """A Python that runs: of pyenv, or on the path, where pyenv names some that do not."""
    kept = Path.home() / ".pyenv" / "versions"
    named = [*map(str, sorted(kept.glob(f"{python}.*/bin/python"))), f"python{python}"]
    for name in named:
        found = shutil.which(name)
        if (
            found
            and subprocess.run([found, "-V"], capture_output=True, check=False).returncode == 0
        ):
            return found
    return None


def tested(name: str, inside: Path) -> bool:
    """Whether the base's tests pass there."""
    told = subprocess.run(
        [inside, "-m", "derl_dsl", "doctor"], capture_output=True, text=True, check=False
    )
    print(told.stdout.split("\nkernels")[0])
    command = [inside, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS]
    env = {**os.environ, "DERL_CACHE": str(FOLDER / "objects")}
    done = subprocess.run(command, cwd=ROOT, env=env, check=False)
    print(f"{name}: {'passed' if done.returncode == 0 else 'FAILED'}\n", flush=True)
    return done.returncode == 0 and told.returncode == 0


def beside(other: str) -> bool:
    """Whether one set of versions suits derl-dsl[train] and another package."""
    wanted = FOLDER / f"beside-{other}.in"
    wanted.write_text(f"{ROOT}[train]\n{other}\n")
    out = wanted.with_suffix(".txt")
    uv("pip", "compile", "--quiet", "--no-annotate", "--python-version", "3.12", wanted, "-o", out)
    shared = ("torch", "transformers", "trl", "llguidance", "typer", "numba", other)
    lines = out.read_text().splitlines()
    found = [line for line in lines if line.partition("==")[0] in shared]
    print(f"derl-dsl[train] beside {other}: {', '.join(found)}")
    return any(line.startswith(f"{other}==") for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("lowest", "pythons", "beside"))
    parser.add_argument("others", nargs="*")
    given = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    if given.what == "lowest":
        held = [tested("lowest", environment("lowest", "3.11", lowest=True))]
    elif given.what == "beside":
        held = [beside(other) for other in given.others]
    else:
        held = []
        for python in PYTHONS:
            found = interpreter(python)
            if found is None:
                print(f"Python {python}: not on this machine, left out")
                continue
            held.append(tested(f"python {python}", environment(f"py{python}", found)))
    raise SystemExit(0 if held and all(held) else 1)


if __name__ == "__main__":
    main()
