"""Published rewards as files: read one, load it, or copy it as the start of your own."""

from __future__ import annotations

from pathlib import Path

from derl_dsl.score.reward import Reward, compile
from derl_dsl.tools.project import Settings, header_settings
from derl_grammar.limits import WIDE
from derl_grammar.spans import Source

FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    """The names of all rewards, in order.

    >>> names()[4]
    '05_cosine_length'
    """
    files = (path.name for path in FOLDER.glob("*.derl"))
    return tuple(sorted(n.removesuffix(".derl") for n in files if not n.endswith(".test.derl")))


def read(name: str) -> tuple[Source, Settings]:
    """The text of a reward, and the suite, columns and outcome that its header names.

    Raises KeyError for an unknown name.
    """
    if name not in names():
        raise KeyError(f"no reward is named {name!r}; there are: {', '.join(names())}")
    path = FOLDER / f"{name}.derl"
    text = path.read_text("utf-8")
    return Source(text, str(path)), header_settings(str(path), text)


def load(name: str, backend: str = "auto") -> Reward:
    """A reward of the gallery, compiled.

    >>> load("07_dapo_overlong").certificate.lo
    -1.0
    """
    source, found = read(name)
    return compile(source.text, found.suite, found.columns, found.outcome, backend, WIDE)
