"""What the code of the virtual machine depends on, so that a change makes it anew."""

from __future__ import annotations

import glob
import hashlib
import os
from functools import lru_cache

from derl_dsl.backends import code


@lru_cache(maxsize=1)
def digest() -> str:
    """A digest of the emitters and of the numbers of instructions and fields."""
    texts = []
    for path in sorted(glob.glob(f"{glob.escape(os.path.dirname(__file__))}/*.py")):
        with open(path, "rb") as file:
            texts.append(file.read())
    numbers = (code.INSTRUCTIONS, code.PATTERNS, code.ARGS, code.PROGRAM, code.BLOCK)
    return hashlib.sha256(b"\n".join([*texts, repr(numbers).encode()])).hexdigest()
