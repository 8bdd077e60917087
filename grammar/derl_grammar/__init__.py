"""The syntax of reward programs: grammar, spans, diagnostics, types."""
