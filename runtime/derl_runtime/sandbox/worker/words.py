"""Lists of names, written as a text."""

from __future__ import annotations


def words(text: str) -> list[str]:
    """The words of a text.

    >>> words("abs all any")
    ['abs', 'all', 'any']
    """
    return text.split()
