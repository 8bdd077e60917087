"""From the syntax tree to the typed graph: names, types, conversions, calls."""
