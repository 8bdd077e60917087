"""The formatter."""
