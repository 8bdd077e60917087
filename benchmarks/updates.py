"""Teaching a language model, sampling from it and GRPO's update on a CPU: ours beside TRL's own.

    python -m benchmarks.updates                    # SmolLM2-135M-Instruct, some twenty minutes
    python -m benchmarks.updates --rounds 1         # half the time
    python -m benchmarks.updates --only sampling    # some rows of it, the others as they were

Ours reads a prompt once for its group, takes plain log-probabilities instead of TRL's fused head,
and passes no row through the model whose group was flat. Both train the same model on the same
rows; rounds alternate, and the fastest of each counts. Results go to
`results/trainers/updates.json`. `benchmarks/README.md` has them.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from trl import SFTTrainer

from derl_runtime.files import write_whole
from derl_trainers.inner import lean
from derl_trainers.inner.loop import InnerResult, train_inner
from derl_trainers.policy import teach as teaching
from derl_trainers.policy.loading import load_model
from derl_trainers.policy.teach import Lessons, teach
from derl_trainers.runs.versions import versions
from derl_trainers.settings.sections import InnerSection, PolicySection, Training
from derl_trainers.tasks.base import Example
from derl_trainers.tasks.table import TaskSection

FILE = Path(__file__).parent / "results" / "trainers" / "updates.json"
STEPS, BATCH, PROMPTS, GROUP = 3, 16, 4, 8
TOKENS = 64  # of an answer, and of most problems
FLAT = (0.0, 0.5, 0.75)  # shares of groups whose rewards are equal
WORDS = (
    "a", "the", "ten", "two", "box", "of", "apples", "has", "gives", "some", "more", "than",
    "she", "he", "each", "day", "how", "many", "sold",
)  # fmt: skip


def texts(count: int, draw: random.Random) -> list[str]:
    """Problems of about as many tokens as an answer."""
    return [" ".join(draw.choices(WORDS, k=draw.randint(40, 64))) for _ in range(count)]


def taught(model: str, folder: Path) -> float:
    """Seconds of a step of teaching, the first left out: it has memory to find."""
    draw = random.Random(0)
    file = folder / "rows.jsonl"
    rows = [
        {"question": problem, "answer": f"{answer}\n#### 7"}
        for problem, answer in zip(texts(80, draw), texts(80, draw), strict=True)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    task = TaskSection(name="gsm8k", data=str(file), template="{prompt}\n")
    ends: list[float] = []
    with tempfile.TemporaryDirectory(dir=folder) as out:
        teach(
            task,
            PolicySection(model=model, chat="no"),
            Lessons(STEPS, BATCH, 1e-5, 0),
            Path(out) / "taught",
            lambda *_: ends.append(time.perf_counter()),
        )
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def ran(model: str, flat: float, half: bool = False) -> InnerResult:
    """Two steps of GRPO on PROMPTS groups of answers, of which a share is flat."""
    problems = [Example(text + "\n", "7") for text in texts(64, random.Random(0))]

    def reward(prompts: list[str], **_: object) -> list[float]:
        groups = len(prompts) // GROUP
        return [float(i // GROUP >= flat * groups and i % GROUP == 0) for i in range(len(prompts))]

    training = Training(
        policy=PolicySection(model=model, chat="no"),
        inner=InnerSection(
            steps=2, prompts=PROMPTS, num_generations=GROUP, updates=1, learning_rate=0.0,
            max_completion_length=TOKENS,
        ),
        trl={
            "gradient_accumulation_steps": 4, "generation_kwargs": {"min_new_tokens": TOKENS},
            "bf16": half,
        },
    )  # fmt: skip
    return train_inner(reward, model, problems, problems[:1], training)


@contextmanager
def theirs() -> Iterator[None]:
    """Within it both go TRL's own way."""
    with (
        mock.patch.object(teaching, "_Trainer", SFTTrainer),
        mock.patch.object(lean, "LARGE", 10**9),
    ):
        yield


def measured(rounds: int, work: Callable[[], float]) -> dict[str, float]:
    """The fastest of some rounds of each, in turn."""
    ours, peer = [], []
    for _ in range(rounds):
        ours.append(work())
        with theirs():
            peer.append(work())
    return {"ours": min(ours), "trl": min(peer), "ratio": min(peer) / min(ours)}


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="smollm2", help="a causal language model")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", default="", help="a part of the names of rows")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model, tokenizer = load_model(given.model)
        policy = str(folder / "policy")
        model.save_pretrained(policy)
        tokenizer.save_pretrained(policy)
        del model
        rows: dict[str, Callable[[], float]] = {
            f"teaching, {BATCH} solutions": lambda: taught(policy, folder),
        }
        answers = f"{PROMPTS * GROUP} answers"
        for half in (False, True):
            rows[f"sampling {answers}, {'bfloat16' if half else 'float32'}"] = lambda half=half: (
                ran(policy, 1.0, half).generate_seconds / 2
            )
        for share in FLAT:
            rows[f"GRPO's update, {answers}, {share:.0%} of groups flat"] = lambda share=share: (
                ran(policy, share).update_seconds / 2
            )
        found = json.loads(FILE.read_text("utf-8"))["seconds"] if given.only else {}
        for name, work in rows.items():
            if given.only in name:
                found[name] = measured(given.rounds, work)
    found = {name: found[name] for name in rows if name in found}
    record = {"model": given.model, "versions": versions(), "seconds": found}
    write_whole(FILE, json.dumps(record, indent=1) + "\n")
    for name, row in found.items():
        print(f"{name:<52} {row['ours']:6.1f} s, TRL {row['trl']:6.1f} s, {row['ratio']:.1f} times")


if __name__ == "__main__":
    main()
