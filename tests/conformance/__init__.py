"""Targets x gallery: exported rewards through each trainer's own loader or base class."""
