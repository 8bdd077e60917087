"""The sandbox: untrusted primitives run in processes that can compute and nothing else."""

from derl_runtime.sandbox.host import Sandbox, Survey, survey
from derl_runtime.sandbox.levels import DOES as LEVEL_MEANS
from derl_runtime.sandbox.outcome import FAILURES, Failure, Refused, SandboxLimits
from derl_runtime.sandbox_settings import LEVELS

__all__ = [
    "FAILURES",
    "LEVELS",
    "LEVEL_MEANS",
    "Failure",
    "Refused",
    "Sandbox",
    "SandboxLimits",
    "Survey",
    "survey",
]
