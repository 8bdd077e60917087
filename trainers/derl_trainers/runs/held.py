"""What the files of a run hold: scores of a search are of one kind only while that stays.

Data, models and lessons are read where they lie, again and again over hours. One that is written
anew on the way would make later scores those of another task or policy, in silence.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from derl_dsl.elaborate.custom import Origin
from derl_trainers.runs.jobs import source_of, trl_files
from derl_trainers.settings.run import MODELS, RunConfig
from derl_trainers.tasks.contents import content

MARK = "["  # what a setting's name begins with here, beside the names of packages


def held(config: RunConfig, primitives: Sequence[Origin] = ()) -> dict[str, str]:
    """What is in the files that a config names, by setting; an id of the hub is a name alone."""
    places = {
        "[policy] model": config.policy.model,
        "[meta] model": config.meta.model,
        "[meta] cold_file": config.meta.cold_file,
        "[meta] origin": config.meta.origin,
    }
    known = {k: content(place) for k, place in places.items() if place not in MODELS}
    found = {name: digest for name, digest in known.items() if digest is not None}
    found |= {f"[trl] {key}": digest for key, digest in trl_files(config.trl).items()}
    found["[task]"] = json.dumps(config.task.depends(), sort_keys=True, default=str)
    if primitives:
        # How they are walled in is of the settings, and may have more fields in a newer version.
        sources = json.dumps([source_of(origin)[0] for origin in primitives])
        found["[primitives]"] = hashlib.sha256(sources.encode()).hexdigest()[:24]
    return found


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What holds something else by now, as a sentence; empty where all is as it was.

    Settings that a newer version has beside those of before tell nothing.

    >>> changed({"[meta] model": "a1"}, {"[meta] model": "b2"})[:48]
    '[meta] model: holds something else than when the'
    >>> changed({"[task]": '{"data": "a1"}'}, {"[task]": '{"data": "a1", "new": 1}', "torch": "2"})
    ''
    """
    for name in sorted(before):
        if name.startswith(MARK) and not _same(before[name], now.get(name, "")):
            return (
                f"{name}: holds something else than when the run began, and its scores would be of "
                "another kind; put it back, or begin a new run"
            )
    return ""


def _same(before: str, now: str) -> bool:
    if before == now or not (before.startswith("{") and now.startswith("{")):
        return before == now
    return not differs(json.loads(before), json.loads(now))


def differs(before: Mapping[str, object], now: Mapping[str, object]) -> str:
    """The first of the settings that both tables have and that is another now; empty without one.

    >>> differs({"meta": {"steps": 2, "old": 1}}, {"meta": {"steps": 3, "new": 1}})
    'meta.steps: 2, now 3'
    """
    for name in (name for name in before if name in now):
        one, other = before[name], now[name]
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found = differs(one, other)
            if found:
                return f"{name}.{found}"
        elif one != other:
            return f"{name}: {one!r}, now {other!r}"
    return ""
