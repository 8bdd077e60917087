"""The language server: what an editor shows while a reward is written."""
