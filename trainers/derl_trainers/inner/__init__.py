"""One policy, one reward: GRPO by TRL, and the score of what came of it."""
