"""What stands beside the headline comparisons: what is written, transfer, families."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.evidence.plan import FIRST, LAST
from derl_trainers.estimates import interval, over_problems, sign_flip

_COMPARED = ("trained", "formulas")
_PAIRS = (("grpo", "frozen"), ("grpo+masked", "frozen+masked"))
# Start policies of arithmetic: looked at before the test was written down, and the test's own.
_LOOKED, _FRESH = range(100, 109), range(109, 117)
_STARTS = {"arithmetic": ((_LOOKED, ", looked at before"), (_FRESH, ", fresh"))}
_ALL = ((range(FIRST, LAST + 1), ""),)
_LATE = (4, 5)
RACE = "race.json"
# Tries at a rise on GSM8K, and the levels of their intervals: of a second one less may be chance.
LANGUAGE = {"gsm8k.json": 0.95, "gsm8k-step.json": 0.975}
MEASURES = ("sampled", "greedy")
COUNTED = ("runs", "steps", "tokens", "seconds")
_PARTS = {
    "reward": "reward", "first_holds": "first sum holds", "reached": "first step right",
    "right": "right",
}  # fmt: skip
_RUNS = 3  # of a reward, below which none is reported
TRAINED = {
    "all": "n = all formulas written",
    "valid": "n = all that pass the checker",
    "plain": "equal rewards once",
    "raced": "the same, raced",
}
Rows = Sequence[Mapping[str, Any]]
Block = tuple[str, int]  # an arm and a start policy
Best = Callable[[str, int], float]


def written(task: str, proposals: Rows, complete: Collection[Block], best: Best) -> list[str]:
    """What valid formulas score in the first step and the last two, trained less frozen.

    Beside it the difference of the best formulas on test, which `best` knows by arm and start.
    """
    lines = [
        "| | start policies | pairs | step 1 | steps 4 and 5 | p | best formulas, test |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for trained, frozen in _PAIRS:
        for starts, said in _STARTS.get(task, _ALL):
            seeds = [s for s in starts if {(trained, s), (frozen, s)} <= set(complete)]
            if not seeds:
                continue
            first, late = (
                [
                    _score(proposals, trained, seed, steps) - _score(proposals, frozen, seed, steps)
                    for seed in seeds
                ]
                for steps in ((1,), _LATE)
            )
            ends = [best(trained, seed) - best(frozen, seed) for seed in seeds]
            lines.append(
                f"| {trained} less {frozen} | {seeds[0]} to {seeds[-1]}{said} | {len(seeds)} "
                f"| {signed(first)} | {signed(late)} | {sign_flip(late):.3f} | {signed(ends)} |"
            )
    return lines


def _score(proposals: Rows, arm: str, seed: int, steps: Collection[int]) -> float:
    """The mean validation score of the valid formulas of a search's steps, repeats counted."""
    found = [
        row["meta_reward"]
        for row in proposals
        if (row["arm"], row["seed"]) == (arm, seed)
        and row["step"] in steps
        and row["status"] in ("trained", "reused")
    ]
    return float(sum(found) / len(found))


