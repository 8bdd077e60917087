"""What came of the tests."""

from __future__ import annotations

from typing import Any

from derl_grammar.records import record


@record
class Failure:
    """One thing that is not as expected; `row` counts from 0 where a case has several."""

    message: str
    what: str | None = None
    row: int | None = None
    expected: str | None = None
    actual: str | None = None


@record
class Result:
    """One test: its kind (case, order, property, diagnostics, check), where it stands, failures."""

    kind: str
    name: str
    line: int
    failures: tuple[Failure, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failures


@record
class FileResult:
    """All tests of one test file (or of the comments of a reward)."""

    path: str
    reward: str
    results: tuple[Result, ...]

    @property
    def failed(self) -> tuple[Result, ...]:
        """The tests that failed."""
        return tuple(r for r in self.results if not r.ok)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "path": self.path,
            "reward": self.reward,
            "ok": not self.failed,
            "tests": [
                {
                    "kind": r.kind,
                    "name": r.name,
                    "line": r.line,
                    "ok": r.ok,
                    "failures": [
                        {
                            "message": f.message,
                            "what": f.what,
                            "row": f.row,
                            "expected": f.expected,
                            "actual": f.actual,
                        }
                        for f in r.failures
                    ],
                }
                for r in self.results
            ],
        }
