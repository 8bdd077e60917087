"""The version of the distribution, known without importing anything else."""

__version__ = "0.1.0"
