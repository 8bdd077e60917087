"""Message lists of trainers and logs: what the assistant said is paid, and every column is read."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import derl_dsl
from derl_dsl.adapters.rows import score_rows
from derl_primitives.suites import SUITES
from derl_runtime.batch import Batch
from derl_runtime.conversations import COLUMNS, messages_of, text_of
from derl_runtime.data import read_logs
from derl_runtime.reading import ColumnError


@dataclass
class Function:
    name: str
    arguments: str


@dataclass
class ToolCall:
    function: Function
    type: str = "function"


@dataclass
class Said:
    """A message as client libraries give it: an object, not a mapping."""

    role: str
    content: Any
    tool_calls: list[ToolCall] = field(default_factory=list)


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def said(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


def tool(content: Any) -> dict[str, Any]:
    return {"role": "tool", "content": content, "tool_call_id": "1"}


CALL = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"b": 2, "a": 1}'}}
TEXTS = [
    ([said("4")], "4"),
    ([user("2+2?"), said("4")], "4"),
    ([said("4"), tool("5")], "4"),
    ([said("so 4"), said(None, tool_calls=[CALL]), tool("#### 5")], "so 4"),
    ([tool("5")], ""),
    ([user("5")], ""),
    ([], ""),
    ([said([{"type": "text", "text": "#### "}, {"type": "text", "text": "4"}])], "#### 4"),
    ([said([{"type": "image_url", "image_url": {}}, {"type": "text", "text": "4"}])], "4"),
    ([said([{"type": "thinking", "thinking": "5"}, {"type": "text", "text": "4"}])], "4"),
    ([said(["4", " it is"])], "4 it is"),
    ([Said("assistant", "4")], "4"),
    ([Said("user", "x"), Said("assistant", None), Said("tool", "5")], ""),
    ([{"content": "4"}], "4"),
    (said("4"), "4"),
    ([{"type": "text", "text": "4"}], "4"),
    ([said({"type": "text", "text": "4"})], "4"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "text"), TEXTS)
def test_the_completion_is_what_the_assistant_said_last(value: Any, text: str) -> None:
    assert text_of("completion", value) == text
    reward = derl_dsl.compile('1 * (completion == "4") + 0.5 * (completion == "5")',
                              columns={"completion": "text"})  # fmt: skip
    expected = 1.0 if text == "4" else 0.0
    scores = reward.score({"completion": [value]})
    assert (scores.values.tolist(), scores.faults) == ([expected], [])
    assert reward(completions=[value]) == [expected]
    assert score_rows(reward, [{"completion": value}]).values == [expected]


def test_a_tools_text_is_never_paid() -> None:
    reward = derl_dsl.compile("1 * exact(completion, answer)", suite="math")
    rows = [[said("no idea"), tool("#### 4")], [said("#### 4"), tool("#### 5")]]
    assert reward(completions=rows, answer=["4", "4"]) == [0.0, 1.0]


@pytest.mark.parametrize(
    ("gold", "value"),
    [(4, 1.0), (4.0, 1.0), ("4", 1.0), (["4"], 1.0), ([4], 1.0), (np.int64(4), 1.0), (4.5, 0.0),
     (None, None), ({"a": 4}, None), (["4", "5"], 1.0), (["3", 5], 0.0), (["4", None], None),
     ([], None), (float("nan"), None)],
)  # fmt: skip
def test_golds_of_any_kind_are_read_and_the_rest_is_a_fault(gold: Any, value: Any) -> None:
    reward = derl_dsl.compile("1 * exact(completion, answer)", suite="math")
    scored = reward.score({"completion": ["#### 4", "#### 7"], "answer": [gold, "7"]})
    first, second = scored.values.tolist()
    assert (None if first != first else first, second) == (value, 1.0)
    assert bool(scored.faults) == (value is None)


def test_lists_of_golds() -> None:
    reward = derl_dsl.compile("1 * any(exact(completion, answers))",
                              columns={"answers": "list[text]"}, suite="math")  # fmt: skip
    golds = [["3", 4], "4", 4, np.array(["4"]), [], [None]]
    scores = reward.score({"completion": ["#### 4"] * 6, "answers": golds})
    assert scores.values[:5].tolist() == [1, 1, 1, 1, 0]
    assert scores.failed.tolist() == [False] * 5 + [True]


def test_a_column_without_any_text_is_an_error() -> None:
    reward = derl_dsl.compile("1 * exact(completion, answer)", suite="math")
    with pytest.raises(ColumnError, match="row 0 holds dict"):
        reward.score({"completion": [{"a": 1}], "answer": ["4"]})


TALK = [
    {"role": "system", "content": "Add."},
    user("1+2?"),
    said(None, tool_calls=[CALL], reasoning_content="I add."),
    tool("3"),
    said("#### 3", finish_reason="stop"),
]
COLUMNS_OF_TALK = {
    "completion": "#### 3",
    "roles": ["system", "user", "assistant", "tool", "assistant"],
    "contents": ["Add.", "1+2?", "", "3", "#### 3"],
    "reasoning": "I add.",
    "tool_calls": ['{"arguments":{"a":1,"b":2},"name":"add"}'],
    "tool_names": ["add"],
    "tool_arguments": ['{"a":1,"b":2}'],
    "tool_results": ["3"],
    "truncated": False,
}


def test_the_columns_of_a_conversation() -> None:
    assert COLUMNS_OF_TALK.keys() == COLUMNS.keys()
    messages = messages_of(TALK)
    assert {name: read(messages) for name, read in COLUMNS.items()} == COLUMNS_OF_TALK


@pytest.mark.parametrize(
    "message",
    [
        said("", tool_calls=[CALL]),
        said("", tool_calls=[{"name": "add", "arguments": {"a": 1, "b": 2}}]),
        said("", function_call={"name": "add", "arguments": '{"a": 1, "b": 2}'}),
        said([{"type": "tool_use", "id": "1", "name": "add", "input": {"a": 1, "b": 2}}]),
        Said("assistant", None, [ToolCall(Function("add", '{"a":1,"b":2}'))]),
    ],
)
def test_a_call_looks_alike_whoever_wrote_it(message: Any) -> None:
    (found,) = messages_of([message])
    assert found.calls == ('{"arguments":{"a":1,"b":2},"name":"add"}',)


def test_results_in_parts_and_arguments_that_are_no_json() -> None:
    result = {"type": "tool_result", "content": [{"type": "text", "text": "3"}]}
    broken = {"function": {"name": "add", "arguments": "{1, 2"}}
    (found,) = messages_of([{"role": "user", "content": [result]}])
    assert (found.text, found.results) == ("", ("3",))
    (found,) = messages_of([said("", tool_calls=[broken])])
    assert json.loads(found.calls[0]) == {"arguments": "{1, 2", "name": "add"}


CHAT = """\
right = exact(completion, answer)
called = call_similarity(tool_calls, json_list(wanted, ""))
polite = 0.1 * (first(roles) == "assistant") - 0.2 * truncated - 0.1 * (count(tool_calls) > 3)
reward = 1 * right + 0.5 * default(called, 0) + polite
"""


def test_the_suite_over_every_door(tmp_path: Any) -> None:
    reward = derl_dsl.compile(CHAT, suite="chat+math", columns={"wanted": "text"})
    wanted = '[{"name": "add", "arguments": {"a": 1, "b": 2}}]'
    talk, expected = TALK[2:], 1.6
    others = {"answer": "3", "wanted": wanted}
    columns = {name: [value] for name, value in others.items()}
    assert reward(completions=[talk], **columns) == [expected]
    assert reward.score({"completion": [talk], **columns}).values.tolist() == [expected]
    assert reward.score({"messages": [talk], **columns}).values.tolist() == [expected]
    assert score_rows(reward, [{"completion": talk, **others}]).values == [expected]
    log = tmp_path / "log.jsonl"
    log.write_text(json.dumps({"messages": talk, **others}) + "\n")
    rows = read_logs(log)
    assert rows["completion"] == ["#### 3"]
    assert reward.score(rows).values.tolist() == [expected]


def test_a_text_is_a_conversation_of_one_message() -> None:
    reward = derl_dsl.compile("count(roles) + 2 * count(tool_names)", suite="chat")
    assert reward.score({"completion": ["hello"]}).values.tolist() == [1.0]


def test_truncated_is_a_missing_end_token() -> None:
    reward = derl_dsl.compile("1 - 0.5 * truncated", suite="chat")
    ids = {"completion": ["a", "b", "c"], "completion_ids": [[1, 2], [1], []]}
    assert reward.score({**ids, "eos_token_id": 2}).values.tolist() == [1.0, 0.5, 0.5]
    by_row = {**ids, "eos_token_id": [[1, 2], [1], [1]]}
    assert reward.score(by_row).values.tolist() == [1.0, 1.0, 0.5]
    assert reward.score({**ids, "truncated": [True, False, False]}).values.tolist() == [0.5, 1, 1]
    cut = [[said("4", finish_reason="length")], [said("4", finish_reason="stop")]]
    assert reward.score({"completion": cut}).values.tolist() == [0.5, 1.0]
    with pytest.raises(ColumnError, match="'truncated'"):
        reward.score({"completion": ["a"]})


def test_hostile_messages_are_read_or_are_a_fault() -> None:
    deep: Any = "x"
    for _ in range(3000):
        deep = [deep]
    nested: Any = {"type": "tool_result", "content": "x"}
    for _ in range(3000):
        nested = {"type": "tool_result", "content": [nested]}
    odd = [
        said(deep), said(7), said([nested]), said("", tool_calls=[{}, None, 3]),
        said("", tool_calls=5), said("", tool_calls=np.array([CALL, CALL])),
        {"role": None, "content": None},
    ]  # fmt: skip
    batch = Batch({"completion": [[m] for m in odd]})
    for name in COLUMNS:
        if name != "truncated":
            batch.read(name, SUITES["chat"].columns[name])


def test_lists_of_a_conversation_do_not_go_together_step_by_step() -> None:
    found = derl_dsl.check('1 * any((roles == "tool") and (tool_names == "add"))', suite="chat")
    assert [d.code for d in found if d.severity == "error"] == ["DRL208"]
