"""A submitted program in its own process: plain CPython, held by the walls alone.

It never meets its tests: those run elsewhere (`exam`) and ask for one operation after the other.
Whatever the program does to this interpreter, what it can send is values.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import os
import random
import sys
from types import ModuleType
from typing import Any

from . import seccomp, wire
from .standin import OPERATIONS, Peer
from .words import words

CHANNEL = 3
DEEPEST_CALLS = 10_050
_FILE = "solution.py"
# All that a program can import: behind the walls no file is opened. Threads start, sockets do not.
_MODULES = words(
    "__future__ abc argparse array ast base64 binascii bisect calendar cmath codecs collections "
    "collections.abc contextlib contextvars copy csv dataclasses datetime decimal difflib enum "
    "errno fractions functools gc graphlib hashlib heapq hmac html inspect io ipaddress itertools "
    "json keyword linecache locale logging math numbers operator os os.path pathlib platform "
    "pprint queue random re reprlib secrets select shlex signal statistics string struct sys "
    "textwrap threading time timeit token tokenize traceback types typing unicodedata unittest "
    "urllib.parse uuid warnings weakref zlib zoneinfo encodings.idna encodings.latin_1 "
    "encodings.ascii encodings.utf_16 encodings.utf_32 encodings.cp1252 stringprep "
    "concurrent.futures concurrent.futures.thread"
)


def preload() -> None:
    """Import what programs may import."""
    seccomp.program_filter(0)  # what is built once is built here
    for name in _MODULES:
        with contextlib.suppress(ImportError):  # not every build of Python has all of them
            importlib.import_module(name)


def _prepare(name: str) -> ModuleType:
    """The module of the program, and an interpreter as it would have it."""
    random.seed(0)  # the same program scores the same
    sys.setrecursionlimit(DEEPEST_CALLS)
    sys.argv = [_FILE]
    builtins.exit = builtins.quit = sys.exit  # type: ignore[assignment]  # `site` is not imported
    module = ModuleType(name)
    module.__file__ = _FILE
    sys.modules[name] = module
    return module


def _run(source: str, module: ModuleType) -> None:
    exec(compile(source, _FILE, "exec", dont_inherit=True), module.__dict__)


def serve(source: str) -> None:
    """Run the program, say whether it came to its end, then do what its tests ask."""
    module = _prepare("solution")
    try:
        _run(source, module)
        said: list[Any] = ["ready"]
    except BaseException as error:  # noqa: BLE001 - its own end is told as well
        said = ["failed", f"{type(error).__name__}"]
    wire.send(CHANNEL, wire.packed(said))
    OPERATIONS["names"] = lambda names: {
        name: value
        for name in names
        if (value := module.__dict__.get(name, _Absent)) is not _Absent
    }
    peer = Peer(CHANNEL, lambda name, given: True)
    with contextlib.suppress(wire.Gone):
        while True:
            message = wire.receive(CHANNEL)
            peer.serve(*message[1:])


class _Absent:
    """Stands where a name has no value."""


def run_script(source: str, size: int) -> int:
    """Run the program as a script on the last `size` bytes of the job; its exit code."""
    end = os.lseek(0, 0, os.SEEK_END)
    os.lseek(0, end - size, os.SEEK_SET)
    code = 0
    try:
        _run(source, _prepare("__main__"))
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter ends on any exception
        code = 1
    for thread in [t for t in sys.modules["threading"].enumerate() if not t.daemon]:
        if thread is not sys.modules["threading"].current_thread():
            thread.join()
    try:
        sys.stdout.flush()
    except Exception:  # noqa: BLE001 - closed, or replaced by what has no flush
        code = code or 1
    return code & 0xFF
