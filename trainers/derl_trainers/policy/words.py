"""A word-level policy that picks among admissible commands of text games, taught by an expert.

A transcript is one sequence of words: what the game says, then `<act>`, the command, `<end>`, what
the game answers, and so on. The loss of the warm start is on the commands alone.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from derl_trainers.policy.loading import fixed_tokenizer, small_llama
from derl_trainers.policy.tiny import warm_then_cosine
from derl_trainers.settings.sections import TinySection
from derl_trainers.tasks.environments.base import Environment
from derl_trainers.tasks.environments.episodes import shown

_LONGEST = 1024
ACT, END = "<act>", "<end>"
_WORD = re.compile(r"[a-z']+|\d+|[^\sa-z\d]")
Progress = Callable[[int, int, dict[str, float]], None]


# A transcript: its tokens, and which of them the agent wrote (1).
Transcript = tuple[list[int], list[int]]


class Words:
    """Texts as tokens: lower-case words, numbers and signs; words never seen are `<unk>`."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self._ids: dict[str, int] = tokenizer.get_vocab()
        self.act, self.end = self._ids[ACT], self._ids[END]
        self._unknown = self._ids["<unk>"]
        self._commands: dict[str, list[int]] = {}  # a game lists the same thousands at each step

    @staticmethod
    def fits(tokenizer: PreTrainedTokenizerBase) -> bool:
        """Whether a tokenizer is of words, rather than of a language model that talks."""
        return ACT in tokenizer.get_vocab() and tokenizer.chat_template is None

    def __call__(self, text: str) -> list[int]:
        """The tokens of a text."""
        return [self._ids.get(w, self._unknown) for w in _WORD.findall(text.lower())]

    def command(self, text: str) -> list[int]:
        """The tokens of a command, with its end."""
        found = self._commands.get(text)
        if found is None:
            found = self._commands[text] = [*self(text), self.end]
        return found


def build_words(texts: Iterable[str], most: int = 4000) -> PreTrainedTokenizerFast:
    """A tokenizer of the commonest words of some texts, and of all numbers below 100."""
    counts = Counter(word for text in texts for word in _WORD.findall(text.lower()))
    common = sorted(word for word, _ in counts.most_common(most))
    words = dict.fromkeys((ACT, END, *map(str, range(100)), *common))
    return fixed_tokenizer(words, r"\S+")


def expert_transcript(
    environment: Environment, game: str, plan: Sequence[str], words: Words
) -> Transcript:
    """What the expert's plan looks like as a transcript."""
    turn = environment.reset(game)
    tokens = words(shown(turn.observation))
    mask = [0] * len(tokens)
    for command in plan:
        said = words.command(command)
        turn = environment.step(command)
        answer = [] if turn.done else words(shown(turn.observation))
        tokens += [words.act, *said, *answer]
        mask += [0, *[1] * len(said), *[0] * len(answer)]
    return tokens, mask


def warm_start(
    transcripts: Sequence[Transcript],
    tokenizer: PreTrainedTokenizerFast,
    config: TinySection,
    seed: int = 0,
    progress: Progress | None = None,
) -> LlamaForCausalLM:
    """A policy that was trained to continue the transcripts with the expert's commands.

    Transcripts are cut at 1,024 tokens; positions are relative, so the policy reads longer ones.
    """
    rng = random.Random(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = small_llama(
            tokenizer, config.hidden_size, config.intermediate_size, config.layers, config.heads,
            positions=8 * _LONGEST,
        )  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: warm_then_cosine(step, config.steps)
    )
    model.train()
    batches = _batches(transcripts, config.batch_size, rng)
    for step, batch in zip(range(config.steps), batches, strict=False):
        loss = model(**_padded(batch, tokenizer, _LONGEST)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if progress is not None:
            progress(step + 1, config.steps, {"loss": loss.item()})
    return model.eval()


def _batches(
    transcripts: Sequence[Transcript], size: int, rng: random.Random
) -> Iterator[list[Transcript]]:
    """Random batches without end, each of transcripts of about one length: little is padded."""
    while True:
        drawn = sorted(rng.choices(transcripts, k=8 * size), key=lambda one: len(one[0]))
        batches = [drawn[start : start + size] for start in range(0, len(drawn), size)]
        rng.shuffle(batches)
        yield from batches


def _padded(
    batch: Sequence[Transcript], tokenizer: PreTrainedTokenizerFast, longest: int
) -> dict[str, torch.Tensor]:
    """Transcripts padded on the right, with labels where the agent writes; each (batch, length)."""
    length = min(longest, max(len(tokens) for tokens, _ in batch))
    ids = torch.full((len(batch), length), int(tokenizer.pad_token_id))
    labels = torch.full((len(batch), length), -100)
    attention = torch.zeros((len(batch), length), dtype=torch.long)
    for row, (tokens, mask) in enumerate(batch):
        n = min(length, len(tokens))
        ids[row, :n] = torch.tensor(tokens[:n])
        attention[row, :n] = 1
        written = torch.tensor(mask[:n], dtype=torch.bool)
        labels[row, :n][written] = ids[row, :n][written]
    return {"input_ids": ids, "attention_mask": attention, "labels": labels}
