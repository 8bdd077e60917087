"""What the code of the virtual machine depends on, so that a change makes it anew."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from derl_dsl.backends import code


@lru_cache(maxsize=1)
def digest() -> str:
    """A digest of the emitters and of the numbers of instructions and fields."""
    texts = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
    numbers = (code.INSTRUCTIONS, code.PATTERNS, code.ARGS, code.PROGRAM, code.BLOCK)
    return hashlib.sha256(b"\n".join([*texts, repr(numbers).encode()])).hexdigest()
