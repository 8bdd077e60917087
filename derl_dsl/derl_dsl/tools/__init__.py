"""What people run on a reward: audit, search, tests, editor, formatter, evaluation."""