def transfer(results: Path) -> list[str]:
    """What each arm paid on each target, and what it differs from the cold one by."""
    path = results / "transfer.parquet"
    if not path.exists():
        return []
    rows = pq.read_table(path).to_pylist()
    lines = [
        "## Transfer",
        "",
        "From each source's search to the target: the level is what the source's best formula",
        "scores there; runs are those paid until the level, or all where it was not reached. 95 %",
        "t-intervals over sources, paired with `cold`.",
        "",
        "| target | arm | sources | level | reached | runs | less cold | area | less cold "
        "| formulas valid |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for target in dict.fromkeys(row["target"] for row in rows):
        arms: dict[str, dict[int, dict[str, Any]]] = {}
        for row in rows:
            if row["target"] == target:
                arms.setdefault(row["arm"], {})[row["source"]] = row
        lines += [_arm(target, name, each, arms["cold"]) for name, each in arms.items()]
    return [*lines, ""]


def _arm(
    target: str,
    name: str,
    own: Mapping[int, Mapping[str, Any]],
    cold: Mapping[int, Mapping[str, Any]],
) -> str:
    def mean(column: str) -> float:
        return sum(float(row[column]) for row in own.values()) / len(own)

    def less(column: str, digits: int = 3) -> str:
        if name not in _COMPARED:
            return ""
        return signed([row[column] - cold[source][column] for source, row in own.items()], digits)

    reached = sum(row["reached"] for row in own.values())
    return (
        f"| {target} | {name} | {len(own)} | {mean('level'):.3f} | {reached} | {mean('runs'):.1f} "
        f"| {less('runs', 1)} | {mean('area'):.3f} | {less('area')} | {mean('valid'):.0%} |"
    )


def signed(values: Sequence[float], digits: int = 3) -> str:
    """A mean difference and its interval; of one value there is none."""
    if len(values) < 2:
        return f"{values[0]:+.{digits}f}"
    mean, half = interval(values)
    return f"{mean:+.{digits}f} ± {half:.{digits}f}"


def racing(results: Path) -> list[str]:
    """What a race saves a frozen search, against the paper's n x E x C."""
    path = results / RACE
    if not path.exists():
        return []
    rows = raced_rows(json.loads(path.read_text("utf-8")))
    return [
        "## Racing: what it saves a frozen search, and whether it finds the same",
        "",
        *rows,
        "",
    ]


def raced_rows(rows: Rows) -> list[str]:
    """What searches found and paid with and without racing."""
    lines = [
        "| task | start | race | best without racing | validation | best with racing | validation "
        "| same | ended |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        plain, raced = row["plain"], row["raced"]
        same = "yes" if plain["key"] == raced["key"] else row["ended_best"] or "no"
        race = ", ".join(map(str, row["race"]))
        lines.append(
            f"| {row['task']} | {row['start']} | {race} | {_best(plain)} | {_best(raced)} "
            f"| {same} | {row['ended']} of {row['of']} |"
        )
    lines += ["", "| task | race | what is trained | inner runs | inner steps | tokens | seconds "
              "| tokens, share |", "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    said = []
    kinds = dict.fromkeys((row["task"], tuple(row["race"])) for row in rows)
    for task, each in kinds:
        those = [row for row in rows if (row["task"], tuple(row["race"])) == (task, each)]
        of = [row["cost"] for row in those]
        sums = {name: {k: sum(c[name][k] for c in of) for k in COUNTED} for name in TRAINED}
        for name, total in sums.items():
            share = total["tokens"] / sums["all"]["tokens"]
            lines.append(
                f"| {task} | {', '.join(map(str, each))} | {TRAINED[name]} | {total['runs']:,} "
                f"| {total['steps']:,.0f} | {total['tokens']:,.0f} | {total['seconds']:,.0f} "
                f"| {share:.2f} |"
            )
        said.append(_said(task, each, those))
    return [*lines, "", *said]


def _said(task: str, race: Sequence[int], rows: Rows) -> str:
    """In how many searches of a task racing found the same, and whether they compare."""
    same = sum(row["plain"]["key"] == row["raced"]["key"] for row in rows)
    alike = sum(row["alike"] for row in rows)
    return (
        f"{task.capitalize()}, race {', '.join(map(str, race))}: the same best reward in {same} of "
        f"{len(rows)}; the baselines answered alike in both searches in {alike}."
    )


def _best(found: Mapping[str, Any]) -> str:
    if found["formula"] is None:
        return "none | "
    return f"`{' '.join(found['formula'].split())}` | {found['validation']:.3f}"


@dataclass(frozen=True, slots=True)
class Rise:
    """What a reward did to a language model's pass@1 by one measure, a difference for each run.

    `half` is of the t-interval over runs, `low` and `high` the ends of a bootstrap over problems,
    both at a level.
    """

    reward: str
    measure: str
    before: float
    each: Mapping[int, float]
    half: float
    low: float
    high: float
    level: float

    @property
    def mean(self) -> float:
        """The mean difference."""
        return float(np.mean(list(self.each.values())))

    @property
    def said(self) -> str:
        """What both intervals show."""
        if self.mean - self.half > 0 and self.low > 0:
            return "rises"
        return "falls" if self.mean + self.half < 0 and self.high < 0 else "not shown"


def rises(found: Mapping[str, Any], level: float = 0.95) -> list[Rise]:
    """Every reward that has three runs, by both measures: verdicts on the same test problems."""
    all_of: list[Rise] = []
    for reward in dict.fromkeys(run["reward"] for run in found["runs"]):
        runs = {run["seed"]: run for run in found["runs"] if run["reward"] == reward}
        if len(runs) < _RUNS:
            continue
        for measure in MEASURES:
            start, each = _texts(found["start"], measure), {}
            for seed, run in runs.items():
                each[seed] = _share(_texts(run, measure)) - _share(start)
            texts = [text for run in runs.values() for text in _texts(run, measure)]
            _, low, high = over_problems(texts, start, level=level)
            half = interval(list(each.values()), level)[1]
            all_of.append(Rise(reward, measure, _share(start), each, half, low, high, level))
    return all_of


def _texts(scored: Mapping[str, Any], measure: str) -> list[str]:
    """Verdicts as texts of digits: one of the greedy answers, several of the sampled ones."""
    texts = scored[measure]
    return [texts] if isinstance(texts, str) else list(texts)


def _share(texts: Sequence[str]) -> float:
    return float(np.mean([int(digit) for text in texts for digit in text]))


def tries(results: Path) -> dict[str, dict[str, Any]]:
    """The verdicts on a language model before and after rewards trained it, of each try."""
    paths = {name: results / name for name in LANGUAGE}
    return {n: json.loads(p.read_text("utf-8")) for n, p in paths.items() if p.exists()}


def risen(results: Path) -> list[Rise]:
    """What every reward of every try did, at the try's level."""
    found = tries(results)
    return [of for name, each in found.items() for of in rises(each, LANGUAGE[name])]


def language(results: Path) -> list[str]:
    """What rewards did to a language model on GSM8K."""
    lines = []
    for name, found in tries(results).items():
        if rises(found):
            lines += [
                f"## GSM8K with a language model: {found['runs'][0]['reward']}",
                "",
                f"pass@1 on the {found['problems']} test problems of two steps, of the taught",
                "policy and after a reward has trained it; differences with",
                f"{LANGUAGE[name] * 100:g} % intervals over runs (t) and over problems (bootstrap,",
                "all runs together).",
                "",
                *language_rows(found, LANGUAGE[name]),
                "",
            ]  # fmt: skip
    return lines


def language_rows(found: Mapping[str, Any], level: float = 0.95) -> list[str]:
    """The table of rewards, and what they were paid."""
    lines = [
        "| reward | runs | measure | taught | trained | difference, over runs | over problems | |",
        "|---|---:|---|---:|---:|---:|---:|---|",
    ]
    known = rises(found, level)
    for of in known:
        lines.append(
            f"| {of.reward} | {len(of.each)} | {of.measure} | {of.before:.3f} "
            f"| {of.before + of.mean:.3f} | {of.mean:+.3f} ± {of.half:.3f} "
            f"| {of.low:+.3f} to {of.high:+.3f} | {of.said} |"
        )
    names = {of.reward for of in known}
    runs = [run for run in found["runs"] if run["reward"] in names]
    parts = {k: v for k, v in _PARTS.items() if any(k in s for r in runs for s in r["history"])}
    lines += [
        "",
        "Means of the first and of the last third of a run's steps, of what the reward is made of;",
        "minutes are since a run last went on, where it had been interrupted:",
        "",
        f"| reward | seed | steps | tokens | minutes | {' | '.join(parts.values())} |",
        "|---|" + "---:|" * (4 + len(parts)),
    ]
    for run in runs:
        ends = " | ".join(_ends(run["history"], part) for part in parts)
        lines.append(
            f"| {run['reward']} | {run['seed']} | {run['steps']} | {run['tokens']:,} "
            f"| {run['seconds'] / 60:.0f} | {ends} |"
        )
    return lines


def _ends(history: Rows, part: str) -> str:
    """What a part of the reward was at first and in the end, of steps that had it."""
    third = max(1, len(history) // 3)
    of = [
        [s[part] for s in steps if s.get(part) is not None]
        for steps in (history[:third], history[-third:])
    ]
    return " to ".join(f"{np.mean(each):.3f}" for each in of) if all(of) else ""


def families(results: Path) -> list[str]:
    """Which families were looked at, and why they fell out."""
    path = results / "families.json"
    if not path.exists():
        return []
    found: dict[str, dict[str, Any]] = json.loads(path.read_text("utf-8"))
    early = sum("out" in one for one in found.values())
    lines = [
        "## Families of reasoning-gym that were looked at",
        "",
        f"{len(found)} in alphabetical order; {early} fell out by their questions, answers and",
        "scores (`families.json` has each). The others were taught, and those in range trained:",
        "",
        "| family | pass@1 after steps of teaching | after an inner run at 1x, 3x the rate | |",
        "|---|---|---|---|",
    ]
    for family, one in found.items():
        if "out" in one:
            continue
        taught = ", ".join(f"{t['pass_at_1']:.3f} ({t['steps']})" for t in one["tried"])
        ran = ", ".join(f"{run['pass_at_1']:.3f}" for run in one.get("runs", ()))
        said = "taken" if "taken" in one else ("not trained" if ran else "not in range")
        lines.append(f"| {family} | {taught} | {ran} | {said} |")
    return [*lines, ""]
