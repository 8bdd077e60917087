"""Which rollouts were right, for those that look on a reward: also where it does not ask itself."""

from __future__ import annotations

from derl_dsl.score.reward import Reward, compile
from derl_grammar.limits import WIDE


def judge_of(reward: Reward, outcome: str | None = None) -> Reward | None:
    """The program that says which rollouts are right, where the reward's own inputs do not.

    `outcome` is an expression over what the reward may name; without one it is that of its header
    or suite. None where the reward reads its outcome itself, or nobody knows one. Raises
    RewardError when the expression does not compile.

    >>> blind = compile("words(completion) / 100", suite="math")
    >>> judge_of(blind).score({"completion": ["It is 4."], "answer": ["4"]}).values.tolist()
    [1.0]
    >>> judge_of(compile("correct(completion, answer)", suite="math")) is None
    True
    """
    if outcome is None and reward.outcome is not None:
        return None
    text = outcome or reward.known_outcome
    if text is None:
        return None
    written, suite, columns = reward.arguments[:3]
    # The header may type columns and rename them.
    header = [line for line in written.splitlines() if line.startswith("#")]
    return compile("\n".join([*header, f"reward = 1 * ({text})"]), suite, columns, limits=WIDE)
