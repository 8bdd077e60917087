"""Rewards in the protocols of trainers: TRL, verl, verifiers; each module imports its own late."""
