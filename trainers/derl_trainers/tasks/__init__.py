"""What policies are trained on: the interface in `base`, the table in `table`, one file a task."""
