"""`derl-dsl test`: cases, orderings and properties that lie beside reward files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from derl_dsl.cli.inputs import (
    AsFormat,
    Format,
    fail,
    read_settings,
    read_text,
    show_json,
    show_no_logs,
)
from derl_dsl.tools.testing.cases import TestFileError, fenced_tests, read_tests
from derl_dsl.tools.testing.results import FileResult, Result
from derl_dsl.tools.testing.run import run_tests
from derl_grammar.spans import Source

ENDING = ".test.derl"


def run_command(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Rewards, test files or folders; default: here.")
    ] = None,
    format: AsFormat = Format.text,
) -> None:
    """Run the tests of rewards: `name.test.derl` beside `name.derl`, or comments after `# test:`.

    A folder is searched with all below it. How tests are written: derl_dsl/tools/testing/README.md.

    Exits 0 when all pass, 1 when one fails, 2 when there are none or one could not be read.
    """
    show_no_logs()
    results = []
    for path, text, reward in _found(paths or [Path()]):
        source = Source(read_text(str(reward)), str(reward))
        try:
            tests = read_tests(str(path), text)
            results.append(run_tests(tests, source, read_settings(source)))
        except TestFileError as error:
            fail(str(error))
    if not any(found.results for found in results):
        fail(f"no tests found; write name{ENDING} beside name.derl")
    if format is Format.json:
        _print_json(results)
    else:
        _print_text(results)
    raise typer.Exit(1 if any(found.failed for found in results) else 0)


def _found(paths: list[Path]) -> Iterator[tuple[Path, str, Path]]:
    """Each text of tests: its file, the text, and the reward's file; each once."""
    seen: set[Path] = set()
    for path in paths:
        if not path.exists():
            fail(f"cannot read {path}: no such file or folder")
        files = sorted(path.rglob("*.derl")) if path.is_dir() else [path]
        for file in files:
            reward = file.with_name(file.name.removesuffix(ENDING).removesuffix(".derl") + ".derl")
            if reward.resolve() in seen:
                continue
            seen.add(reward.resolve())
            if not reward.exists():
                fail(f"{file}: its reward {reward.name} is not beside it")
            beside = reward.with_name(reward.name.removesuffix(".derl") + ENDING)
            if beside.exists():
                yield beside, read_text(str(beside)), reward
            fenced = fenced_tests(read_text(str(reward)))
            if fenced is not None:
                yield reward, fenced, reward


def _print_json(results: list[FileResult]) -> None:
    files = [found.to_json() for found in results]
    tests = [r for found in results for r in found.results]
    passed = sum(r.ok for r in tests)
    record = {"files": files, "passed": passed, "failed": len(tests) - passed}
    show_json("test", record)


def _print_text(results: list[FileResult]) -> None:
    for found in results:
        dots = "".join("." if r.ok else "F" for r in found.results)
        typer.echo(f"{found.path} {dots}")
    for found in results:
        for result in found.failed:
            _print_failure(found.path, result)
    tests = [r for found in results for r in found.results]
    failed = sum(not r.ok for r in tests)
    counts = [f"{failed} failed"] if failed else []
    counts.append(f"{len(tests) - failed} passed")
    files = f"{len(results)} file" + ("" if len(results) == 1 else "s")
    typer.echo(f"\n{', '.join(counts)} in {files}")


def _print_failure(path: str, result: Result) -> None:
    typer.echo(f"\n{path}:{result.line}: {result.kind} {result.name!r} failed")
    for failure in result.failures:
        typer.echo("    " + failure.message.replace("\n", "\n    "))
        if result.kind == "diagnostics":
            typer.echo(f"    expected {failure.expected}, got {failure.actual}")
