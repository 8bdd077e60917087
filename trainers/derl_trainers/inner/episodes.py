"""Episodes of a word-level policy, many at a time in lockstep, each a transcript for GRPO.

All games take their next step together: one forward over the new observations, then one a word over
the commands, a cache holding what came before. Words are sampled among those that continue an
admissible command, so every action is valid; TRL's update sees probabilities over all words, so the
samples are slightly off-policy (the masked distribution is the sharper one).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache, PreTrainedModel

from derl_trainers.inner.games import Rollout, Table
from derl_trainers.policy.words import Words
from derl_trainers.settings.sections import AgentSection
from derl_trainers.tasks.environments.base import Environment
from derl_trainers.tasks.environments.episodes import Move, shown

Children = dict[int, Any]


def _trie(commands: Sequence[str], words: Words) -> Children:
    root: Children = {}
    for command in commands:
        at = root
        for token in words.command(command):
            at = at.setdefault(token, {})
        at.setdefault(-1, command)
    return root


class Lockstep:
    """Plays games with a word-level policy, as many as there are environments at a time."""

    def __init__(
        self,
        model: PreTrainedModel,
        words: Words,
        environments: Sequence[Environment],
        agent: AgentSection,
        temperature: float = 1.0,
        greedy: bool = False,
    ) -> None:
        self.model, self.words, self.agent = model, words, agent
        self.temperature, self.greedy = temperature, greedy
        self.table = Table(environments, agent.deadline)

    @torch.no_grad()
    def play(
        self, games: Sequence[str], kinds: Sequence[str], levels: Sequence[str]
    ) -> list[Rollout]:
        """One episode a game; one that its environment lost has a `fault`, and ends there."""
        rollouts = self.table.begun(games, kinds, levels)
        turns = self.table.turns
        for rollout in rollouts:
            prompt = self.words(rollout.episode.first) or [self.words.end]
            rollout.prompt = prompt[: self.agent.longest // 2]
        cache = Cache(self.model, len(rollouts), int(self.words.tokenizer.pad_token_id))
        said = [r.prompt for r in rollouts]
        for number in range(self.agent.limit):
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
                    after = self.table.act(k, rollout.episode, Move("", chosen[k]))
                    said[k] = self.words(shown(after.observation)) if after else []
        return rollouts

    def _room(self, rollout: Rollout) -> bool:
        """Whether another step fits: the longest answers have some 200 words."""
        return len(rollout.prompt) + len(rollout.completion) + 224 <= self.agent.longest

    def _write(
        self, cache: Cache, logits: torch.Tensor, tries: list[Children | None]
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


class Cache:
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
