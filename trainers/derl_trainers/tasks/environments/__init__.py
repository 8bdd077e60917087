"""Environments: episodes of text behind one interface, and the step scores that they earn."""
