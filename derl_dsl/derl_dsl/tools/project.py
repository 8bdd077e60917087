"""Settings of a project: `[tool.derl]` of pyproject.toml, and the header of a reward file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from derl_dsl.elaborate.custom import REGISTRY, load_trusted, load_with
from derl_dsl.elaborate.header import Header, header_of
from derl_dsl.elaborate.scope import Scope, build_scope
from derl_grammar.diagnostics import CODES, Diagnostic
from derl_grammar.limits import LIMITS, Limits
from derl_grammar.near import did_you_mean
from derl_grammar.records import record
from derl_grammar.settings import read_values, setting
from derl_runtime.files import read_regular
from derl_runtime.sandbox_settings import SandboxSettings

# Bytes of a pyproject.toml.
_LARGEST = 4 << 20

# What holds for all files of a project: no pattern sets it.
_WHOLE = ("primitives", "sandbox")
# Before the name of a module whose primitives are trusted: importing it runs its code.
TRUSTED = "trusted:"


class ProjectError(ValueError):
    """A mistake in the settings; the message names the file and what fits."""


@record
class Settings:
    """What a reward file is checked with."""

    suite: str | None = setting(
        None, 'Names the files may use: `"math"`, or several as `"math+length"`.'
    )
    columns: Mapping[str, str] = setting(
        dict, 'Types of further inputs: `{ ok = "bool" }`.', example='{ g1 = "number[0, 1]" }'
    )
    outcome: str | None = setting(
        None, "The input that says a rollout was right; default: the suite's."
    )
    limits: str = setting(
        "default",
        'Size limits: `"default"`, or `"wide"` for long files.',
        choices=tuple(LIMITS),
    )
    primitives: tuple[str, ...] = setting(
        (),
        "Files of untrusted primitives, relative to the folder of `pyproject.toml`: "
        '`["politeness.py"]`. They run in the sandbox. `"trusted:package.module"` imports an '
        "installed module, which is code that runs here. Only in `[tool.derl]` itself.",
        example='["mine.py"]',
    )
    sandbox: SandboxSettings = setting(
        SandboxSettings,
        'How they run: `{ engine = "restricted", level = "standard", deadline = 2.0, '
        "memory = 512, workers = 0 }`; engines are `restricted` and `monty`, levels `strict`, "
        "`standard`, `reduced` and `none`, the deadline is in seconds a batch, memory in "
        "megabytes a worker, 0 workers is one a core. Only in `[tool.derl]` itself.",
    )
    ignore: tuple[str, ...] = setting(
        (),
        'Warnings and infos to hide, as codes or beginnings: `["DRL506"]`.',
        example='["DRL306", "DRL5"]',
    )
    select: tuple[str, ...] | None = setting(
        None,
        'The only warnings and infos to show: `["DRL3", "DRL511"]`.',
        example='["DRL306", "DRL5"]',
    )

    def over(self, given: Mapping[str, Any]) -> Settings:
        """These settings with others over them.

        Whoever names the suite names the columns and the outcome too.
        """
        base = replace(self, columns={}, outcome=None) if "suite" in given else self
        return replace(base, **given)

    @property
    def sizes(self) -> Limits:
        """The size limits."""
        return LIMITS[self.limits]

    def scope(self) -> Scope:
        """The scope of the suite, the columns and the outcome, with the primitives loaded.

        Raises ValueError for an unknown suite, an unreadable type, or a file of primitives that
        cannot be used.
        """
        for path in self.primitives:
            if path.startswith(TRUSTED):
                load_trusted(path.removeprefix(TRUSTED))
            else:
                load_with(path, self.sandbox)
        return _scope(self.suite, tuple(self.columns.items()), self.outcome, REGISTRY.version)

    def shown(self, diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
        """The diagnostics that the settings neither ignore nor leave out; errors always."""
        return tuple(
            d
            for d in diagnostics
            if d.severity == "error"
            or (
                not d.code.startswith(self.ignore)
                and (self.select is None or d.code.startswith(self.select))
            )
        )


@cache
def _scope(
    suite: str | None, columns: tuple[tuple[str, str], ...], outcome: str | None, version: int
) -> Scope:
    """The scope, made again when the registry of custom primitives has moved to a new version."""
    return build_scope(suite, dict(columns), outcome)


@record
class Project:
    """The settings of one pyproject.toml: for all files, and by pattern."""

    path: Path
    settings: Settings
    files: tuple[tuple[str, Mapping[str, Any]], ...] = ()

    def of(self, file: Path) -> Settings:
        """The settings of a file below the project; of several patterns that fit, later ones win.

        A pattern is relative to the folder of pyproject.toml; its `*` also matches `/`.
        """
        settings = self.settings
        below = self.path.parent
        if file.is_relative_to(below):
            name = file.relative_to(below).as_posix()
            for pattern, given in self.files:
                if fnmatchcase(name, pattern):
                    settings = settings.over(given)
        return settings


def find_project(folder: Path) -> Project | None:
    """The project whose pyproject.toml with a [tool.derl] table is nearest to `folder`.

    Raises ProjectError when that table cannot be used.
    """
    for above in (folder, *folder.parents):
        file = above / "pyproject.toml"
        try:
            stamp = file.stat().st_mtime_ns
        except OSError:
            continue
        found = _read(file, stamp)
        if found is not None:
            return found
    return None


def settings_of(path: str, text: str = "") -> Settings:
    """The settings of a reward file: its project's, and those of its header.

    The header is the comments above the first statement. Its lines `# suite: NAME`,
    `# column: NAME: TYPE` and `# outcome: EXPRESSION` are settings.
    A text without a file (`<stdin>`, `<expression>`) has those of the current folder.
    Raises ProjectError.
    """
    file = Path(path).absolute() if not path.startswith("<") else None
    project = find_project(file.parent if file else Path.cwd())
    settings = Settings()
    if project is not None:
        settings = project.of(file) if file else project.settings
    return header_settings(path, text, settings)


def header_settings(path: str, text: str, settings: Settings | None = None) -> Settings:
    """Settings with those of a reward's header over them. Raises ProjectError."""
    settings = settings or Settings()
    header = header_of(text)
    if header == Header():
        return settings
    given = {"suite": header.suite, "outcome": header.outcome}
    settings = settings.over({key: value for key, value in given.items() if value is not None})
    settings = replace(settings, columns={**settings.columns, **header.columns})
    try:
        settings.scope()
    except ValueError as error:
        raise ProjectError(f"{path}: {error}") from None
    return settings


