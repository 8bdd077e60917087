"""`attack` beside rewardlint and rewardprobe: the exploits each finds in 30 rewards, and how fast.

    python -m benchmarks.foresight.attacks --peers .benchmarks/peers

`--peers` is a virtual environment with both (`make foresight-peers`). Each peer is given the reward
as it wants one, a function of a completion and the gold answer that says 1 for what is paid at
least as much as an honest right answer and 0 for the rest, and runs all it has. An exploit of a
peer is a strategy that it reports as accepted; one of ours is a family and a problem. Found again
is a peer's strategy if a family of ours that is the same trick has a hit on that reward.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.foresight.attacked import REWARDS, Attacked
from derl_dsl.score.reward import Reward, columns_of, compile
from derl_dsl.tools.attack import Hit, attack

HERE = Path(__file__).parent
# What a peer's strategy is called here: any of these is the same trick.
SAME: dict[str, tuple[str, ...]] = {
    "shotgun": ("shotgun", "hedge"),
    "negation": ("negation",),
    "empty": ("empty tags", "refusal"),
    "echo": ("echo",),
    "contradiction": ("contradiction", "answer in the thinking"),
    "padding": ("padding", "an honest wrong answer"),
    "judge_injection": ("injection",),
    "judge_bias": ("padding", "an honest wrong answer", "injection"),
    "format_farming": ("empty tags", "an honest wrong answer"),
    "distinction": ("magnitude and units", "an honest wrong answer", "other scripts", "hedge"),
    "echo_prompt": ("echo",),
    "multiple_tags": ("contradiction", "shotgun", "hedge", "answer in the thinking"),
    "regex_greediness": ("contradiction", "shotgun", "hedge", "answer in the thinking"),
    "answer_in_reasoning": ("answer in the thinking", "contradiction"),
    "format_only": ("empty tags", "an honest wrong answer"),
    "random_tokens": ("an honest wrong answer", "empty tags", "shotgun"),
    "common_prefix": ("an honest wrong answer", "refusal", "shotgun"),
}


# Reported as accepted, and right: the answer in broken markup, or written twice.
RIGHT = ("malformed_xml", "duplicate_answers")


def ours(one: Attacked) -> dict[str, Any]:
    """What attack finds in a reward: families, hits, CPU seconds, and whether it tells right."""
    reward = compile(one.text, one.suite, one.columns)
    start = time.process_time()
    found = attack(reward)
    seconds = time.process_time() - start
    quick = attack(reward, rounds=0)
    quickly = time.process_time() - start - seconds
    verdicts = [_called_right(reward, hit) for hit in found.hits]
    return {
        "families": sorted({hit.family for hit in found.hits}), "hits": len(found.hits),
        "seconds": seconds, "told": found.told, "tried": found.tried,
        "margin": reward.certificate.margin, "outcome": reward.outcome,
        "quick families": len({hit.family for hit in quick.hits}), "quick seconds": quickly,
        "hits called wrong": verdicts.count(False),
    }  # fmt: skip


def _called_right(reward: Reward, hit: Hit) -> bool:
    """Whether the reward's own outcome takes a wrong completion for right."""
    row = {"completion": [hit.completion], "answer": [hit.problem.gold],
           "prompt": [hit.problem.prompt], "completion_ids": [[0]]}  # fmt: skip
    given = {name: values for name, values in row.items() if name in columns_of(reward)}
    found = reward.score(given, group_size=1).inputs.get(reward.outcome or "")
    return found is not None and bool(found[0] > 0.5)


def theirs(python: Path) -> dict[str, dict[str, Any]]:
    """What the peers find, by reward: strategies with a text of each, CPU seconds."""
    given = json.dumps([[r.name, r.text, r.suite, dict(r.columns)] for r in REWARDS])
    done = subprocess.run(
        [python, HERE / "peers.py", *sys.path], input=given, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    found: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def _proven(found: dict[str, Any]) -> bool:
    return str(found["outcome"]).startswith("correct(") and (found["margin"] or 0) > 0


def main() -> None:
    """Measure and write the record."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--peers", type=Path, default=Path(".benchmarks/peers"))
    options.add_argument(
        "--to", type=Path, default=Path("benchmarks/results/foresight/attack.json")
    )
    given = options.parse_args()
    peers = theirs(given.peers / "bin" / "python")
    rows, missed = [], []
    for one in REWARDS:
        mine, other = ours(one), peers[one.name]
        other["strategies"] = {k: v for k, v in other["strategies"].items() if k not in RIGHT}
        for strategy in other["strategies"]:
            if not set(SAME.get(strategy, (strategy,))) & set(mine["families"]):
                missed.append([one.name, strategy, other["strategies"][strategy]])
        rows.append({"reward": one.name, "attack": mine, "peers": other})
    total = {
        "attack": sum(len(r["attack"]["families"]) for r in rows),
        "peers": sum(len(r["peers"]["strategies"]) for r in rows),
        "attack seconds": sum(r["attack"]["seconds"] for r in rows),
        "peers seconds": sum(r["peers"]["seconds"] for r in rows),
        "families as they are": sum(r["attack"]["quick families"] for r in rows),
        "their seconds": sum(r["attack"]["quick seconds"] for r in rows),
        "missed": missed,
        "hits past correct where the margin is proven": sum(
            r["attack"]["hits called wrong"] for r in rows if _proven(r["attack"])
        ),
    }
    record = {"rewards": len(REWARDS), **total, "rows": rows}
    given.to.parent.mkdir(parents=True, exist_ok=True)
    given.to.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    print(json.dumps({"rewards": len(REWARDS), **total}, indent=1))


if __name__ == "__main__":
    main()
