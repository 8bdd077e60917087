"""How untrusted source is to be run: the settings of the sandbox, free of heavy imports."""

from __future__ import annotations

from derl_grammar.records import record
from derl_grammar.settings import setting

ENGINES = ("restricted", "monty")
# From the weakest; a level includes those before it.
LEVELS = ("none", "reduced", "standard", "strict")


@record
class SandboxSettings:
    """How untrusted source is run.

    `engine` is `restricted` or `monty`, `level` the walls that must hold (`strict`, `standard`,
    `reduced`; `none` turns custom primitives off). `deadline` is in seconds for a whole batch,
    `memory` in megabytes for a worker, `workers` how many work at once (0: one for each core).
    """

    engine: str = setting("restricted", "what runs their source", choices=ENGINES)
    level: str = setting("standard", "the walls that must hold on this machine", choices=LEVELS)
    deadline: float = setting(2.0, "seconds for a batch", least=0.01, most=86_400)
    memory: int = setting(512, "megabytes a worker", least=1)
    workers: int = setting(0, "processes at once; 0 = one a core", least=0)
