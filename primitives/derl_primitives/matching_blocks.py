"""The common blocks of two texts, as Ratcliff and Obershelp find them, by shifts of whole integers.

One bit says whether a character of the left text equals one of the right: bit `i * width + j` for
places i and j. A common block is a run of bits `width + 1` apart, so ANDing the integer with itself
shifted by `k * (width + 1)` leaves the starts of runs that are k longer: doubling, then halving k,
finds the longest run in about `2 log2(length)` steps over `len(left) * len(right) / 8` bytes. A row
is wider than the right text by at least one bit, always 0, where every run ends.
"""

from __future__ import annotations


def matched_share(left: str, right: str, looks: int) -> float:
    """2 * characters in common blocks / characters of both; 1 for equal texts.

    The longest block is found, then those on its left and right, and so on, while the characters of
    the left text that are looked at are no more than `looks` in all.

    >>> matched_share("abcd", "bcde", 100)
    0.75
    """
    if left == right:
        return 1.0
    matched = 0
    stack = [(left, right)]
    while stack:
        a, b = stack.pop()
        if not a or not b or len(a) > looks:
            continue
        looks -= len(a)
        i, j, size = longest_block(a, b)
        matched += size
        if size:
            stack += [(a[:i], b[:j]), (a[i + size :], b[j + size :])]
    return 2 * matched / (len(left) + len(right))


def longest_block(a: str, b: str) -> tuple[int, int, int]:
    """Where the longest common block starts in both, and its length; the first one of several.

    >>> longest_block("xabcy", "zzabc"), longest_block("ab", "cd")
    ((1, 2, 3), (0, 0, 0))
    """
    if len(a) == 1:
        at = b.find(a)
        return (0, at, 1) if at >= 0 else (0, 0, 0)
    width = (len(b) // 8 + 1) * 8
    ends = _bits(a, b, width)
    if not ends:
        return 0, 0, 0
    step = width + 1
    # longer[k] holds the starts of the runs of 2**k.
    longer = [ends]
    while True:
        runs = longer[-1]
        twice = runs & (runs >> (step << (len(longer) - 1)))
        if not twice:
            break
        longer.append(twice)
    starts, size = longer[-1], 1 << (len(longer) - 1)
    for k in range(len(longer) - 2, -1, -1):
        more = starts & (longer[k] >> (size * step))
        if more:
            starts, size = more, size + (1 << k)
    first = (starts & -starts).bit_length() - 1
    return first // width, first % width, size


def _bits(a: str, b: str, width: int) -> int:
    """The integer whose bit `i * width + j` says that `a[i] == b[j]`."""
    places: dict[str, int] = {}
    bit = 1
    wanted = set(a)
    for char in b:
        if char in wanted:
            places[char] = places.get(char, 0) | bit
        bit <<= 1
    size = width // 8
    rows = {char: bits.to_bytes(size, "little") for char, bits in places.items()}
    none = bytes(size)
    return int.from_bytes(b"".join([rows.get(char, none) for char in a]), "little")
