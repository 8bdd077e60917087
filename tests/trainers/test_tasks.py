"""Tasks from data: public formats, splits that do not leak, mistakes named with file and line."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("datasets")
pytest.importorskip("reasoning_gym")

from derl_primitives.correctness import exact
from derl_runtime.data import write_rows
from derl_trainers.tasks.base import Task, TaskError
from derl_trainers.tasks.data import DataSection, hub_rows, load_data_task


def load(name: str, data: str, test: str = "", columns: tuple[str, ...] = (), **more: Any) -> Task:
    return load_data_task(name, DataSection(data, test, **more), columns)


def lines(path: Path, rows: list[Any]) -> str:
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows) + "\n")
    return str(path)


def sums(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"prompt": f"{i}+1=?", "answer": i + 1} for i in range(start, start + count)]


def test_gsm8k_in_its_public_format(shared_data: Path) -> None:
    folder = shared_data / "gsm8k"
    task = load("gsm8k", str(folder / "train.jsonl"), str(folder / "test.jsonl"))
    assert (len(task.train), len(task.validation), len(task.test)) == (5978, 1495, 1319)
    prompts = [e.prompt for e in (*task.train, *task.validation, *task.test)]
    assert len(set(prompts)) == len(prompts)
    natalia = next(e for e in (*task.train, *task.validation) if "Natalia sold clips" in e.prompt)
    assert natalia.answer == "72"
    assert natalia.prompt.endswith("final answer in \\boxed{}.")
    rows = [json.loads(line) for line in (folder / "train.jsonl").open(encoding="utf-8")]
    # Every gold answer that is read is the one that the solution itself arrives at.
    golds = {row["question"]: row["answer"] for row in rows}
    kept = [*task.train, *task.validation]
    solutions = [golds[e.prompt.partition("\n\nReason step")[0]] for e in kept]
    assert exact(completion=solutions, answer=[e.answer for e in kept]).all()


@pytest.mark.parametrize("shape", ["folder", "list", "lines"])
def test_math_golds_are_the_last_box(tmp_path: Path, shape: str) -> None:
    solutions = [r"so \boxed{1}, no: $\boxed{\frac{1}{2}}$.", r"\boxed{\{3, 4\}}", r"\boxed{x+1}"]
    rows = [{"problem": f"p{i}", "level": "1", "solution": s} for i, s in enumerate(solutions)]
    source = tmp_path / {"folder": "train", "list": "a.json", "lines": "a.jsonl"}[shape]
    if shape == "folder":
        for i, row in enumerate(rows):
            file = source / "algebra" / f"{i}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(row, indent=2))
    elif shape == "list":
        source.write_text(json.dumps(rows, indent=2))
    else:
        lines(source, rows)
    task = load("math", str(source))
    golds = {e.prompt.partition("\n")[0]: e.answer for e in (*task.train, *task.validation)}
    assert golds == {"p0": r"\frac{1}{2}", "p1": r"\{3, 4\}", "p2": "x+1"}
    assert (len(task.train), len(task.validation), task.test) == (2, 1, ())


def test_rows_with_names_and_columns_of_their_own(tmp_path: Path) -> None:
    rows = [{"q": f"{i}?", "gold": i / 2, "level": i} for i in range(10)]
    task = load(
        "rows", lines(tmp_path / "a.jsonl", rows), prompt="q", answer="gold",
        template="Q: {prompt}\nA:", columns=("level", "answer"),
    )  # fmt: skip
    found = {e.prompt: (e.answer, dict(e.columns)) for e in (*task.train, *task.validation)}
    assert found["Q: 3?\nA:"] == ("1.5", {"level": 3})
    assert len(found) == 10


def test_the_split_is_a_matter_of_content_and_seed(tmp_path: Path) -> None:
    rows = sums(50)
    task = load("rows", lines(tmp_path / "a.jsonl", rows))
    random.Random(1).shuffle(rows)
    again = load("rows", lines(tmp_path / "b.jsonl", rows))
    assert (task.train, task.validation) == (again.train, again.validation)
    assert (len(task.train), len(task.validation)) == (40, 10)
    other = load("rows", str(tmp_path / "b.jsonl"), seed=1)
    assert {e.prompt for e in other.validation} != {e.prompt for e in task.validation}
    small = load("rows", str(tmp_path / "b.jsonl"), size=10)
    assert small.train + small.validation == (task.train + task.validation)[:10]


def test_no_prompt_is_on_two_sides(tmp_path: Path) -> None:
    train = lines(tmp_path / "a.jsonl", [*sums(20), *sums(3)])
    test = lines(tmp_path / "t.jsonl", sums(5, start=18))
    task = load("rows", train, test)
    seen = [e.prompt for e in (*task.train, *task.validation, *task.test)]
    assert len(set(seen)) == len(seen) == 23
    assert len(task.test) == 5
    assert task.left_out == 5  # three repeats, two that the test set has


def test_a_hub_data_set_is_read_by_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    lines(tmp_path / "train.jsonl", sums(3))
    lines(tmp_path / "test.jsonl", sums(2, start=9))
    rows = hub_rows(str(tmp_path), "test", None)
    assert rows.column("answer", "answer") == [10, 11]
    assert rows.place(1) == f"{tmp_path} (test), row 2"
    with pytest.raises(TaskError, match="split 'dev' cannot be loaded"):
        hub_rows(str(tmp_path), "dev", None)


GOOD = {"question": "1+1?", "answer": "#### 2"}


@pytest.mark.parametrize(
    ("rows", "spec", "said"),
    [
        (
            [GOOD, "", {"question": "a", "answer": "2"}],
            {},
            "a.jsonl:3: 'answer' has no gold",
        ),
        ([GOOD, {"question": " ", "answer": "2"}], {}, "a.jsonl:2: 'question' is no text"),
        ([GOOD, {"question": "a"}], {}, "a.jsonl:2: 'answer' is no text: fix or drop the row"),
        ([GOOD, "{"], {}, "a.jsonl:2: not valid JSON"),
        ([GOOD], {"prompt": "qestion"}, "no column 'qestion'; did you mean 'question'?"),
        ([GOOD], {"prompt": "text"}, "columns: question, answer; prompt in [task] names another"),
        ([GOOD], {"columns": ("level",)}, "a.jsonl:1: no column 'level'"),
        ([GOOD], {"template": "hi"}, "write {prompt} where the problem goes"),
        ([GOOD, GOOD], {}, "1 distinct problems"),
        ([GOOD], {"test": "tset.jsonl"}, "tset.jsonl: no such file"),
        (
            [{"problem": "a", "solution": "is 3"}] * 2,
            {"name": "math"},
            "a.jsonl:1: 'solution' has no gold answer in \\boxed{}",
        ),
    ],
)
def test_mistakes_name_file_and_line(
    tmp_path: Path, rows: list[Any], spec: dict[str, Any], said: str
) -> None:
    path = lines(tmp_path / "a.jsonl", rows)
    with pytest.raises(TaskError) as error:
        load(**{"name": "gsm8k", "data": path, **spec})
    assert said in str(error.value)


def test_mistakes_in_other_files(tmp_path: Path) -> None:
    lines(tmp_path / "train.jsonl", sums(2))
    with pytest.raises(TaskError, match=r"did you mean .*train\.jsonl\?"):
        load("rows", str(tmp_path / "trian.jsonl"))
    write_rows(tmp_path / "a.parquet", {"prompt": ["a", "b"], "answer": ["1", " "]})
    with pytest.raises(TaskError, match=r"a\.parquet, row 2: 'answer' is empty"):
        load("rows", str(tmp_path / "a.parquet"))
    (tmp_path / "b.json").write_text('[{"problem": 1,\n]')
    with pytest.raises(TaskError, match=r"b\.json:2: not valid JSON"):
        load("math", str(tmp_path / "b.json"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(TaskError, match=r"no \.json file in this folder"):
        load("math", str(tmp_path / "empty"))
