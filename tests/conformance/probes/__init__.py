"""One probe a target: how it is driven with an exported file."""
