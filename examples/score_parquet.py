"""Score a Parquet file of rollouts with a reward, and write the scores beside them.

    python examples/score_parquet.py [rollouts.parquet] [--out scored.parquet]

Without a file, the completions that come with derl-dsl are scored.
"""

from __future__ import annotations

import argparse
from importlib.resources import files
from pathlib import Path

import numpy as np

import derl_dsl
from derl_runtime.data import read_rows, write_rows

HERE = Path(__file__).parent


def main() -> None:
    """Read, score, write, and say what was found."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("rollouts", nargs="?", type=Path, help=".parquet or .jsonl")
    arguments.add_argument("--out", type=Path, default=Path("scored.parquet"))
    given = arguments.parse_args()
    rollouts = given.rollouts or Path(str(files("derl_dsl") / "examples" / "gsm8k.jsonl"))

    reward = derl_dsl.load(HERE / "reward.derl")
    columns = read_rows(rollouts)
    scores = reward.score(columns)
    write_rows(given.out, {**columns, "reward": scores.values, **scores.parts})

    print(
        f"{len(scores.values)} rows of {rollouts.name}, mean reward {np.nanmean(scores.values):.3f}"
    )
    for name, part in scores.parts.items():
        print(f"  {name}: mean {np.nanmean(part):.3f}")
    for fault in scores.faults:
        print(f"  fault: {fault.name}: {fault.message} in {len(fault.rows)} rows")
    print(f"wrote {given.out}")


if __name__ == "__main__":
    main()
