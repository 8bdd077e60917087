"""Rewards in the protocols of trainers: TRL as they are, all others as exported files."""
