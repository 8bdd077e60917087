"""The sandbox: untrusted primitives run in processes that can compute and nothing else."""

from derl_runtime.sandbox.host import Sandbox
from derl_runtime.sandbox.outcome import CLASSES, Declaration, Failure, Refused, SandboxLimits

__all__ = ["CLASSES", "Declaration", "Failure", "Refused", "Sandbox", "SandboxLimits"]