@cache
def _read(file: Path, stamp: int) -> Project | None:
    """The project of a pyproject.toml; `stamp` is its time, so that edits are seen."""
    try:
        content = read_regular(file, _LARGEST)
    except OSError as error:
        raise ProjectError(f"cannot read {file}: {error.strerror}") from None
    if b"derl" not in content:
        return None
    import tomllib  # 5 ms that only a project with settings should cost

    try:
        table = tomllib.loads(content.decode()).get("tool", {}).get("derl")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProjectError(f"{file}: {error}") from None
    except RecursionError:
        raise ProjectError(f"{file}: it is nested too deeply") from None
    if table is None:
        return None
    if not isinstance(table, dict):
        raise ProjectError(f"{file}: tool.derl must be a table: [tool.derl]")
    patterns = table.pop("files", {})
    given = _settings(table, file, "tool.derl", ["files"])
    if "primitives" in given:
        given["primitives"] = tuple(
            f if f.startswith(TRUSTED) else str(file.parent / f) for f in given["primitives"]
        )
    if not isinstance(patterns, dict):
        raise ProjectError(f"{file}: [tool.derl] files: expected a table of patterns")
    files = []
    for pattern, table in patterns.items():
        name = f'tool.derl.files."{pattern}"'
        if not isinstance(table, dict):
            raise ProjectError(f'{file}: [{name}]: expected a table, such as {{ suite = "math" }}')
        for key in _WHOLE:
            if key in table:
                message = f"{key} holds for all files: move it to [tool.derl]"
                raise ProjectError(f"{file}: [{name}] {message}")
        files.append((pattern, _settings(table, file, name)))
    settings = Settings().over(given)
    return Project(file, settings, tuple(files))


def _settings(
    table: Mapping[str, Any], file: Path, name: str, more: Iterable[str] = ()
) -> dict[str, Any]:
    """The settings of one table, held to what the scope and the codes allow."""
    found = read_values(Settings, table, str(file), name, ProjectError, more)
    for key in ("ignore", "select"):
        _check_codes(found.get(key) or (), f"{file}: [{name}] {key}")
    try:
        Settings().over({k: v for k, v in found.items() if k in ("suite", "columns")}).scope()
    except ValueError as error:
        raise ProjectError(f"{file}: [{name}] {error}") from None
    return found


def _check_codes(entries: Iterable[str], where: str) -> None:
    """Codes or their beginnings; each must stand for at least one that is no error."""
    if entries:
        from derl_dsl.tools.catalogue import load_codes

        load_codes()
    for entry in entries:
        meant = [c for c in CODES.values() if entry and c.code.startswith(entry)]
        if not meant:
            near = did_you_mean(entry, CODES)
            raise ProjectError(f"{where}: no code begins with {entry!r}; {near}")
        if where.endswith("ignore") and all(c.severity == "error" for c in meant):
            raise ProjectError(f"{where}: {entry} is an error and cannot be ignored")


_PAGE = """\
# Settings of a project

`derl-dsl` reads `[tool.derl]` of the `pyproject.toml` nearest to a reward file:

```toml
[tool.derl]
suite = "math"
ignore = ["DRL506"]

[tool.derl.files]
"rewards/agent/*.derl" = { suite = "derl-agent" }
```

| key | meaning |
|---|---|
"""
_MORE = """\
| `files` | The same keys for the files that fit a pattern, relative to the folder of \
`pyproject.toml`; `*` also matches `/`, and later patterns win. |

Comments above the first statement set what one file needs: `# suite: math+length`, \
`# column: target: number[0, 4096]` (a line for each) and `# outcome: ok`. Flags win over those \
comments, they win over patterns, and those over `[tool.derl]`. Whoever names the suite \
names the columns and the outcome too: those of `[tool.derl]` belong to its own suite.

Errors can be neither ignored nor left out.
"""


def page() -> str:
    """The reference page of the settings."""
    rows = [f"| `{f.name}` | {f.metadata['doc']} |\n" for f in fields(Settings)]
    return _PAGE + "".join(rows) + _MORE
