"""Episodes in the store and on the page of a run: complete, escaped, filterable."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

import derl_dsl
from derl_trainers.inner.games import Rollout, columns_of
from derl_trainers.inner.records import records
from derl_trainers.report.episodes import episodes_section
from derl_trainers.tasks.environments.episodes import Episode, Move
from tests.environments.test_agents import Corridor

EVIL = "</td><script>alert(1)</script>\u202e <img src=x onerror=alert(2)>"


def played(*actions: str, level: str = "L0", fault: str = "") -> Rollout:
    environment = Corridor()
    turn = environment.reset("1")
    episode = Episode("hall/1", "door", level, turn.observation, fault=fault)
    for action in actions:
        episode.add(Move("", action), environment.step(action))
    return Rollout(episode)


def reward(text: str = "steps = gain(scores)\nwon = 1 * solved\nreward = 0.5 * won") -> Any:
    return derl_dsl.compile(text, suite="agent")


def rows(*found: dict[str, Any], formula: str = "g1") -> list[dict[str, Any]]:
    job = {"job": "final", "label": "outcome only", "formula": formula, "seed": 7}
    return [{**job, "episode": json.dumps(one)} for one in found]


def test_records_say_what_each_step_and_part_earned() -> None:
    trained = [played("wait", "go to hall"), played("wait", fault="it fell in")]
    compiled = reward()
    scores = compiled.score(columns_of(trained, "environment"))
    scored = [played("go to hall"), played("wait", level="L1"), played("wait", level="L1")]
    won, lost, *rest = records(trained, scores, scored, compiled, "environment")
    assert (won["solved"], won["reward"], won["parts"]["won"]) == (True, 0.5, 1.0)
    assert won["step_rewards"] == won["step_scores"] == [0.0, 1.0]
    assert (lost["solved"], lost["fault"], lost["reward"]) == (None, "it fell in", None)
    assert [(r["phase"], r["level"]) for r in rest] == [("scored", "L0"), *[("scored", "L1")] * 2]
    assert rest[0]["reward"] == 0.5
    grouped = reward("reward = solved - 0.1 * group_mean(1 * solved)")
    assert "reward" not in records([], None, scored, grouped, "environment")[0]
    assert json.loads(json.dumps(won)) == won


def test_a_page_holds_every_step_and_nothing_runs_in_it() -> None:
    rollout = played("wait", EVIL, "go to hall")
    rollout.episode.first = EVIL
    rollout.episode.kind = '"><b>'
    found = records([], None, [rollout, played("wait", level="L1")], reward(), "environment")
    page = "\n".join(episodes_section(rows(*found, formula="a < b & c")))
    assert "<script" not in page
    assert "<img" not in page
    assert "<b>" not in page.replace("<b>0", "").replace("<b>1", "")
    assert "\u202e" not in page
    assert page.count("<details class=episode") == 2
    assert len(re.findall(r"<tr><td class=num>\d", page)) == 4
    for name in ("reward", "kind", "level", "solved", "phase"):
        assert f"<select name={name}>" in page
        assert f"data-{name}=" in page
    assert "not admissible" in page
    assert "<code>won</code> <b>1</b>" in page


def test_a_lost_episode_says_why() -> None:
    (one,) = records([played("wait", fault="Java died")], None, [], None, "environment")
    assert "Lost: Java died" in "".join(episodes_section(rows(one)))


@pytest.mark.parametrize("count", [0, 300])
def test_there_are_never_too_many(count: int) -> None:
    found = records([], None, [played("wait")], None, "environment") * count
    page = "".join(episodes_section(rows(*found)))
    assert page.count("<details class=episode") == min(count, 120)
    assert ("120 of 300 are here" in page) == (count == 300)
