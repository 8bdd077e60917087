"""Transfer: whether a finished search learnt to write rewards, on a target that it has not seen.

Three arms, none of which is trained on the target, over the same start policies:

    cold       samples of the model that the run's meta-optimizer was before it was trained
    trained    samples of the trained one
    formulas   the run's best formulas first, then samples of the cold one

The level is what the run's best formula scores on the target's validation problems; what each arm
pays until its best score reaches it is what is compared.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from derl_runtime.files import write_whole
from derl_trainers.outer.compare import Outcome, Search
from derl_trainers.outer.inherit import best, cold_model, trained_model
from derl_trainers.outer.ledger import Paid, area, paid_for
from derl_trainers.reading import as_toml
from derl_trainers.runs.store import Store

ARMS = ("cold", "trained", "formulas")
CONFIG = "target.toml"


@dataclass(frozen=True, slots=True)
class Reached:
    """One arm on one start policy: what was paid until the level was reached, if it was.

    `area` is the mean best score over as many inner runs as the shortest arm made.
    """

    arm: str
    seed: int
    level: float
    paid: Paid | None
    area: float
    valid: float


def write_config(run: Path, folder: Path) -> str:
    """The settings of a run as a config in `folder`, for its target; returns the file's name."""
    with closing(Store.open(run)) as store:
        config = json.loads(store.run()["config"])
    # What it began with, and who wrote its formulas, is of the run and not of its settings.
    for name in ("origin", "given"):
        config["meta"].pop(name, None)
    config["name"] = f"transfer-{config['name']}"
    # A level is one score, and no arm's best formula is asked for: the least of what follows.
    config["final"] |= {"confirm": 1, "seeds": 2}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / CONFIG
    write_whole(path, as_toml(config))
    return str(path)


def arms(run: Path, folder: Path, seeds: Sequence[int], formulas: int) -> list[Search]:
    """The searches, arm by arm; raises StoreError for a run that has nothing to hand over."""
    cold, trained = (f"meta.origin={json.dumps(str(f(run)))}" for f in (cold_model, trained_model))
    given = f"meta.given={json.dumps(best(run, formulas))}"
    flags = {"cold": (cold,), "trained": (trained,), "formulas": (cold, given)}
    return [
        Search("frozen", seed, folder / f"{arm}-{seed}", flags[arm])
        for arm in ARMS
        for seed in seeds
    ]


def reached(found: Sequence[tuple[str, Outcome]], best_formula: str) -> list[Reached]:
    """What each arm paid for the level, on the start policies where all arms are complete."""
    by_seed: dict[int, dict[str, Outcome]] = {}
    for arm, outcome in found:
        by_seed.setdefault(outcome.seed, {})[arm] = outcome
    rows = []
    for seed, each in sorted(by_seed.items()):
        if set(each) != set(ARMS):
            continue
        level = each["formulas"].scores[best_formula]
        runs = min(len(outcome.paid) - 1 for outcome in each.values())
        rows += [
            Reached(
                arm, seed, level, paid_for(each[arm].paid, level), area(each[arm].paid, runs),
                sum(each[arm].valid) / len(each[arm].valid),
            )
            for arm in ARMS
        ]  # fmt: skip
    return rows
