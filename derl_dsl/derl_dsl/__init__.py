"""The compiler of the reward language."""
