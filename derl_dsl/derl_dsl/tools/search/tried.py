"""Which programs were screened in the rounds before, for all processes to read."""

from __future__ import annotations

import ctypes
from multiprocessing.sharedctypes import RawArray
from typing import Any

import numpy as np
from numpy.typing import NDArray

# 8 MB: of a new program the bit is free with 98.5 % after a million, and it is tried.
_BITS = 26
LAST = (1 << _BITS) - 1


class Tried:
    """A bit for each hash of a program; programs that share a bit count as one."""

    def __init__(self, shared: Any = None) -> None:
        self.shared = RawArray(ctypes.c_uint8, 1 << (_BITS - 3)) if shared is None else shared
        self.bits = memoryview(self.shared).cast("B")

    def add(self, codes: NDArray[np.int64]) -> None:
        """Mark programs as tried."""
        places = codes & LAST
        values = np.uint8(1) << (places & 7).astype(np.uint8)
        np.bitwise_or.at(np.frombuffer(self.bits, np.uint8), places >> 3, values)
