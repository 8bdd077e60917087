"""slime and miles: an async function of samples, or of a whole group with `--group-rm`."""

from __future__ import annotations

from dataclasses import replace

from derl_dsl.adapters.targets.base import Target

_ROW = '''\
import asyncio


def _row(sample):
    """A sample's columns; its metadata has those that slime has no word for."""
    cut = getattr(getattr(sample, "status", None), "value", "") == "truncated"
    own = {"completion": sample.response, "prompt": sample.prompt, "answer": sample.label}
    return scorer.row(sample.metadata or {}, {**own, "truncated": cut})


'''

SLIME = Target(
    name="slime",
    title="slime",
    version="0.3",
    package=None,
    gives=("completion", "prompt", "answer", "truncated"),
    others="the sample's metadata",
    policies=("lowest", "raise"),
    body=_ROW
    + '''\
async def @NAME@(args, sample, **kwargs):
    """The reward of one sample, its parts and whether it failed."""
    found = (await asyncio.to_thread(scorer.score_rows, [_row(sample)]))[0]
    parts = found.beside("score", "failed")
    return {"score": found.value, **parts, "failed": float(found.failed)}
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

MILES = replace(SLIME, name="miles", title="miles", version="31f1ca961")
