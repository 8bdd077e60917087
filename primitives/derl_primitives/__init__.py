"""Atomic primitives and the suites of them."""
