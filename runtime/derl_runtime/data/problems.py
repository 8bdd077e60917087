"""What is wrong with a data file: where, what, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable

from derl_grammar.records import record


@record
class DataProblem:
    """What is wrong with a data file; `line` counts from 1 and is None where lines mean nothing."""

    path: str
    line: int | None
    message: str
    hint: str

    def __str__(self) -> str:
        at = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{at}: {self.message}; {self.hint}"


class DataError(Exception):
    """A data file that cannot be read or written; `problem` says where and what to do."""

    def __init__(self, problem: DataProblem) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return str(self.problem)


BadRow = Callable[[DataProblem], None]
"""What hears of a row that cannot be read; it raises, or returns for the row to be left out."""


def failed(path: object, message: str, hint: str, line: int | None = None) -> DataError:
    """The error of a file."""
    return DataError(DataProblem(str(path), line, message, hint))


def refuse(problem: DataProblem) -> None:
    """Hear of a bad row by raising DataError."""
    raise DataError(problem)


def reason(error: OSError) -> str:
    """Why the system refused, in its words."""
    return (error.strerror or str(error) or type(error).__name__).lower()
