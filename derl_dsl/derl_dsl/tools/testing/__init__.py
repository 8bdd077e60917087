"""Tests of reward files: cases, orderings and properties, written as data beside the reward."""
