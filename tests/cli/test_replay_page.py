"""The page of `derl-dsl replay --html`: what it marks, which groups it shows, and that texts are
never more than texts."""

from __future__ import annotations

import doctest
import json
from html.parser import HTMLParser

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import derl_dsl
from derl_dsl.cli.replay import replay_command
from derl_dsl.tools.replay import chosen, curves, marks
from derl_dsl.tools.replay.chosen import chosen_groups
from derl_dsl.tools.replay.marks import marks_of

APP = typer.Typer()
APP.command()(replay_command)
HOSTILE = (
    "</pre></article></details><script>alert(1)</script><img src=x onerror=alert(2)>"
    "\x1b[2J\u202e\"' onmouseover='alert(3)' <style>*{display:none}</style> #### 5"
)


def marked(text, completion, answer="42", **columns):
    """The pieces of a completion that are marked, by input."""
    reward = derl_dsl.compile(text, suite="math+format", columns=columns or None)
    rows = {"completion": [completion], "answer": [answer]}
    graph = reward.graph
    nodes = [i for i in graph.inputs(graph.roots()) if graph.nodes[i].op == "input"]
    sources = [graph.source(i) for i in nodes]
    scores = reward.score(rows, group_size=1)
    values = [scores.inputs[str(s)] for s in sources]
    (found,) = marks_of(sources, rows, [completion], values)
    return {(str(sources[m.input]), completion[m.start : m.end]) for m in found}


@pytest.mark.parametrize(
    ("text", "completion", "spans"),
    [
        ("correct(completion, answer)", "First 41. The answer is 42.", {"42."}),
        ("correct(completion, answer)", "42? No: \\boxed{41}", {"41"}),
        ("exact(completion, answer)", "It is 42.\n#### 42", {"42"}),
        ("exact(completion, answer)", "It is 42.\n#### 7", set()),
        ('contains(completion, "so")', "so and so", {"so"}),
        ('count(completion, "=")', "1=1", {"="}),
        ('count_matches(completion, "[0-9]+")', "12 ab 345", {"12", "345"}),
        ('matches(completion, "^a+")', "aab a", {"aa"}),
        ("boxed(completion)", "x \\boxed{\\frac{1}{2}} y", {"\\boxed{\\frac{1}{2}}"}),
        ('words(last_block(completion, "think"))', "<think>hm</think> 4", {"<think>", "</think>"}),
        ('contains(last_block(completion, "answer"), "4")', "4 <answer>4</answer>",
         {"<answer>", "</answer>", "4"}),
        ("words(completion)", "a b c", set()),
    ],
)  # fmt: skip
def test_what_earned_a_part_is_marked(text, completion, spans):
    assert {span for _, span in marked(text, completion)} == spans


def test_a_span_read_out_of_a_block_is_marked_where_the_block_stands():
    reward = derl_dsl.compile(
        'contains(last_block(completion, "answer"), "4")', suite="math+format"
    )
    completion = "4 first <answer>4</answer>"
    source = reward.graph.source(reward.graph.inputs(reward.graph.roots())[0])
    (found,) = marks_of([source], {"completion": [completion]}, [completion], [[1.0]])
    assert completion.rindex("4") in {m.start for m in found}
    assert 0 not in {m.start for m in found}


def test_patterns_are_marked_in_linear_time():
    completion = "a" * 50_000 + "!"
    found = marked('matches(completion, "(a*)*b|!")', completion)
    assert {span for _, span in found} == {"!"}


def test_groups_that_tell_most_are_chosen():
    steps = np.repeat([1, 2], 8)
    groups = np.repeat([0, 1, 2, 3], 4)
    values = np.array([0, 0, 0, 0, 1, 0, 1, 5, 0, 0, 0, 0, 0, 0, 0, 9.0])
    right = np.array([0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1.0])
    found = chosen_groups(values, right, steps, groups)
    assert [rows.tolist() for rows in found] == [
        [0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15],
    ]  # fmt: skip


class Tags(HTMLParser):
    """All tags of a page, with their attributes."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]


def rollouts(path, texts):
    rows = [
        {"step": step, "prompt": texts[2], "answer": "4", "completion": text}
        for step in range(1, 13) for text in texts
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def page_of(tmp_path, texts, reward):
    data = rollouts(tmp_path / "rollouts.jsonl", texts)
    out = tmp_path / "page.html"
    result = CliRunner().invoke(
        APP, ["--run", str(data), "-e", reward, "-s", "math", "--html", str(out)]
    )
    assert result.exit_code == 0, result.output
    assert f"wrote {out}" in result.output.replace("\n", "")
    return out.read_text("utf-8")


REWARD = (
    'hack = contains(completion, "<script>")\nok = exact(completion, answer)\n'
    "reward = ok + 0.5 * hack"
)


def test_texts_of_rollouts_are_never_more_than_texts(tmp_path):
    hostile = page_of(tmp_path, ["#### 4", HOSTILE, "2+2 " + HOSTILE], REWARD)
    tags = Tags(hostile)
    plain = Tags(page_of(tmp_path, ["#### 4", "#### 5", "2+2 #### 5"], REWARD))
    assert set(tags.tags) - {"mark"} == set(plain.tags) - {"mark"}
    assert tags.tags.count("script") == 1
    assert {"img", "style"} & set(tags.tags) == {"style"}
    assert not [name for name in tags.attributes if name.startswith("on") and name != "only"]
    assert "\x1b" not in hostile
    assert "\u202e" not in hostile
    assert "script-src 'sha256-" in hostile
    assert "alert(1)&lt;/script&gt;" in hostile


def test_the_page_shows_groups_parts_and_the_wrong_ones_paid_above(tmp_path):
    text = (
        'hack = 2 * contains(completion, "so")\nok = exact(completion, answer)\nreward = ok + hack'
    )
    page = page_of(tmp_path, ["#### 4", "so #### 5", "2+2"], text)
    assert page.count("<details class=group") == 12
    assert 'class="rollout is-wrong above"' in page
    assert 'class="rollout is-right"' in page
    assert "<span>hack</span>" in page
    assert ">so</mark> #### 5" in page
    assert "<option value=12>12" in page


def test_examples():
    for module in (marks, chosen, curves):
        assert doctest.testmod(module).failed == 0
