"""Inner and outer GRPO training, tasks, executors and the run store."""
