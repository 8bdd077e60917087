"""What this machine has of what derl-dsl uses: versions, extras, sandbox, kernels, GPU, Java."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np

from derl_dsl.backends.llvm import cache
from derl_dsl.score.reward import compile
from derl_dsl.version import __version__
from derl_grammar.records import record
from derl_runtime.sandbox import LEVEL_MEANS, survey

State = Literal["ok", "missing", "broken"]
_NAME = "derl-dsl"
# What an extra is for, as the page of the installation says.
EXTRAS = {
    "train": "training and meta-training: torch, transformers, TRL",
    "masked": "decoding masked by the grammar (llguidance)",
    "ray": "inner runs on a Ray cluster",
    "lsp": "the language server for editors",
    "math": "the suite verify (math-verify)",
    "json": "the suite json (jsonschema)",
    "monty": "a second engine for untrusted primitives",
    "agents": "ALFWorld and ScienceWorld",
}
_REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)(?:\[[^\]]*\])?\s*(?P<range>[^;]*?)\s*(?:;.*?extra\s*==\s*['\"](?P<extra>[\w-]+)['\"].*)?"
)
_JAVA = "ScienceWorld needs Java 17 or newer: install a JRE (Debian: openjdk-17-jre-headless)"
_WAIT = 30


@record
class Check:
    """One thing: `missing` is something optional that is not here, `broken` is to be fixed.

    `found` says what is here, `fix` how to get what is not.
    """

    group: str
    name: str
    state: State
    found: str
    fix: str = ""


def examine() -> Iterator[Check]:
    """Look at one thing after the other."""
    yield _python()
    base, extras = _requirements()
    yield from (_package("packages", name, wanted, "") for name, wanted in base)
    for extra, wants in extras.items():
        if extra in EXTRAS:
            yield _extra(extra, wants)
    yield _kernels()
    yield _cache()
    yield from _sandbox()
    yield _gpu()
    yield _java()


def _python() -> Check:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    state: State = "ok" if sys.version_info >= (3, 11) else "broken"
    return Check("packages", "python", state, found, "" if state == "ok" else "use 3.11 or later")


def _requirements() -> tuple[list[tuple[str, str]], dict[str, list[tuple[str, str]]]]:
    """What the distribution asks for: always, and by extra; each a name and a range."""
    base: list[tuple[str, str]] = []
    extras: dict[str, list[tuple[str, str]]] = {}
    for line in metadata.requires(_NAME) or []:
        read = _REQUIREMENT.fullmatch(line)
        assert read is not None, line
        into = extras.setdefault(read["extra"], []) if read["extra"] else base
        into.append((read["name"], read["range"]))
    return base, extras


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _package(group: str, name: str, wanted: str, fix: str) -> Check:
    found = _version(name)
    fix = fix or f"pip install '{name}{wanted}'"
    if found is None:
        return Check(group, name, "broken", "not installed", fix)
    if not fits(found, wanted):
        return Check(group, name, "broken", f"{found}, which is not {wanted}", fix)
    return Check(group, name, "ok", found)


def fits(version: str, wanted: str) -> bool:
    """Whether a version lies in a range such as `>=1.2,<2`; of a version only numbers count.

    >>> fits("1.10.0+cpu", ">=1.9,<2"), fits("2.0", "<2"), fits("0.13", "!=0.13.*")
    (True, False, False)
    """
    for part in filter(None, wanted.replace(" ", "").split(",")):
        limit = part.lstrip("<>=!~")
        sign = part.removesuffix(limit)
        star = limit.endswith(".*")
        left, right = _numbers(version), _numbers(limit.removesuffix(".*"))
        if star:
            left = left[: len(right)]
        width = max(len(left), len(right))
        left += (0,) * (width - len(left))
        right += (0,) * (width - len(right))
        holds = {
            ">=": left >= right,
            "~=": left >= right,
            ">": left > right,
            "<=": left <= right,
            "<": left < right,
            "==": left == right,
            "!=": left != right,
        }[sign]
        if not holds:
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    release = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, release[0].split("."))) if release else ()


def _extra(extra: str, wants: list[tuple[str, str]]) -> Check:
    missing, old = [], []
    for name, wanted in wants:
        found = _version(name)
        if found is None:
            missing.append(name)
        elif not fits(found, wanted):
            old.append(f"{name} {found} is not {wanted}")
    fix = f"pip install 'derl-dsl[{extra}]'"
    if old:
        return Check("extras", extra, "broken", "; ".join(old), fix)
    if missing:
        lacks = f"{EXTRAS[extra]}; without {', '.join(missing)}"
        return Check("extras", extra, "missing", lacks, fix)
    return Check("extras", extra, "ok", EXTRAS[extra])


def _kernels() -> Check:
    """Compiles and scores a reward on both kernels that need LLVM."""
    columns = {"a": np.array([0.0, 1.0, 0.5]), "b": np.array([1.0, 1.0, 0.0])}
    text, types = "a + 0.5 * b", {"a": "number[0, 1]", "b": "number[0, 1]"}
    try:
        for backend in ("vm", "native"):
            scores = compile(text, columns=types, backend=backend).score(columns)
            if scores.values.tolist() != [0.5, 1.5, 0.5]:
                return Check("kernels", backend, "broken", "computes other numbers", _LLVM)
    except Exception as error:  # noqa: BLE001  whatever a broken package raises is the finding
        told = f"{type(error).__name__}: {error}".partition("\n")[0]
        return Check("kernels", "kernels", "broken", told, _LLVM)
    return Check("kernels", "kernels", "ok", "vm and native compute what they should")


_LLVM = "install llvmlite and numba anew: pip install --force-reinstall llvmlite numba"


def _cache() -> Check:
    folder = cache.folder()
    if folder is None:
        fix = "set DERL_CACHE to a folder that only you may write to"
        return Check("kernels", "cache", "missing", "machine code is kept nowhere", fix)
    files = [f for f in folder.iterdir() if f.is_file()]
    size = sum(f.stat().st_size for f in files)
    return Check("kernels", "cache", "ok", f"{folder}: {len(files)} kernels, {size / 1e6:.1f} MB")


def _sandbox() -> Iterator[Check]:
    found = survey()
    lowest = found.level == "none"
    told = f"level {found.level}: {LEVEL_MEANS[found.level]}"
    fix = f"{found.why or 'some walls are missing'}; derl-dsl sandbox shows each"
    strong = found.level in ("strict", "standard")
    yield Check("sandbox", "level", "ok" if strong else "missing", told, "" if strong else fix)
    for name, why in {} if lowest else found.engines.items():
        yield Check("sandbox", name, "missing" if why else "ok", why or "runs", "")


def _gpu() -> Check:
    """The GPU as its driver says; whether torch is built for it is read without loading torch."""
    cuda = _cuda_of_torch()
    command = shutil.which("nvidia-smi")
    listed = _output([command, "-L"]) if command else ""
    cards = [line for line in listed.splitlines() if line.startswith("GPU ")]
    if not cards:
        return Check(
            "hardware", "gpu", "missing", f"none found; {cuda or 'torch is not installed'}"
        )
    names = ", ".join(line.partition(": ")[2].partition(" (UUID")[0] for line in cards)
    if cuda is None or "CPU" in cuda:
        fix = "install a build of torch for CUDA: https://pytorch.org/get-started/locally"
        return Check("hardware", "gpu", "missing", f"{names}; {cuda or 'no torch'}", fix)
    return Check("hardware", "gpu", "ok", f"{names}; {cuda}")


def _cuda_of_torch() -> str | None:
    spec = find_spec("torch")
    version = _version("torch")
    if spec is None or spec.origin is None or version is None:
        return None
    text = (Path(spec.origin).parent / "version.py").read_text("utf-8")
    cuda = re.search(r"^cuda[^=\n]*= '([^']+)'", text, re.M)
    return f"torch {version} for CUDA {cuda[1]}" if cuda else f"torch {version} for the CPU alone"


def _java() -> Check:
    java = shutil.which("java")
    told = _output([java, "-version"]) if java else ""
    version = re.search(r'version "(\d+)[^"]*"', told)
    if version is None:
        return Check("hardware", "java", "missing", "not found", _JAVA)
    if int(version[1]) < 17:
        return Check("hardware", "java", "missing", f"{version[1]} is too old", _JAVA)
    return Check("hardware", "java", "ok", f"{version[1]} at {java}")


def _output(command: list[str]) -> str:
    """What a program prints, on either stream; nothing when it does not answer."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_WAIT, check=False, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr


def facts() -> dict[str, str]:
    """What a report of a problem should name."""
    return {
        "derl-dsl": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": str(os.cpu_count()),
    }
