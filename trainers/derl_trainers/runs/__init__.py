"""What a run is made of: jobs, the store, executors, the live view."""
