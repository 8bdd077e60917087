"""What a process scores first: by the reference, in less time than the machine takes to load.

All backends give the same bits, so nobody sees which of them computed. A script that scores some
thousand rows never loads LLVM.
"""

from __future__ import annotations

# The reference computes so many numbers while the machine would load, some 20 ms.
NUMBERS = 32_768
_left = NUMBERS


def fits(numbers: int) -> bool:
    """Whether a batch that reads so many numbers is still among the first."""
    return numbers <= _left


def take(numbers: int) -> None:
    """Count what the reference computed."""
    global _left
    _left -= numbers


def over() -> None:
    """From now on nothing is: the machine is loaded."""
    global _left
    _left = 0
