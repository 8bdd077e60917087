"""What an operation is and means: the typed graph, its scalars, ranges and needs."""
