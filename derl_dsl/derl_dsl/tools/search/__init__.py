"""search: many small typed programs tried on logged rollouts; the best become checked rewards."""
