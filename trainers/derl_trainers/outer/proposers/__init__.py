"""Proposers: what writes the formulas of a search; the table of them is `settings.proposers`."""
