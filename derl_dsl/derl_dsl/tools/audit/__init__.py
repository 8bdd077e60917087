"""Audit of a reward on logged rollouts: what it pays for, and where it pays for the wrong thing."""
