"""The sandbox: untrusted primitives run in processes that can compute and nothing else."""

from derl_runtime.sandbox.host import Sandbox, Survey, survey
from derl_runtime.sandbox.levels import DOES as LEVEL_MEANS
from derl_runtime.sandbox.levels import LEVELS
from derl_runtime.sandbox.outcome import CLASSES, Declaration, Failure, Refused, SandboxLimits

__all__ = [
    "CLASSES",
    "LEVELS",
    "LEVEL_MEANS",
    "Declaration",
    "Failure",
    "Refused",
    "Sandbox",
    "SandboxLimits",
    "Survey",
    "survey",
]
