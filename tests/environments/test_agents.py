"""Multi-turn GRPO: masks, groups, episodes that are lost, advantages of steps, and a short run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import derl_dsl
from derl_trainers.inner import episodes
from derl_trainers.inner.advantages import gigpo, returns, rlvmr
from derl_trainers.inner.agents import AgentTrainer, Stepped, agent_trainer, step_advantages
from derl_trainers.inner.episodes import Lockstep
from derl_trainers.inner.games import Rollout, columns_of
from derl_trainers.inner.loop import trainer_settings
from derl_trainers.inner.players import Players, solved
from derl_trainers.policy.quiet import quiet
from derl_trainers.policy.reader import Reader
from derl_trainers.policy.words import (
    Transcript,
    Words,
    build_words,
    expert_transcript,
    warm_start,
)
from derl_trainers.settings.sections import AgentSection, InnerSection, TinySection, Training
from derl_trainers.tasks.base import Example
from derl_trainers.tasks.environments.base import Environment, EnvironmentFault, Turn
from derl_trainers.tasks.environments.episodes import Episode
from derl_trainers.tasks.environments.played import PlayedTask

ROOMS = ("kitchen", "hall", "cellar", "attic")


class Corridor:
    """Four doors, one of which the first text names; a wrong one costs a step. Real, and tiny."""

    falls_at = 2  # the step at which it breaks

    def __init__(self, broken: str = "") -> None:
        self.broken, self.steps = broken, 0

    def reset(self, game: str) -> Turn:
        self.goal, self.steps, self.game = ROOMS[int(game) % 4], 0, game
        return self._turn(f"the key lies in the {self.goal} . go there", True)

    def step(self, action: str) -> Turn:
        self.steps += 1
        if self.game == self.broken and self.steps == self.falls_at:
            raise EnvironmentFault("the corridor fell in")
        won = action == f"go to {self.goal}"
        return self._turn(
            f"you see the {self.goal if won else 'wall'}", action in self.commands, won
        )

    @property
    def commands(self) -> tuple[str, ...]:
        return (*(f"go to {room}" for room in sorted(ROOMS)), "wait")

    def _turn(self, text: str, valid: bool, won: bool = False) -> Turn:
        return Turn(text, self.commands, float(won), won, won, valid)

    def close(self) -> None:
        self.steps = 0


@pytest.fixture(scope="module")
def words() -> Words:
    texts = ["the key lies in the . go there you see the wall wait to", *ROOMS]
    return Words(build_words(texts))


@pytest.fixture(scope="module")
def transcripts(words: Words) -> list[Transcript]:
    plans = [["wait", f"go to {ROOMS[k]}"] if k % 2 else [f"go to {ROOMS[k]}"] for k in range(4)]
    return [expert_transcript(Corridor(), str(k), plans[k], words) for k in range(4)]


def policy(words: Words, transcripts: list[Transcript], steps: int) -> Any:
    torch.set_num_threads(1)
    shape = TinySection(hidden_size=32, intermediate_size=64, layers=1, heads=2, steps=steps,
                        batch_size=8)  # fmt: skip
    return warm_start(transcripts, words.tokenizer, shape)


@dataclass(frozen=True, slots=True)
class Doors(PlayedTask):
    """The corridor as a task."""

    kind: type = Corridor
    broken: str = ""

    def environment(self) -> Environment:
        made: Environment = self.kind(self.broken)
        return made


def config(
    advantage: str = "none", weight: float = 1.0, limit: int = 4, longest: int = 400, **more: Any
) -> Training:
    agent = AgentSection(limit=limit, longest=longest, advantage=advantage, weight=weight)
    inner = InnerSection(**{"steps": 1, "prompts": 2, "num_generations": 4, "updates": 1,
                            "learning_rate": 3e-5, "agent": agent, **more})  # fmt: skip
    return Training(inner=inner, eval_batch=64)


def problems(games: Sequence[str]) -> list[Example]:
    return [Example(game, "", {"kind": "door", "level": "L0"}) for game in games]


def made(
    model: Any, words: Any, task: PlayedTask, games: Sequence[str], training: Training, out: Path
) -> AgentTrainer:
    tokenizer = words.tokenizer if isinstance(words, Words) else words
    compiled = reward()
    stepped = Stepped(compiled)
    compiled.observers.append(stepped)
    players = Players(task, training, tokenizer)
    with quiet():
        return agent_trainer(
            players, stepped, training.inner, problems(games), model=model, reward_funcs=compiled,
            args=trainer_settings(training, 0, str(out)), processing_class=tokenizer,
        )  # fmt: skip


def reward(text: str = "steps = gain(scores)\nreward = solved") -> Any:
    return derl_dsl.compile(text, suite="agent")


def test_transcripts_mark_what_the_agent_wrote(words: Words) -> None:
    tokens, mask = expert_transcript(Corridor(), "1", ["wait", "go to hall"], words)
    written = [t for t, m in zip(tokens, mask, strict=True) if m]
    assert written == [*words.command("wait"), *words.command("go to hall")]


def test_rollouts_are_admissible_and_as_the_model_would_say_without_a_cache(
    words: Words, transcripts: list[Transcript]
) -> None:
    model = policy(words, transcripts, 2)
    games = ["0", "1", "2", "3", "0"]
    agent = config().inner.agent
    lockstep = Lockstep(model, words, [Corridor() for _ in games], agent, greedy=True)
    for rollout in lockstep.play(games, [""] * 5, [""] * 5):
        episode = rollout.episode
        assert all(episode.valid)
        assert len(rollout.completion) == len(rollout.mask) == len(rollout.step)
        # A room is a choice, and `go` where one could wait; `to` and the end follow.
        took = [m for m, number in zip(rollout.mask, rollout.step, strict=True) if number == 0]
        assert took == ([1, 0, 1, 0] if episode.actions[0] != "wait" else [1, 0])
        whole = [*rollout.prompt, *rollout.completion]
        with torch.no_grad():
            logits = model(torch.tensor([whole])).logits[0]
        first = rollout.mask.index(1) + len(rollout.prompt)
        allowed = sorted({words.command(c)[0] for c in Corridor().commands})
        best = allowed[int(logits[first - 1, allowed].argmax())]
        assert whole[first] == best


class Rereader:
    """Reads each whole text anew, which `Reader` must come to without."""

    def __init__(self, model: Any, rows: int) -> None:
        self.model = model
        self.texts: list[list[int]] = [[] for _ in range(rows)]

    def read(self, tokens: Sequence[Sequence[int]]) -> torch.Tensor:
        for text, new in zip(self.texts, tokens, strict=True):
            text += new
        with torch.no_grad():
            return torch.stack([self.model(torch.tensor([t])).logits[0, -1] for t in self.texts])

    def keep(self, rows: Sequence[int]) -> None:
        self.texts = [self.texts[k] for k in rows]


def test_a_reader_says_what_reading_all_of_it_anew_says(
    words: Words, transcripts: list[Transcript]
) -> None:
    model = policy(words, transcripts, 2)
    reader, rereader = Reader(model, 4), Rereader(model, 4)
    drawn = np.random.default_rng(0)
    for rows in ([0, 1, 2, 3], [0, 1, 2, 3], [0, 2, 3], [2, 0], [1]):
        reader.keep(rows)
        rereader.keep(rows)
        for _ in range(3):
            counts = drawn.integers(0, 30, len(rows)) + (len(rows) == 1)
            new = [drawn.integers(1, len(words.tokenizer), n).tolist() for n in counts]
            with torch.no_grad():
                found, expected = reader.read(new), rereader.read(new)
            told = [k for k, one in enumerate(new) if one]
            assert torch.allclose(found[told], expected[told], atol=1e-5)


@pytest.mark.parametrize("greedy", [True, False])
def test_rollouts_are_those_of_a_policy_that_reads_all_anew(
    words: Words,
    transcripts: list[Transcript],
    greedy: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = policy(words, transcripts, 20)
    games = [str(k) for k in range(12)]

    def played() -> list[Rollout]:
        torch.manual_seed(3)
        seats = [Corridor(broken="5") for _ in games]
        lockstep = Lockstep(model, words, seats, config(limit=6).inner.agent, greedy=greedy)
        return lockstep.play(games, [""] * 12, [""] * 12)

    found = played()
    monkeypatch.setattr(episodes, "Reader", Rereader)
    assert played() == found
    assert greedy or len({len(r.episode.actions) for r in found}) > 2
    assert [bool(r.episode.fault) for r in found].count(True) == 1


def seen(trainer: AgentTrainer, model: Any) -> tuple[list[dict[str, Any]], list[torch.Tensor]]:
    """The inputs of each loss, and the last hidden states with their gradient, once trained."""
    inputs: list[dict[str, Any]] = []
    outputs: list[torch.Tensor] = []
    loss = trainer._compute_loss

    def watched(model: Any, given: dict[str, Any]) -> Any:
        inputs.append(given)
        return loss(model, given)

    def keep(_: Any, __: Any, out: torch.Tensor) -> None:
        if out.requires_grad:
            out.retain_grad()
            outputs.append(out)

    trainer._compute_loss = watched
    # What the last layer gives: each position of it has a say in one token alone.
    model.model.norm.register_forward_hook(keep)
    trainer.train()
    return inputs, outputs


def test_no_gradient_flows_through_what_the_game_said(
    words: Words, transcripts: list[Transcript], tmp_path: Path
) -> None:
    model = policy(words, transcripts, 5)
    games = ["0", "1", "2", "3"]
    trainer = made(model, words, Doors(), games, config(advantage="gigpo"), tmp_path)
    inputs, outputs = seen(trainer, model)
    assert len(inputs) == len(outputs) == 1
    mask = inputs[0]["tool_mask"] * inputs[0]["completion_mask"]
    gradient = outputs[0].grad
    assert gradient is not None
    width = mask.shape[1]
    # The positions before the last `width` tokens, the last of all left out.
    along = gradient[:, -width - 1 : -1].abs().sum(-1)
    assert float(along[mask == 0].max()) == 0.0
    assert float(along[mask == 1].max()) > 0.0
    assert inputs[0]["advantages"].shape == mask.shape


def test_groups_start_from_one_game(
    words: Words, transcripts: list[Transcript], tmp_path: Path
) -> None:
    model = policy(words, transcripts, 2)
    trainer = made(model, words, Doors(), ["0", "1", "2", "3"], config(), tmp_path)
    trainer.train()
    games = [r.episode.game for r in trainer.players.rollouts]
    groups = [games[k : k + 4] for k in range(0, 8, 4)]
    assert all(len(set(group)) == 1 for group in groups)
    assert groups[0] != groups[1]


def test_a_lost_episode_is_told_and_takes_no_part(
    words: Words, transcripts: list[Transcript], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = policy(words, transcripts, 2)
    training = config(num_generations=8, steps=2)
    trainer = made(model, words, Doors(broken="0"), ["0", "1"], training, tmp_path)
    trainer.train()
    assert trainer.told()["lost"] > 0
    assert "episodes were lost: the corridor fell in" in caplog.text
    lost = Rollout(Episode("g", "", "", "", fault="gone"), [1])
    kept = Rollout(Episode("g", "", "", "", solved=True), [1])
    columns = columns_of([lost, kept, kept], "environment")
    assert columns["solved"] == [None, True, True]
    scores = reward("solved - group_mean(1 * solved)").score(columns, group_size=3)
    assert np.isnan(scores.values).tolist() == [True, False, False]
    assert scores.values[1:].tolist() == [0.0, 0.0]


def test_formulas_of_step_advantages() -> None:
    assert returns(np.array([1.0, 0.0, 2.0]), 0.5).tolist() == [1.5, 1.0, 2.0]
    steps = [np.array([1.0, 0.0]), np.array([0.0, 4.0])]
    found = rlvmr(steps, [["explore", "planning"], ["explore", "planning"]])
    assert np.allclose(found, [[1, -1], [-1, 1]], atol=1e-5)
    found = gigpo(steps, [["start", "hall"], ["start", "attic"]], discount=1.0)
    # Returns from the start are 1 and 4; each other state was met once.
    assert np.allclose(found, [[-1, 0], [1, 0]], atol=1e-5)


def test_step_advantages_lie_on_the_tokens_of_their_step() -> None:
    def rollout(fault: str = "") -> Rollout:
        episode = Episode("g", "", "", "start", ["a", "b"], ["x", "y"], ["", ""], fault=fault)
        return Rollout(episode, [1], [5, 6, 7, 8], [0, 1, 0, 1], [-1, 0, -1, 1])

    batch = [rollout(), rollout(), rollout("gone")]
    steps = [np.array([1.0, 0.0]), np.array([0.0, 0.0]), None]
    found = step_advantages(batch, steps, config("gigpo", 0.5, num_generations=3).inner, width=6)
    assert found.shape == (3, 6)
    assert torch.allclose(found[:, 1], torch.tensor([0.5, -0.5, 0.0]), atol=1e-4)
    assert float(found[:, [0, 2, 3, 4, 5]].abs().max()) == 0.0


class OpenCorridor(Corridor):
    """A corridor where every door leads out: who waits loses."""

    def step(self, action: str) -> Turn:
        won = action.startswith("go to")
        return self._turn("outside" if won else "wall", action in self.commands, won)


def test_a_short_run_learns_not_to_wait(
    words: Words, transcripts: list[Transcript], tmp_path: Path
) -> None:
    # Two of the four lessons wait first, which the one step of these episodes has no room for.
    model = policy(words, transcripts, 100)
    games = [str(k) for k in range(16)]
    training = config("gigpo", limit=1, steps=15, prompts=4, num_generations=8, learning_rate=1e-3)
    trainer = made(model, words, Doors(OpenCorridor), games, training, tmp_path)
    before, _ = solved(trainer.players, model, problems(games))
    trainer.train()
    after, played = solved(trainer.players, model.eval(), problems(games))
    assert before.mean() <= 0.75
    assert after.mean() == 1.0
    assert {r.episode.level for r in played} == {"L0"}
    seen = [one.solved for one in trainer.players.history]
    assert np.mean(seen[-3:]) > np.mean(seen[:3])
    assert 0 < trainer.players.environment_seconds < trainer.players.seconds


def test_a_scored_game_that_breaks_is_played_again_and_then_told(
    words: Words, transcripts: list[Transcript]
) -> None:
    model = policy(words, transcripts, 2)
    broken = Doors(Fallen, broken="0")
    players = Players(broken, config(), words.tokenizer)
    with pytest.raises(EnvironmentFault, match="0 was lost 3 times: the corridor fell in"):
        solved(players, model, problems(["1", "0", "2"]))
    flaky = Players(replace(broken, kind=Flaky), config(), words.tokenizer)
    right, played = solved(flaky, model, problems(["1", "0", "2"]))
    assert len(right) == len(played) == 3
    assert [r.episode.game for r in played] == ["1", "0", "2"]


class Fallen(Corridor):
    """A corridor that falls in at once."""

    falls_at = 1


class Flaky(Corridor):
    """A corridor that falls in once."""

    fell = False

    def step(self, action: str) -> Turn:
        if self.game == self.broken and not Flaky.fell:
            Flaky.fell = True
            raise EnvironmentFault("the corridor fell in")
        self.broken = ""
        return super().step(action)
