"""Write a reward as the file that verl's `custom_reward_function.path` wants, and call it once.

    python examples/verl_reward.py [--out reward_for_verl.py]

The same as `derl-dsl export examples/reward.derl --for verl`; `--for list` names the others.
"""

from __future__ import annotations

import argparse
import runpy
from pathlib import Path

import derl_dsl
from derl_dsl.adapters.export import Export, export, problems, settings
from derl_dsl.adapters.targets import TARGETS

HERE = Path(__file__).parent


def main() -> None:
    """Export the reward, print the settings, and score one sample as verl would."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--out", type=Path, default=Path("reward_for_verl.py"))
    given = arguments.parse_args()

    reward = derl_dsl.load(HERE / "reward.derl")
    verl = TARGETS["verl"]
    for problem in problems(reward, verl):
        raise SystemExit(f"verl cannot score with this reward: {problem.message}")
    what = Export("reward.derl", suite="math")
    given.out.write_text(export(reward, verl, what), "utf-8")
    print(f"wrote {given.out}; set in verl {verl.version}:")
    print(settings(reward, verl, what, str(given.out)))

    score = runpy.run_path(str(given.out))["compute_score"]
    found = score("gsm8k", "2 * 3 = 6\n#### 6", "6", {})
    print(f"a right, short answer: {found}")


if __name__ == "__main__":
    main()
