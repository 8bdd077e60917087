"""load: a reward file as a compiled reward, with the settings that `derl-dsl check` reads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from derl_dsl.score.reward import Reward, compile
from derl_dsl.tools.project import settings_of
from derl_grammar.types import Type
from derl_runtime.files import read_regular

_LARGEST = 64 << 20


def load(
    path: str | os.PathLike[str],
    suite: str | None = None,
    columns: Mapping[str, str | Type] | None = None,
    outcome: str | None = None,
    backend: str = "auto",
    dtype: str = "float64",
    name: str | None = None,
) -> Reward:
    """The reward of a file, ready for a trainer.

    What it may name is what its header (`# suite: math`) and the project's `[tool.derl]` say, and
    what is given over those. A column's type may be the name of another one:
    `columns={"solution": "answer"}` reads the data's `solution` where the program says `answer`.
    `name` is what trainers log it as; without one it is the file's, up to its first dot. Raises
    OSError for a file that cannot be read, ValueError for settings that cannot be used, RewardError
    as `compile` does.
    """
    file = Path(path)
    try:
        text = read_regular(file, _LARGEST).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    settings = settings_of(str(file), text)
    given = {"suite": suite, "outcome": outcome}
    settings = settings.over({key: value for key, value in given.items() if value is not None})
    typed = {**settings.columns, **(columns or {})}
    replace(settings, columns={}, outcome=None).scope()  # the project's own primitives, loaded
    return compile(
        text,
        settings.suite,
        typed,
        settings.outcome,
        backend,
        settings.sizes,
        dtype,
        file.name.partition(".")[0] if name is None else name,
    )
