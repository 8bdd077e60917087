"""Machine code by what it is made of: a change of its source makes it anew. LLVM is loaded late."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from derl_dsl.backends import code

if TYPE_CHECKING:
    from derl_dsl.backends.llvm.machine import Library


@lru_cache(maxsize=1)
def digest() -> str:
    """A digest of the emitters and of the numbers of instructions and fields."""
    texts = []
    for path in sorted(glob.glob(f"{glob.escape(os.path.dirname(__file__))}/*.py")):
        with open(path, "rb") as file:
            texts.append(file.read())
    numbers = (code.INSTRUCTIONS, code.PATTERNS, code.ARGS, code.PROGRAM, code.BLOCK, code.CALL)
    return hashlib.sha256(b"\n".join([*texts, repr(numbers).encode()])).hexdigest()


def linked(
    key: str,
    write: Callable[[], str],
    exports: tuple[str, ...],
    imports: Mapping[str, int] | None = None,
) -> Library:
    """The code for `key`, from the cache or from the IR that `write` gives; see `machine.load`."""
    from derl_dsl.backends.llvm.machine import load

    return load(f"{key} {digest()}", write, exports, imports)
