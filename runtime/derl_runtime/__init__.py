"""Columns, limits and faults: what kernels run on."""
