"""Settings of a project: `[tool.derl]` of pyproject.toml, and the header of a reward file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from derl_dsl.elaborate.custom import REGISTRY, load_with
from derl_dsl.elaborate.scope import Scope, build_scope
from derl_grammar.diagnostics import CODES, Diagnostic
from derl_grammar.limits import LIMITS, Limits
from derl_runtime.sandbox_settings import SandboxSettings

_TOP = re.compile(r"\A(?:[ \t]*(?:#[^\n]*)?\r?(?:\n|\Z))*")
_HEADER = re.compile(
    r"^[ \t]*#[ \t]*(?:suite:[ \t]*(?P<suite>\S+)|outcome:[ \t]*(?P<outcome>\S.*?)"
    r"|column:[ \t]*(?P<column>[A-Za-z_]\w*)[ \t]*:[ \t]*(?P<type>\S.*?))[ \t\r]*$",
    re.M,
)


class ProjectError(ValueError):
    """A mistake in the settings; the message names the file and the mend."""


def _told(doc: str) -> dict[str, str]:
    return {"doc": doc}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a reward file is checked with."""

    suite: str | None = field(
        default=None,
        metadata=_told('Names the files may use: `"math"`, or several as `"math+length"`.'),
    )
    columns: Mapping[str, str] = field(
        default_factory=dict, metadata=_told('Types of further inputs: `{ ok = "bool" }`.')
    )
    outcome: str | None = field(
        default=None,
        metadata=_told("The input that says a rollout was right; default: the suite's."),
    )
    limits: str = field(
        default="default", metadata=_told('Size limits: `"default"`, or `"wide"` for long files.')
    )
    primitives: tuple[str, ...] = field(
        default=(),
        metadata=_told(
            "Files of untrusted primitives, relative to the folder of `pyproject.toml`: "
            '`["politeness.py"]`. They run in the sandbox; only in `[tool.derl]` itself.'
        ),
    )
    sandbox: SandboxSettings = field(
        default_factory=SandboxSettings,
        metadata=_told(
            'How they run: `{ engine = "restricted", level = "standard", deadline = 2.0, '
            "memory = 512, workers = 0 }`; engines are `restricted` and `monty`, levels `strict`, "
            "`standard`, `reduced` and `none`, the deadline is in seconds a batch, memory in "
            "megabytes a worker, 0 workers is one a core. Only in `[tool.derl]` itself."
        ),
    )
    ignore: tuple[str, ...] = field(
        default=(),
        metadata=_told('Warnings and infos to hide, as codes or beginnings: `["DRL506"]`.'),
    )
    select: tuple[str, ...] | None = field(
        default=None, metadata=_told('The only warnings and infos to show: `["DRL3", "DRL511"]`.')
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


@dataclass(frozen=True, slots=True)
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
    given, columns = _header(text)
    if not given and not columns:
        return settings
    settings = settings.over(given)
    settings = replace(settings, columns={**settings.columns, **columns})
    try:
        settings.scope()
    except ValueError as error:
        raise ProjectError(f"{path}: {error}") from None
    return settings


def _header(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Suite and outcome, and columns, of the comments above the first statement; the first wins."""
    given: dict[str, str] = {}
    columns: dict[str, str] = {}
    top = _TOP.match(text)
    for line in _HEADER.finditer(text, 0, top.end() if top else 0):
        if line["column"]:
            columns[line["column"]] = line["type"]
        else:
            kind = str(line.lastgroup)
            given.setdefault(kind, line[kind])
    return given, columns


@cache
def _read(file: Path, stamp: int) -> Project | None:
    """The project of a pyproject.toml; `stamp` is its time, so that edits are seen."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ProjectError(f"cannot read {file}: {error.strerror}") from None
    if b"derl" not in content:
        return None
    import tomllib  # 5 ms that only a project with settings should cost

    try:
        table = tomllib.loads(content.decode()).get("tool", {}).get("derl")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProjectError(f"{file}: {error}") from None
    if table is None:
        return None
    if not isinstance(table, dict):
        raise ProjectError(f"{file}: tool.derl must be a table: [tool.derl]")
    patterns = table.pop("files", {})
    where = f"{file}: [tool.derl]"
    custom = _custom(table, where, file.parent)
    settings = Settings().over({**_settings(table, where, ["files"]), **custom})
    if not isinstance(patterns, dict):
        raise ProjectError(f"{where} files must be a table of patterns")
    files = []
    for pattern, given in patterns.items():
        at = f"{file}: [tool.derl.files] {pattern!r}"
        if not isinstance(given, dict):
            raise ProjectError(f'{at} must be a table, such as {{ suite = "math" }}')
        files.append((pattern, _settings(given, at, [])))
    return Project(file, settings, tuple(files))


def _custom(table: dict[str, Any], where: str, folder: Path) -> dict[str, Any]:
    """The settings of custom primitives, taken out of the table; paths are those of the project."""
    found: dict[str, Any] = {}
    if "primitives" in table:
        files = table.pop("primitives")
        if not isinstance(files, list) or not all(isinstance(f, str) for f in files):
            raise ProjectError(f'{where} primitives must be a list of files, such as ["mine.py"]')
        found["primitives"] = tuple(str(folder / f) for f in files)
    if "sandbox" in table:
        given = table.pop("sandbox")
        if not isinstance(given, dict):
            raise ProjectError(f'{where} sandbox must be a table: {{ level = "standard" }}')
        try:
            found["sandbox"] = SandboxSettings.of(given)
        except ValueError as error:
            raise ProjectError(f"{where} sandbox: {error}") from None
    return found


def _settings(table: Mapping[str, Any], where: str, more: list[str]) -> dict[str, Any]:
    """The settings of one table, each with the right type."""
    known = [f.name for f in fields(Settings)]
    found: dict[str, Any] = {}
    for key, value in table.items():
        at = f"{where} {key}"
        if key not in known:
            raise ProjectError(f"{where} unknown key {key!r}; {_near(key, [*known, *more])}")
        if key in ("primitives", "sandbox"):
            raise ProjectError(f"{where} {key} holds for all files: move it to [tool.derl]")
        if key in ("ignore", "select"):
            found[key] = _codes(value, at)
        elif key == "columns":
            if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
                raise ProjectError(f'{at} must map names to types: {{ g1 = "number[0, 1]" }}')
            found[key] = value
        elif not isinstance(value, str):
            raise ProjectError(f"{at} must be a text, not {value!r}")
        else:
            found[key] = value
    if found.get("limits", "default") not in LIMITS:
        near = _near(found["limits"], list(LIMITS))
        raise ProjectError(f"{where} limits: unknown limits {found['limits']!r}; {near}")
    try:
        Settings().over({k: v for k, v in found.items() if k in ("suite", "columns")}).scope()
    except ValueError as error:
        raise ProjectError(f"{where} {error}") from None
    return found


def _codes(value: Any, where: str) -> tuple[str, ...]:
    """Codes or their beginnings; each must stand for at least one that is no error."""
    from derl_dsl.tools.catalogue import load_codes

    load_codes()
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise ProjectError(f'{where} must be a list of codes, such as ["DRL306", "DRL5"]')
    for entry in value:
        meant = [c for c in CODES.values() if entry and c.code.startswith(entry)]
        if not meant:
            raise ProjectError(f"{where}: no code begins with {entry!r}; {_near(entry, CODES)}")
        if where.endswith("ignore") and all(c.severity == "error" for c in meant):
            raise ProjectError(f"{where}: {entry} is an error and cannot be ignored")
    return tuple(value)


def _near(name: str, known: Iterable[str]) -> str:
    import difflib

    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {found[0]!r}?" if found else f"one of {', '.join(known)}"


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
