"""How a job fails inside a worker."""

from __future__ import annotations


class Failed(Exception):
    """A failure of class `cls`, to be answered to the host."""

    def __init__(self, cls: str, message: str) -> None:
        super().__init__(message)
        self.cls = cls
        self.message = message
