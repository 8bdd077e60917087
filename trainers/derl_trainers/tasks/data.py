"""Tasks from data: GSM8K and MATH in their public formats, or any rows with prompt and answer.

A source is a local file (.jsonl, .parquet; for MATH also .json or its folder) or an id of the
Hugging Face hub. The rows are ordered by a hash of seed and prompt and split 8:2 into train and
validation, so the split does not depend on the order of the rows.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from derl_grammar.near import did_you_mean, nearest
from derl_grammar.settings import setting
from derl_primitives.answers import marked_answer
from derl_runtime.data import JSON_SUFFIXES, PARQUET_SUFFIXES, DataError, read_rows
from derl_trainers.tasks.base import TASK_COLUMNS, Example, Task, TaskError

_SOLVE = "{prompt}\n\nReason step by step, and put the final answer in \\boxed{}."
_SUFFIXES = (*JSON_SUFFIXES, *PARQUET_SUFFIXES)


@dataclass(frozen=True, slots=True)
class Format:
    """How the rows of a task name their prompt and answer, and how a gold answer is read."""

    prompt: str
    answer: str
    template: str
    hub: str = ""
    config: str | None = None
    gold: Callable[[str], str | None] = field(default=lambda text: text.strip() or None)
    lacks: str = "is empty"
    solution: Callable[[str, str], str] = field(default=lambda text, gold: text.strip())


def _after_hashes(text: str) -> str | None:
    """GSM8K's gold: what follows the last `####`."""
    _, hashes, after = text.rpartition("####")
    return (after.strip() or None) if hashes else None


def _boxed_solution(text: str, gold: str) -> str:
    """GSM8K's solution as the problem asks for it: no calculator's notes, the answer in a box."""
    steps = re.sub(r"<<.*?>>", "", text.rpartition("####")[0]).strip()
    return f"{steps}\n\\boxed{{{gold}}}"


def _last_box(text: str) -> str | None:
    r"""MATH's gold: the content of the last `\boxed{}`; its solutions mark nothing else."""
    return (marked_answer(text) or None) if "\\boxed" in text else None


FORMATS: Mapping[str, Format] = {
    "gsm8k": Format(
        "question",
        "answer",
        _SOLVE,
        "openai/gsm8k",
        "main",
        _after_hashes,
        "has no gold answer after ####",
        _boxed_solution,
    ),
    "math": Format(
        "problem",
        "solution",
        _SOLVE,
        "DigitalLearningGmbH/MATH-lighteval",
        None,
        _last_box,
        "has no gold answer in \\boxed{}",
    ),
    "rows": Format("prompt", "answer", "{prompt}"),
}


