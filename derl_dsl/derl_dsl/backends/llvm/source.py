"""What the code of the virtual machine depends on, so that a change makes it anew."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=1)
def digest() -> str:
    """A digest of the emitters."""
    texts = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
    return hashlib.sha256(b"\n".join(texts)).hexdigest()
