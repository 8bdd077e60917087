"""What a group explored, as columns: counted by hand, and paid by the gallery's rewards."""

from __future__ import annotations

import pytest

from derl_dsl import gallery
from derl_trainers.inner.games import Rollout, grouped_columns
from derl_trainers.tasks.environments.episodes import Episode
from derl_trainers.tasks.environments.exploration import exploration


def episode(*actions: str, fault: str = "") -> Episode:
    """An episode in which the game says what was done."""
    count = len(actions)
    return Episode("g", "", "", "start", list(actions), list(actions), ["explore"] * count,
                   [True] * count, [0.0] * count, fault=fault)  # fmt: skip


def test_steps_are_counted_beside_those_of_the_group() -> None:
    group = [episode("a", "b", "a", "b"), episode("a", "c"), episode("a", "b", fault="gone")]
    first, second, lost = exploration(group)
    assert first["repeats"] == [0, 0, 1, 1]
    # b after a was there before; nothing came before the first.
    assert first["moves_repeated"] == [0, 0, 0, 1]
    assert first["moves_shared"] == [1, 0, 0, 0]
    assert first["doubles"] == [1, 0, 0, 0]
    # After a the group does b and c; after b only a.
    assert first["branches"] == [1, 2, 1, 2]
    assert second == {"repeats": [0, 0], "moves_repeated": [0, 0], "moves_shared": [1, 0],
                      "doubles": [1, 0], "branches": [1, 2]}  # fmt: skip
    assert lost == {name: [] for name in first}


def test_the_past_alone_counts() -> None:
    long, short = exploration([episode("a", "b", "c"), episode("b")])
    again, other = exploration([episode("a"), episode("b")])
    for name in ("repeats", "moves_repeated", "moves_shared", "doubles"):
        assert long[name][:1] == again[name]
        assert short[name] == other[name]


def test_the_gallerys_rewards_read_them() -> None:
    rollouts = [Rollout(episode("a", "b", "a")), Rollout(episode("a", "c")),
                Rollout(episode("a", fault="gone")), Rollout(episode("b"))]  # fmt: skip
    rollouts[0].episode.solved = rollouts[1].episode.solved = True
    columns = grouped_columns(rollouts, "tags", 4)
    spark = gallery.load("40_spark").score(columns, group_size=4)
    # At the start the group does a and b; after a, b and c; after b, a alone.
    assert spark.steps is not None
    assert [None if s is None else s.round(9).tolist() for s in spark.steps] == [
        [0.1, 0.1, -0.1], [0.1, 0.1], None, [0.1],
    ]  # fmt: skip
    dpepo = gallery.load("39_dpepo").score(columns, group_size=4)
    # Shared at first (2.9/3 and .9), then new; the first episode's third action is its first again.
    first, new, again = (2.9 / 3 + 0.9) / 2, 1.0, (2.9 / 3 + 1) / 2
    assert dpepo.values[0] == pytest.approx(1 + 0.1 * (first + new + again) / 3)
    assert dpepo.values[1] == pytest.approx(1 + 0.1 * (first + new) / 2)
    assert dpepo.values[3] == 0