@dataclass(frozen=True, slots=True)
class DataSection:
    """Where the rows of a task lie, and how they are read; paths from the config's folder."""

    data: str = setting(
        "",
        "a .jsonl or .parquet file, a folder of MATH, or a hub id; empty is the public set's id",
    )
    test: str = setting("", "file or hub id of the test problems; of a hub id the split `test`")
    hub_config: str = setting("", "the configuration of a hub data set, such as `main`")
    prompt: str = setting("", "column of the problem; empty is the format's own, else `prompt`")
    answer: str = setting("", "column of the answer; empty is the format's own, else `answer`")
    template: str = setting(
        "", "what the policy reads, with `{prompt}` where the problem goes; empty is the format's"
    )
    size: int = setting(0, "problems of train and validation, split 8:2; 0 = all", least=0)
    test_size: int = setting(0, "problems of the test set; 0 = all", least=0)
    seed: int = setting(0, "of the split", least=0)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows as columns, and where each of them stands."""

    columns: Mapping[str, Sequence[Any]]
    source: str
    place: Callable[[int], str]

    def column(self, name: str, key: str) -> Sequence[Any]:
        """A column; TaskError with the nearest name and the setting that names it."""
        if name in self.columns:
            return self.columns[name]
        hint = did_you_mean(name, self.columns, "columns:")
        fix = f"; {key} in [task] names another" if key else ""
        raise TaskError(f"{self.place(0)}: no column {name!r}; {hint}{fix}")


def load_data_task(name: str, spec: DataSection, columns: Sequence[str] = ()) -> Task:
    """Read a task; its rows are checked, and none of the test prompts is in train or validation.

    `name` is of `FORMATS`; `columns` are what the reward reads beside prompt and answer. Rows with
    a prompt that occurred before are left out and counted. Raises TaskError.
    """
    form = FORMATS[name]
    source = spec.data or form.hub
    if not source:
        raise TaskError("the task has no data: name a .jsonl or .parquet file, or a hub id")
    pool = _examples(_rows(source, "train", spec, form), spec, form, columns)
    test: list[Example] = []
    if spec.test or not is_local(source):
        test = _examples(_rows(spec.test or source, "test", spec, form), spec, form, columns)
    seen: set[str] = set()
    test = _cut(_distinct(test, seen), spec.test_size, spec.seed)
    kept = _cut(_distinct(pool, seen), spec.size, spec.seed)
    if len(kept) < 2:
        raise TaskError(
            f"{source}: {len(kept)} distinct problems; the split into train and validation needs 2"
        )
    at = min(max(1, len(kept) * 8 // 10), len(kept) - 1)
    return Task(
        name=Path(source).stem if not form.hub else name,
        warmup=(),
        train=tuple(kept[:at]),
        validation=tuple(kept[at:]),
        test=tuple(test),
        left_out=len(pool) - len(_distinct(pool, {e.prompt for e in test})),
    )


def is_local(source: str) -> bool:
    """Whether a source is a file or a folder rather than an id of the hub."""
    path = Path(source).expanduser()
    local = source.startswith(("/", ".", "~")) or source.count("/") != 1
    return path.exists() or local or path.suffix in _SUFFIXES


def _rows(source: str, split: str, spec: DataSection, form: Format) -> _Rows:
    if not is_local(source):
        return hub_rows(source, split, spec.hub_config or form.config)
    path = Path(source).expanduser()
    if not path.exists():
        folder = path.parent
        names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
        near = nearest(path.name, names)
        hint = f"did you mean {folder / near}?" if near else "check the path"
        raise TaskError(f"{source}: no such file; {hint}")
    if path.is_dir() or (path.suffix == ".json" and not _is_lines(path)):
        return _json_rows(path)
    try:
        columns = read_rows(path)
    except DataError as error:
        raise TaskError(str(error)) from None
    return _Rows(columns, source, lambda row: _place(path, row))


def hub_rows(source: str, split: str, config: str | None) -> _Rows:
    """A split of a hub data set (or of a folder of data files); raises TaskError."""
    from datasets import load_dataset

    try:
        table = load_dataset(source, config, split=split)
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise TaskError(
            f"{source}: the split {split!r} cannot be loaded from the hub: {reason}; "
            "a local file works without it, as `data` in [task]"
        ) from error
    columns = {name: list(table[name]) for name in table.column_names}
    return _Rows(columns, source, lambda row: f"{source} ({split}), row {row + 1}")


def _is_lines(path: Path) -> bool:
    """Whether a .json file holds one object a line rather than one value."""
    with path.open("rb") as file:
        first = next((line for line in file if line.strip()), b"")
    try:
        return isinstance(json.loads(first), dict) and _more_lines(path)
    except ValueError:
        return False


def _more_lines(path: Path) -> bool:
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip()) > 1


def _json_rows(path: Path) -> _Rows:
    """MATH as it was published: a folder with a .json file a problem, or one file with a list."""
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    if not files:
        raise TaskError(f"{path}: no .json file in this folder")
    rows: list[dict[str, Any]] = []
    places: list[str] = []
    for file in files:
        try:
            value = json.loads(file.read_text("utf-8"))
        except UnicodeDecodeError:
            raise TaskError(f"{file}: not UTF-8; save it as UTF-8") from None
        except json.JSONDecodeError as error:
            raise TaskError(f"{file}:{error.lineno}: not valid JSON: {error.msg}") from None
        for number, row in enumerate(value if isinstance(value, list) else [value], 1):
            place = f"{file}, entry {number}" if isinstance(value, list) else str(file)
            if not isinstance(row, dict):
                raise TaskError(f'{place}: expected a JSON object, such as {{"problem": …}}')
            rows.append(row)
            places.append(place)
    if not rows:
        raise TaskError(f"{path}: holds no rows")
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in names}
    return _Rows(columns, str(path), places.__getitem__)


def _place(path: Path, row: int) -> str:
    """File and line of a row of JSON lines, blank lines counted; of Parquet, file and row."""
    if path.suffix.lower() in PARQUET_SUFFIXES:
        return f"{path}, row {row + 1}"
    with path.open("rb") as file:
        lines = [number for number, line in enumerate(file, 1) if line.strip()]
    return f"{path}:{lines[row]}"


def _examples(
    rows: _Rows, spec: DataSection, form: Format, columns: Sequence[str]
) -> list[Example]:
    template = spec.template or form.template
    if "{prompt}" not in template:
        raise TaskError("template in [task]: write {prompt} where the problem goes")
    prompt_name, answer_name = spec.prompt or form.prompt, spec.answer or form.answer
    prompts = rows.column(prompt_name, "prompt")
    answers = rows.column(answer_name, "answer")
    others = {name: rows.column(name, "") for name in columns if name not in TASK_COLUMNS}
    examples = []
    for i, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        if not isinstance(prompt, str) or not prompt.strip():
            raise TaskError(f"{rows.place(i)}: {prompt_name!r} is no text: fix or drop the row")
        if isinstance(answer, bool) or not isinstance(answer, str | int | float):
            raise TaskError(f"{rows.place(i)}: {answer_name!r} is no text: fix or drop the row")
        gold = form.gold(str(answer))
        if gold is None:
            raise TaskError(f"{rows.place(i)}: {answer_name!r} {form.lacks}: fix or drop the row")
        more = {name: values[i] for name, values in others.items()}
        solution = form.solution(str(answer), gold)
        examples.append(Example(template.replace("{prompt}", prompt), gold, more, "", solution))
    return examples


def _distinct(examples: Sequence[Example], seen: set[str]) -> list[Example]:
    """The first example of each prompt that is not in `seen`, which grows by them."""
    found = []
    for example in examples:
        if example.prompt not in seen:
            seen.add(example.prompt)
            found.append(example)
    return found


def _cut(examples: list[Example], size: int, seed: int) -> list[Example]:
    """`size` examples (0 = all) in an order that a hash of seed and prompt gives."""
    ordered = sorted(
        examples, key=lambda e: hashlib.sha256(f"{seed}\n{e.prompt}".encode()).digest()
    )
    return ordered[:size] if size else ordered
