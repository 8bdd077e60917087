"""Episodes of a word-level policy, many at a time in lockstep, each a transcript for GRPO.

All games take their next step together: one forward over the new observations, then one a word over
the commands, a cache holding what came before. Words are sampled among those that continue an
admissible command, so every action is valid; TRL's update sees probabilities over all words, so the
samples are slightly off-policy (the masked distribution is the sharper one).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import DynamicCache, PreTrainedModel

from derl_trainers.policy.words import Words
from derl_trainers.tasks.environments.base import Environment, EnvironmentFault, Turn
from derl_trainers.tasks.environments.episodes import Episode, Move, shown

Children = dict[int, Any]


@dataclass(slots=True)
class Rollout:
    """One episode, and its transcript after the prompt.

    `mask` is 1 at the tokens that the agent wrote; `step` numbers the step of each, -1 elsewhere.
    """

    episode: Episode
    prompt: list[int]
    completion: list[int] = field(default_factory=list)
    mask: list[int] = field(default_factory=list)
    step: list[int] = field(default_factory=list)

    def extend(self, tokens: Sequence[int], number: int) -> None:
        """More of the transcript: of step `number`, or -1 for what the agent did not write."""
        self.completion += tokens
        self.mask += [int(number >= 0)] * len(tokens)
        self.step += [number] * len(tokens)


def _trie(commands: Sequence[str], words: Words) -> Children:
    root: Children = {}
    for command in commands:
        at = root
        for token in words.command(command):
            at = at.setdefault(token, {})
        at.setdefault(-1, command)
    return root


class Lockstep:
    """Plays games with a policy; `limit` steps each, at most `longest` tokens in all."""

    def __init__(
        self,
        model: PreTrainedModel,
        words: Words,
        environments: Sequence[Environment],
        limit: int = 30,
        longest: int = 1024,
        temperature: float = 1.0,
        greedy: bool = False,
    ) -> None:
        self.model, self.words, self.environments = model, words, environments
        self.limit, self.longest = limit, longest
        self.temperature, self.greedy = temperature, greedy
        # Seconds that the environments took.
        self.seconds = 0.0

    @torch.no_grad()
    def play(self, games: Sequence[str], kinds: Sequence[str], level: str = "") -> list[Rollout]:
        """One episode a game; one that its environment lost has a `fault`, and ends there."""
        rollouts, turns = [], []
        for game, kind, environment in zip(games, kinds, self.environments, strict=False):
            episode = Episode(game, kind, level, "")
            turn = self._guarded(episode, lambda e=environment, g=game: e.reset(g))
            episode.first = shown(turn.observation) if turn else ""
            prompt = self.words(episode.first) or [self.words.end]
            rollouts.append(Rollout(episode, prompt[: self.longest // 2]))
            turns.append(turn)
        cache = _Cache(self.model, len(rollouts), int(self.words.tokenizer.pad_token_id))
        said = [r.prompt for r in rollouts]
        for number in range(self.limit):
            live = [t is not None and not t.done and self._room(r)
                    for t, r in zip(turns, rollouts, strict=True)]  # fmt: skip
            if not any(live):
                break
            fed = [[*s, self.words.act] if on else [] for s, on in zip(said, live, strict=True)]
            tries = [_trie(t.commands, self.words) if on and t else None
                     for t, on in zip(turns, live, strict=True)]  # fmt: skip
            written, chosen = self._write(cache, cache.feed(fed), tries)
            for k, rollout in enumerate(rollouts):
                if live[k]:
                    first = [] if number == 0 else said[k]
                    rollout.extend([*first, self.words.act], -1)
                    rollout.extend(written[k], number)
                    turns[k] = self._act(rollout.episode, self.environments[k], chosen[k])
                    after = turns[k]
                    said[k] = self.words(shown(after.observation)) if after else []
        return rollouts

    def _room(self, rollout: Rollout) -> bool:
        """Whether another step fits: the longest answers have some 200 words."""
        return len(rollout.prompt) + len(rollout.completion) + 224 <= self.longest

    def _act(self, episode: Episode, environment: Environment, command: str) -> Turn | None:
        turn = self._guarded(episode, lambda: environment.step(command))
        if turn is not None:
            episode.add(Move("", command), turn)
        return turn

    def _guarded(self, episode: Episode, call: Any) -> Turn | None:
        start = time.perf_counter()
        try:
            turn: Turn = call()
        except EnvironmentFault as error:
            episode.fault = str(error)
            return None
        finally:
            self.seconds += time.perf_counter() - start
        return turn

    def _write(
        self, cache: _Cache, logits: torch.Tensor, tries: list[Children | None]
    ) -> tuple[list[list[int]], list[str]]:
        """A command for each game that is on, token by token."""
        at: list[Children | None] = list(tries)
        written: list[list[int]] = [[] for _ in at]
        chosen = [""] * len(at)
        while any(node is not None for node in at):
            fed: list[list[int]] = [[] for _ in at]
            for k, node in enumerate(at):
                if node is None:
                    continue
                allowed = [t for t in node if t >= 0]
                token = allowed[self._pick(logits[k, allowed])]
                written[k].append(token)
                fed[k] = [token]
                following = node[token]
                ended = -1 in following
                chosen[k] = following[-1] if ended else ""
                at[k] = None if ended else following
            logits = cache.feed(fed)
        return written, chosen

    def _pick(self, logits: torch.Tensor) -> int:
        if self.greedy or len(logits) == 1:
            return int(logits.argmax())
        return int(torch.multinomial(torch.softmax(logits / self.temperature, 0), 1))


class _Cache:
    """What the policy has read so far, row by row; rows that read less are padded and masked."""

    def __init__(self, model: PreTrainedModel, rows: int, pad: int) -> None:
        self.model, self.pad = model, pad
        self.cache = DynamicCache()
        self.attention = torch.zeros((rows, 0), dtype=torch.long)
        self.read = torch.zeros(rows, dtype=torch.long)
        self.logits: torch.Tensor | None = None

    def feed(self, tokens: Sequence[Sequence[int]]) -> torch.Tensor:
        """Read more; the logits after each row's last token, (rows, vocabulary)."""
        length = max(map(len, tokens))
        ids = torch.full((len(tokens), length), self.pad)
        mask = torch.zeros_like(ids)
        for row, new in enumerate(tokens):
            if new:
                ids[row, length - len(new) :] = torch.tensor(list(new))
                mask[row, length - len(new) :] = 1
        positions = (self.read[:, None] + mask.cumsum(1) - 1).clamp(min=0)
        self.attention = torch.cat([self.attention, mask], 1)
        self.read += mask.sum(1)
        device = self.model.device
        out = self.model(
            input_ids=ids.to(device),
            attention_mask=self.attention.to(device),
            position_ids=positions.to(device),
            past_key_values=self.cache,
            use_cache=True,
        )
        new_logits: torch.Tensor = out.logits[:, -1].float().cpu()
        idle = torch.tensor([not new for new in tokens])
        if self.logits is not None:
            new_logits = torch.where(idle[:, None], self.logits, new_logits)
        self.logits = new_logits
        return new_logits
