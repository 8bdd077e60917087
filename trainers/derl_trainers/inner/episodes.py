"""Episodes of a word-level policy, many at a time in lockstep, each a transcript for GRPO.

All games take their next step together. Words are chosen among those that continue an admissible
command, so every action is valid; TRL's update sees probabilities over all words, so the samples
are slightly off-policy (the masked distribution is the sharper one). The policy is asked only where
commands part: a word that no other could stand for is read along with what comes next, and no
gradient flows there, for it was no choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from derl_trainers.inner.games import Rollout, Table
from derl_trainers.policy.reader import Reader
from derl_trainers.policy.words import Words
from derl_trainers.settings.sections import AgentSection
from derl_trainers.tasks.environments.base import Environment, Turn
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
        # What the policy has yet to read of each transcript, and what precedes its next command.
        unread = [list(rollout.prompt) for rollout in rollouts]
        said = [[self.words.act] for _ in rollouts]
        rows = list(range(len(rollouts)))
        reader = Reader(self.model, len(rows))
        for number in range(self.agent.limit):
            on = [at for at, k in enumerate(rows) if self._goes_on(turns[k], rollouts[k])]
            if not on:
                break
            reader.keep(on)
            rows = [rows[at] for at in on]
            for k in rows:
                rollouts[k].extend(said[k], -1)
                unread[k] += said[k]
            tries = [_trie(turn.commands, self.words) for k in rows if (turn := turns[k])]
            commands = self._write(reader, [unread[k] for k in rows], tries)
            for k, (tokens, chosen, command) in zip(rows, commands, strict=True):
                rollouts[k].extend(tokens, number, chosen=chosen)
                after = self.table.act(k, rollouts[k].episode, Move("", command))
                said[k] = [*self.words(shown(after.observation)), self.words.act] if after else []
        return rollouts

    def _goes_on(self, turn: Turn | None, rollout: Rollout) -> bool:
        """Whether a game has a next step, and room for it: the longest answers have 200 words."""
        length = len(rollout.prompt) + len(rollout.completion)
        return turn is not None and not turn.done and length + 224 <= self.agent.longest

    def _write(
        self, reader: Reader, unread: list[list[int]], tries: Sequence[Children]
    ) -> list[tuple[list[int], list[int], str]]:
        """A command for each game: its tokens, which of them were a choice (1), and its text.

        The games' `unread` end with what of it the policy was not asked about.
        """
        at = list(tries)
        written: list[list[int]] = [[] for _ in at]
        chosen: list[list[int]] = [[] for _ in at]
        while True:
            for k, node in enumerate(at):
                at[k] = _followed(node, written[k], unread[k])
                chosen[k] += [0] * (len(written[k]) - len(chosen[k]))
            if all(-1 in node for node in at):
                texts = [str(node[-1]) for node in at]
                return list(zip(written, chosen, texts, strict=True))
            logits = reader.read(unread)
            for k, node in enumerate(at):
                unread[k].clear()
                if -1 not in node:
                    allowed = list(node)
                    token = allowed[self._pick(logits[k, allowed])]
                    written[k].append(token)
                    unread[k].append(token)
                    chosen[k].append(1)
                    at[k] = node[token]

    def _pick(self, logits: torch.Tensor) -> int:
        if self.greedy:
            return int(logits.argmax())
        return int(torch.multinomial(torch.softmax(logits / self.temperature, 0), 1))


def _followed(node: Children, *texts: list[int]) -> Children:
    """The node where commands part, or one ends; the words up to there are added to `texts`."""
    while len(node) == 1 and -1 not in node:
        ((token, node),) = node.items()
        for text in texts:
            text.append(token)
    return node
