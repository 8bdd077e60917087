"""verifiers v1 and prime-rl: a plugged reward `(task, trace) -> float`, an exception is an error.

It is added to what the task itself pays, so the settings say how that is turned off.

Group functions belong to `Env.finalize` or prime-rl's `Algorithm.score_group`, not to a task.
"""

from __future__ import annotations

from derl_dsl.adapters.targets.base import Target

TARGET = Target(
    name="verifiers",
    title="verifiers v1, prime-rl",
    version="0.4",
    package="verifiers",
    module="verifiers",
    gives=("completion", "prompt", "truncated"),
    others="the task's fields, its info, the trace's info",
    policies=("raise", "lowest"),
    quoting="toml",
    body='''\
import asyncio


async def @NAME@(task, trace):
    """The reward of one trace; parts go to its metrics, a fault is an error of the trace."""
    said = [m.content or "" for m in trace.assistant_messages]  # last_reply strips it
    text = said[-1] if trace.root_reply is None and said else trace.root_reply or ""
    own = {"completion": text, "prompt": task.prompt, "truncated": trace.is_truncated}
    fields = task.model_dump()
    found = await asyncio.to_thread(scorer.score, own, fields, fields.get("info"), trace.info)
    for name, part in found.parts.items():
        if part == part:  # NaN: the part does not apply
            trace.record_metric(name, part)
    return found.value
''',
    settings="""\
[env.taskset.task.rewards]
@NAME@ = {fn = "@FILE@:@NAME@", weight = 1.0}
# The task's own rewards are added to it; for each of them: ITS_NAME = {weight = 0.0}""",
)
