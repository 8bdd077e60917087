"""Rollouts that trainers dump are recognised by content, and the command says what it took."""

from __future__ import annotations

import doctest
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from derl_dsl.cli.eval import eval_command
from derl_runtime import dumps
from derl_runtime.data import DataError, read_logs


def lines(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def verl(step: int, gold="4") -> list[dict]:
    return [
        {"input": "2+2=", "output": text, "gts": gold, "score": 1.0, "step": step, "acc": 1.0}
        for text in ("\\boxed{4}", "\\boxed{5}")
    ]


def test_a_part_of_a_dump_without_golds(tmp_path):
    rows = verl(3) + [{"input": "q", "output": "a" * 1000, "score": 0.0, "step": 3}] * 4000
    found = read_logs(lines(tmp_path / "3.jsonl", rows))
    assert found["answer"] == ["4"] * len(verl(3)) + [None] * 4000
    assert found["completion"][-1] == "a" * 1000


def test_verl(tmp_path):
    notes: list[str] = []
    found = read_logs(lines(tmp_path / "3.jsonl", verl(3)), notes.append)
    assert found["completion"] == ["\\boxed{4}", "\\boxed{5}"]
    assert (found["prompt"][0], found["answer"]) == ("2+2=", ["4", "4"])
    assert notes == [f"{tmp_path}/3.jsonl: verl rollouts: input, output, gts read as prompt, "
                     "completion, answer"]  # fmt: skip
    fields = read_logs(lines(tmp_path / "4.jsonl", verl(4, {"answer": "4", "level": 2})))
    assert (fields["answer"], fields["level"]) == (["4", "4"], [2, 2])


def test_a_folder_of_steps_in_the_order_of_their_numbers(tmp_path):
    for step in (10, 9, 2):
        lines(tmp_path / f"{step}.jsonl", verl(step))
    (tmp_path / "notes.txt").write_text("no data")
    assert read_logs(tmp_path)["step"] == [2, 2, 9, 9, 10, 10]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="is a folder without data files"):
        read_logs(tmp_path / "empty")


def test_trl(tmp_path):
    path = tmp_path / "completions_00001.parquet"
    table = {"step": ["1", "1"], "prompt": ["2+2=", "2+2="], "completion": ["4", "5"],
             "exact": [1.0, None], "advantage": [0.7, -0.7]}  # fmt: skip
    pq.write_table(pa.table(table), path)
    notes: list[str] = []
    assert read_logs(path, notes.append) == table
    assert notes == [f"{path}: TRL's logged completions: read as step, prompt, completion, exact, "
                     "advantage"]  # fmt: skip


def trace(text: str, **more) -> dict:
    return {
        "task": {"type": "T", "data": {"idx": 0, "prompt": "2+2=", "answer": "4", "image": None}},
        "nodes": [
            {"message": {"role": "user", "content": "2+2="}, "sampled": False},
            {"message": {"role": "assistant", "content": "shown"}, "sampled": False},
            {"message": {"role": "assistant", "content": text}, "sampled": True},
        ],
        "rewards": {"right": {"score": 0.5, "weight": 2.0}, "late": None},
        "metrics": {"length": 3.0},
        "ok": True,
        **more,
    }


def test_verifiers(tmp_path):
    alone = read_logs(lines(tmp_path / "a.jsonl", [trace("4"), trace("5")]))
    assert alone["completion"] == ["4", "5"]
    assert (alone["prompt"][0], alone["answer"][0]) == ("2+2=", "4")
    assert (alone["reward_right"], alone["reward_late"]) == ([1.0, 1.0], [None, None])
    episode = {"task": trace("")["task"], "ok": True,
               "traces": [trace("4"), trace("5", stop_condition="max_output_tokens")]}  # fmt: skip
    found = read_logs(lines(tmp_path / "traces.jsonl", [episode]))
    assert found["completion"] == ["4", "5"]
    assert found["truncated"] == [False, True]


def test_other_rows_are_left_as_they_are(tmp_path):
    notes: list[str] = []
    rows = [{"input": "a", "output": "b"}]
    assert read_logs(lines(tmp_path / "r.jsonl", rows), notes.append) == {
        "input": ["a"], "output": ["b"],
    }  # fmt: skip
    assert notes == []


def test_a_command_says_what_it_took(tmp_path):
    app = typer.Typer()
    app.command()(eval_command)
    data = lines(tmp_path / "3.jsonl", verl(3))
    told = ["-e", "exact(completion, answer)", "-s", "math", "--data", str(data)]
    result = CliRunner().invoke(app, told)
    assert result.exit_code == 0, result.output
    assert "verl rollouts: input, output, gts read as prompt, completion, answer" in result.stderr


def test_an_extra_of_our_name_does_not_stand_for_the_gold(tmp_path):
    rows = [{**row, "answer": "what was found"} for row in verl(3)]
    notes: list[str] = []
    found = read_logs(lines(tmp_path / "3.jsonl", rows), notes.append)
    assert found["answer"] == ["4", "4"]
    assert notes[0].endswith("read as prompt, completion, answer; its own answer left out")


def test_a_grader_is_no_rows(tmp_path):
    grader = {"type": "string_check", "operation": "eq", "input": "{{sample.output_text}}"}
    grader["reference"] = "{{item.answer}}"
    path = tmp_path / "g.json"
    path.write_text(json.dumps(grader))
    with pytest.raises(
        DataError, match=r"OpenAI grader, which is no rows; derl-dsl import .*g\.json"
    ):
        read_logs(path)
    path.write_text(json.dumps([{**grader, "completion": "a"}]))
    assert read_logs(path)["operation"] == ["eq"]


def test_a_dump_of_a_kind_nobody_knows_says_how_to_name_its_columns(tmp_path):
    app = typer.Typer()
    app.command()(eval_command)
    data = lines(tmp_path / "r.jsonl", [{"response": "4", "label": "4"}])
    told = ["-e", "exact(completion, answer)", "-s", "math", "--data", str(data)]
    result = CliRunner().invoke(app, told)
    assert result.exit_code == 2
    assert result.stderr.endswith("--column NAME:completion says which of them it is\n")
    again = CliRunner().invoke(app, [*told, "-c", "response:completion", "-c", "label:answer"])
    assert again.exit_code == 0, again.output


def test_examples():
    assert doctest.testmod(dumps).failed == 0
