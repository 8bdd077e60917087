"""slime and miles: an async function of samples, or of a whole group with `--group-rm`."""

from __future__ import annotations

from dataclasses import replace

from derl_dsl.adapters.targets.base import Target

_ROW = '''\
import asyncio

from derl_dsl.adapters.texts import without_stop


def _row(sample):
    """A sample's columns; its metadata has those that slime has no word for."""
    cut = getattr(getattr(sample, "status", None), "value", "") == "truncated"
    text = without_stop(sample.response)
    own = {"completion": text, "prompt": sample.prompt, "answer": sample.label}
    return scorer.row(sample.metadata or {}, {**own, "truncated": cut})


'''

SLIME = Target(
    name="slime",
    title="slime",
    version="0.3",
    package=None,
    module="slime",
    gives=("completion", "prompt", "answer", "truncated"),
    others="the sample's metadata",
    policies=("lowest", "raise"),
    body="from derl_dsl.adapters.rows import beside\n"
    + _ROW
    + '''\
async def @NAME@(args, sample, **kwargs):
    """The reward of a sample, its parts and whether it failed; of each, where one made several."""
    several = sample if isinstance(sample, list) else [sample]
    found = await asyncio.to_thread(scorer.score_rows, [_row(s) for s in several])
    out = []
    for k in range(len(several)):
        parts = beside(scorer.numbers(found[k]), "score", "failed")
        parts = {name: part for name, part in parts.items() if part is not None}
        out.append({"score": found[k].value, **parts, "failed": float(found[k].failed)})
    return out if isinstance(sample, list) else out[0]
''',
    settings="""\
--custom-rm-path @MODULE@.@NAME@
--reward-key score""",
)

SLIME_GROUP = replace(
    SLIME,
    name="slime-group",
    title="slime, whole groups",
    groups=True,
    body=_ROW
    + '''\
async def @NAME@(args, samples, **kwargs):
    """The rewards of the samples of one group."""
    rows = [_row(sample) for sample in samples]
    return (await asyncio.to_thread(scorer.score_rows, rows, len(rows))).values
''',
    settings="""\
--custom-rm-path @MODULE@.@NAME@
--group-rm""",
)

MILES = replace(
    SLIME, name="miles", title="miles", version="0.0.2", package="miles-rl", module="miles"
)
MILES_GROUP = replace(
    SLIME_GROUP,
    name="miles-group",
    title="miles, whole groups",
    version="0.0.2",
    package="miles-rl",
    module="miles",
)
