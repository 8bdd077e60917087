"""Did you mean: the known name nearest to one that is not known."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most alike, if one is.

    >>> nearest("ouctome", ["suite", "outcome"]), nearest("SUITE", ["suite", "outcome"])
    ('outcome', 'suite')
    """
    import difflib  # 5 ms that only a mistake should cost

    known = list(known)
    # Another case is nearer than another letter.
    alike = next((k for k in known if k.lower() == name.lower()), None)
    found = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return alike or (found[0] if found else None)


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "one of") -> str:
    """The nearest known name as a question, or all of them.

    >>> did_you_mean("ouctome", ["suite", "outcome"]), did_you_mean("x", ["suite", "outcome"])
    ("did you mean 'outcome'?", 'one of suite, outcome')
    """
    known = list(known)
    near = nearest(name, known)
    return f"{otherwise} {', '.join(known)}" if near is None else f"did you mean {near!r}?"


def suggestion(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` where a known name is near, else nothing.

    >>> suggestion("ouctome", ["suite", "outcome"]), suggestion("x", ["suite"])
    ("; did you mean 'outcome'?", '')
    """
    near = nearest(name, known)
    return "" if near is None else f"; did you mean {near!r}?"
