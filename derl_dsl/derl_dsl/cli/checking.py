"""What `check` finds in a file; one that cannot be read is a finding too and hides no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from derl_dsl.checker import check_source
from derl_dsl.cli.inputs import by_line, load_settings, load_text, replace_file
from derl_dsl.prove.certificate import Certificate
from derl_dsl.prove.checked import Checked
from derl_dsl.tools.project import Settings
from derl_grammar.diagnostics import Diagnostic
from derl_grammar.records import record
from derl_grammar.spans import Source

# What else there is to say about a checked program.
More = Callable[[Checked], Checked]


@record
class Flags:
    """What the command line says of all files; `fix` makes the safe fixes in them."""

    suite: str | None = None
    columns: tuple[str, ...] = ()
    outcome: str | None = None
    limits: str | None = None
    lines: bool = False
    fix: bool = False

    def settings(self, source: Source) -> Settings:
        """The settings of one source; raises ValueError."""
        return load_settings(source, self.suite, [*self.columns], self.outcome, self.limits)


@record
class Finding:
    """What there is to say about one program, or (`problem`) why it could not be checked.

    `fixed` are the findings whose fixes were made, `outcome` says whether it has an outcome.
    """

    source: Source
    problem: str | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    certificate: Certificate | None = None
    outcome: bool = False
    fixed: tuple[Diagnostic, ...] = ()

    @classmethod
    def of(cls, checked: Checked, fixed: Sequence[Diagnostic] = ()) -> Finding:
        """What a checked program has to say."""
        known = checked.outcome is not None
        found = checked.diagnostics
        return cls(checked.source, None, found, checked.certificate, known, tuple(fixed))

    @property
    def ok(self) -> bool:
        """Whether it was checked and has no error."""
        return self.problem is None and all(d.severity != "error" for d in self.diagnostics)

    def to_json(self) -> dict[str, Any]:
        """The record of the JSON output."""
        return {
            "path": self.source.path,
            "ok": self.ok,
            "diagnostics": [d.to_json() for d in self.diagnostics],
            "certificate": self.certificate.to_json() if self.certificate is not None else None,
            **({"fixed": [d.to_json() for d in self.fixed]} if self.fixed else {}),
        }


def check_file(flags: Flags, name: str, more: More | None = None) -> list[Finding]:
    """What is found in one file (`-`: the standard input): one finding a program."""
    path = "<stdin>" if name == "-" else name
    try:
        source = Source(load_text(name), path)
    except ValueError as error:
        return [Finding(Source("", path), str(error))]
    if not source.text.strip():
        return [Finding(source, f"{path} is empty; write a reward into it: reward = …")]
    return check_text(flags, source, more)


def check_text(flags: Flags, source: Source, more: More | None = None) -> list[Finding]:
    """What is found in one text."""
    try:
        settings = flags.settings(source)
        programs = by_line(source) if flags.lines else [source]
        return [_checked(flags, settings, program, more) for program in programs]
    except ValueError as error:
        problem = str(error)
        named = problem if source.path in problem else f"{source.path}: {problem}"
        return [Finding(source, named)]


def _checked(flags: Flags, settings: Settings, source: Source, more: More | None) -> Finding:
    made: tuple[Diagnostic, ...] = ()
    checked = check_source(source, settings.scope(), settings.sizes)
    if flags.fix:
        from derl_dsl.tools.fixes import fix_safely

        checked, made = fix_safely(checked, settings)
        if made:
            replace_file(source.path, checked.source.text)
    shown = replace(checked, diagnostics=settings.shown(checked.diagnostics))
    return Finding.of(more(shown) if more else shown, made)
