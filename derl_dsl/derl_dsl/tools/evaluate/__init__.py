"""Score logged rollouts with a reward and sum them up."""
