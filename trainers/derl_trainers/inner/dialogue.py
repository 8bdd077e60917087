"""Episodes of any causal language model that talks: RLVMR's tag prompt, in its chat template.

A game is one conversation: the first message says the task and the rules, each answer is one step,
each reply of the game a user's message. What the model wrote is kept as the tokens that it sampled;
only what the game says is made of text. A step that holds no `<action>` is said to be no command.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from derl_trainers.inner.games import Rollout, Table
from derl_trainers.settings.sections import AgentSection
from derl_trainers.tasks.environments.base import Environment, Turn
from derl_trainers.tasks.environments.episodes import read_move, shown

# As RLVMR asks (arXiv 2507.22844), in short.
RULES = """\
You play a text game, one step at a time. Before each action say in one tag what you think:
<planning>break the task into steps, or plan anew</planning>
<explore>look for what you need where you have not been</explore>
<reflection>say what went wrong, after an action that did nothing</reflection>
<monitor>say how far you are and what comes next</monitor>
Then give one action. Write exactly one tag and one action, nothing else, like:
<explore>The mug may be on the desk.</explore><action>go to desk 1</action>"""
_COMMANDS = 60  # commands that a message lists; ScienceWorld has thousands
_MARK = "\u2042"  # stands for an answer while the template around it is cut out

# One more answer to each conversation in tokens, and what its tokens were sampled by, if known.
Write = Callable[[list[list[int]]], tuple[list[list[int]], list[list[float]] | None]]


class Dialogue:
    """Plays games in conversation, as many as there are environments at a time."""

    def __init__(
        self,
        write: Write,
        tokenizer: PreTrainedTokenizerBase,
        environments: Sequence[Environment],
        agent: AgentSection,
        system: str = "",
        longest_answer: int = 512,
    ) -> None:
        self.write, self.tokenizer, self.agent = write, tokenizer, agent
        self.system, self.longest_answer = system, longest_answer
        self.table = Table(environments, agent.deadline)

    def play(
        self, games: Sequence[str], kinds: Sequence[str], levels: Sequence[str]
    ) -> list[Rollout]:
        """One episode a game; one that its environment lost has a `fault`, and ends there."""
        rollouts = self.table.begun(games, kinds, levels)
        turns = self.table.turns
        for k, rollout in enumerate(rollouts):
            turn = turns[k]
            rollout.prompt = self._opening(turn) if turn is not None else []
        for number in range(self.agent.limit):
            live = [k for k, turn in enumerate(turns)
                    if turn is not None and not turn.done and self._room(rollouts[k])]  # fmt: skip
            if not live:
                break
            asked = [[*rollouts[k].prompt, *rollouts[k].completion] for k in live]
            answers, logprobs = self.write(asked)
            for at, k in enumerate(live):
                known = None if logprobs is None else logprobs[at]
                rollouts[k].extend(answers[at], number, known)
                self._step(k, rollouts[k], number, answers[at])
        return rollouts

    def _step(self, k: int, rollout: Rollout, number: int, answer: list[int]) -> None:
        """What the game says to an answer, and the template between that and the next."""
        text = self.tokenizer.decode(answer, skip_special_tokens=True)
        turn = self.table.act(k, rollout.episode, read_move(text))
        if turn is not None and not turn.done and number + 1 < self.agent.limit:
            between = self._reply(turn, answer)
            if len(rollout.prompt) + len(rollout.completion) + len(between) < self._end():
                rollout.extend(between, -1)
            else:
                self.table.turns[k] = None  # no room for another step

    def _end(self) -> int:
        return self.agent.longest - self.longest_answer

    def _room(self, rollout: Rollout) -> bool:
        return len(rollout.prompt) + len(rollout.completion) <= self._end()

    def _opening(self, turn: Turn) -> list[int]:
        """The conversation up to the first answer; its text is cut, its template is not."""
        said = f"{RULES}\n\n{_message(turn)}"
        for most in (len(said), 6000, 3000, 1500):
            tokens = self._rendered([{"role": "user", "content": said[:most]}])
            if len(tokens) <= self._end():
                break
        return tokens

    def _reply(self, turn: Turn, answer: Sequence[int]) -> list[int]:
        """What stands between an answer and the next: its end, the game's message, the opening."""
        said = [{"role": "user", "content": "."}, {"role": "assistant", "content": _MARK},
                {"role": "user", "content": _message(turn)}]  # fmt: skip
        text = str(self._template(said))
        after = text[text.rindex(_MARK) + len(_MARK) :]
        end = self.tokenizer.eos_token or ""
        if answer and answer[-1] == self.tokenizer.eos_token_id and after.startswith(end):
            after = after[len(end) :]  # the answer has said it
        tokens: list[int] = self.tokenizer(after, add_special_tokens=False)["input_ids"]
        return tokens

    def _rendered(self, said: list[dict[str, str]]) -> list[int]:
        text = self._template(said)
        tokens: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return tokens

    def _template(self, said: list[dict[str, str]]) -> Any:
        before = [{"role": "system", "content": self.system}] if self.system else []
        return self.tokenizer.apply_chat_template(
            [*before, *said], tokenize=False, add_generation_prompt=True
        )


def _message(turn: Turn) -> str:
    commands = turn.commands[:_COMMANDS]
    more = f" and {len(turn.commands) - len(commands)} more" if turn.commands[_COMMANDS:] else ""
    listed = f"\nYou can: {', '.join(commands)}{more}" if commands else ""
    return f"{shown(turn.observation).strip()}{listed}"
