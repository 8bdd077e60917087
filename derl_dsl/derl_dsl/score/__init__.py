"""Compiled rewards at work: binding columns, kernels, scores, many rewards at once."""
