"""Imported once, by the process that local workers are forked from: what every inner run needs."""

import os

from derl_trainers.runs.executors.base import ENVIRONMENT

os.environ.update(ENVIRONMENT)  # before torch and NumPy count their threads

import derl_trainers.inner.loop  # noqa: F401
