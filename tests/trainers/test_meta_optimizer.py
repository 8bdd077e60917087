"""The meta-optimizer: any causal model with or without LoRA, its prompts, and its cold start."""

from __future__ import annotations

import math
import random
from contextlib import closing
from dataclasses import asdict, replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from rich.console import Console  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

from derl_trainers.inner.grpo import grpo_config  # noqa: E402
from derl_trainers.outer.cold_start import (  # noqa: E402
    cold_start,
    cold_start_formulas,
    read_formulas,
    share_valid,
)
from derl_trainers.outer.judge import apart  # noqa: E402
from derl_trainers.outer.optimizer import (  # noqa: E402
    MetaOptimizer,
    build_meta_optimizer,
    build_tokenizer,
    load_meta_optimizer,
    prompt_with_history,
    sample_formulas,
)
from derl_trainers.outer.prompts import formula_text  # noqa: E402
from derl_trainers.outer.proposers.base import Context  # noqa: E402
from derl_trainers.outer.proposers.grpo import Grpo  # noqa: E402
from derl_trainers.outer.trainer import meta_trainer, save_trained  # noqa: E402
from derl_trainers.policy.loading import ModelMissing, small_llama  # noqa: E402
from derl_trainers.policy.quiet import quiet  # noqa: E402
from derl_trainers.runs.jobs import Policy  # noqa: E402
from derl_trainers.runs.runner import JobFailed  # noqa: E402
from derl_trainers.runs.store import Store  # noqa: E402
from derl_trainers.runs.view import View  # noqa: E402
from derl_trainers.settings.run import ConfigError, MetaSection, RunConfig, load_config  # noqa: E402
from tests.trainers.toys import a_run  # noqa: E402

SUITE = "derl-math"
CHAT = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: "
SMALL = MetaSection(
    hidden_size=32, layers=1, heads=2, max_tokens=24, formulas=4, cold_steps=2, cold_batch=4,
    cold_formulas=20,
)  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models on disk, as anybody's are: one to chat with, one that goes on with a text."""
    found = {}
    for name, template in (("chat", CHAT), ("plain", None)):
        found[name] = tmp_path_factory.mktemp(name)
        tokenizer = build_tokenizer()
        tokenizer.chat_template = template
        torch.manual_seed(1)
        small_llama(tokenizer, 32, 64, 1, 2, 2048).save_pretrained(found[name])
        tokenizer.save_pretrained(found[name])
    return found


def weights(model: Any) -> dict[str, Any]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


# Models and prompts


def test_a_model_from_a_folder_is_asked_as_its_tokenizer_says(folders: dict[str, Path]) -> None:
    chat = build_meta_optimizer(replace(SMALL, model=str(folders["chat"])), SUITE, 0)
    assert isinstance(chat.prompt, list)
    assert [m["role"] for m in chat.prompt] == ["system", "user"]
    assert chat.completion("g1") == [{"role": "assistant", "content": "g1"}]
    plain = build_meta_optimizer(replace(SMALL, model=str(folders["plain"])), SUITE, 0)
    assert isinstance(plain.prompt, str)
    assert plain.prompt.endswith("\nreward = ")
    for prompt in (chat.prompt[1]["content"], plain.prompt):
        assert "g1: Whether the answer is exactly right" in prompt
    for meta in (chat, plain):
        assert len(sample_formulas(meta, SMALL, 3)) == 3


def test_the_dtype_is_that_of_the_weights(folders: dict[str, Path]) -> None:
    for name in ("tiny", str(folders["plain"])):
        config = replace(SMALL, model=name, dtype="bfloat16")
        assert build_meta_optimizer(config, SUITE, 0).model.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("model", "said"),
    [("smolm2", "did you mean 'smollm2'"), ("./nowhere", "no such model file or folder")],
)
def test_a_model_that_is_not_there_is_named(model: str, said: str) -> None:
    with pytest.raises(ModelMissing, match=said):
        build_meta_optimizer(replace(SMALL, model=model), SUITE, 0)


def test_formulas_that_would_be_cut_off_are_counted_and_told(tmp_path: Path) -> None:
    config = replace(SMALL, cold_steps=0)
    meta = build_meta_optimizer(config, "math", 0)
    learnt = cold_start(meta, config, "math", 0, tmp_path)
    written = cold_start_formulas("math", config.cold_formulas, 0)
    long = sum(len(text) + 1 > config.max_tokens for text in written)  # and the end
    assert (learnt.formulas, learnt.too_long) == (len(written) - long, long)
    assert long
    shown = StringIO()
    View(Console(file=shown)).warm(asdict(learnt), {"pass_at_1": 0.5, "problems": 4})
    assert f"{long} of {len(written)} formulas left out, longer than [meta] max_tokens" in (
        " ".join(shown.getvalue().split())
    )
    with pytest.raises(ConfigError, match="each of the 20 cold-start formulas is longer than 2"):
        cold_start(meta, replace(config, max_tokens=2), "math", 0, tmp_path)


def test_a_meta_optimizer_that_cannot_be_sampled_ends_the_run(tmp_path: Path) -> None:
    values = {"beta": 0.0, "updates": 1, "steps": 3, "probe": 2}
    settings = RunConfig(meta=replace(SMALL, **values))  # type: ignore[arg-type]
    with closing(Store.create(tmp_path / "run", "t", 0, {"meta": {"steps": 1}}, {})) as store:
        grpo = Grpo(Context(a_run(settings, store), Policy("", ""), None))
        try:
            grpo.propose(1, [])
            grpo.learn(1, [0.1, 0.2, 0.3, 0.4])
            with torch.no_grad():
                next(grpo.trainer.model.parameters()).fill_(math.nan)
            with pytest.raises(JobFailed, match="step 2, the meta-optimizer: training diverged: "):
                grpo.propose(2, [])
        finally:
            grpo.close()


def test_trl_learns_from_scores_apart(tmp_path: Path) -> None:
    values = {"beta": 0.0, "updates": 1, "steps": 1, "probe": 2, "rewards": "apart"}
    settings = RunConfig(meta=replace(SMALL, **values))  # type: ignore[arg-type]
    with closing(Store.create(tmp_path / "run", "t", 0, {"meta": {"steps": 1}}, {})) as store:
        grpo = Grpo(Context(a_run(settings, store), Policy("", ""), None))
        try:
            grpo.propose(1, [])
            grpo.learn(1, [0.1, 0.2, 0.3, -1.0])
        finally:
            grpo.close()
        (seen,) = grpo.trainer._logs["rewards"].values()
        assert list(seen) == pytest.approx(apart([0.1, 0.2, 0.3, -1.0]))


def test_the_history_stands_before_the_question(folders: dict[str, Path]) -> None:
    past = [("g3", 0.25), ("g1 + 0.5*g4", 0.75)]
    tiny = build_meta_optimizer(SMALL, SUITE, 0)
    assert prompt_with_history(tiny, SUITE, past) == (
        "reward = g3  # 0.250\nreward = g1 + 0.5*g4  # 0.750\nreward = "
    )
    plain = build_meta_optimizer(replace(SMALL, model=str(folders["plain"])), SUITE, 0)
    prompt = prompt_with_history(plain, SUITE, past)
    assert isinstance(prompt, str)
    assert prompt.endswith("\nreward = g3  # 0.250\nreward = g1 + 0.5*g4  # 0.750\nreward = ")
    chat = build_meta_optimizer(replace(SMALL, model=str(folders["chat"])), SUITE, 0)
    messages = prompt_with_history(chat, SUITE, past)
    assert isinstance(messages, list)
    assert "best last:\n0.250: g3\n0.750: g1 + 0.5*g4\n" in messages[1]["content"]
    for meta in (tiny, plain, chat):
        assert prompt_with_history(meta, SUITE, []) == meta.prompt


@pytest.mark.parametrize(
    ("completion", "formula"),
    [
        ("\n g1 + g2 \nbecause", "g1 + g2"),
        ("```python\n0.5 * g1\n```", "0.5 * g1"),
        ([{"role": "assistant", "content": "`g1`"}], "g1"),
        ("", ""),
    ],
)
def test_the_formula_of_a_completion(completion: Any, formula: str) -> None:
    assert formula_text(completion) == formula


# Cold start


def test_a_cold_start_is_saved_as_it_was_trained(tmp_path: Path) -> None:
    meta = build_meta_optimizer(SMALL, SUITE, 0)
    before = weights(meta.model)
    assert cold_start(meta, SMALL, SUITE, 0, tmp_path).steps == 2
    assert not same(before, weights(meta.model))
    loaded = load_meta_optimizer(SMALL, SUITE, tmp_path)
    assert same(weights(meta.model), weights(loaded.model))
    assert loaded.prompt == meta.prompt


def test_formulas_of_the_shared_file(shared_data: Path) -> None:
    path = shared_data / "derl" / "cold_start.txt"
    found = read_formulas(path, SUITE)
    lines = [line for line in path.read_text("utf-8").splitlines() if line.strip()]
    assert len(found.formulas) + found.left_out == len(lines)
    assert (len(found.formulas), found.left_out) == (120, 10)
    assert share_valid(found.formulas, SUITE) == 1


def test_a_cold_start_learns_the_formulas_of_its_file(tmp_path: Path) -> None:
    text = "g1 + 0.5 * g2\n\ng1 + g9\n1 +\n"
    (tmp_path / "formulas.txt").write_text(text)
    (tmp_path / "run.toml").write_text("[meta]\ncold_file = 'formulas.txt'\n")
    file = load_config(tmp_path / "run.toml").meta.cold_file
    assert file == str(tmp_path / "formulas.txt")
    config = replace(
        SMALL, cold_file=file, cold_steps=60, cold_valid=1.0, cold_batch=4, cold_learning_rate=1e-2
    )
    meta = build_meta_optimizer(config, SUITE, 0)
    heard: list[dict[str, float]] = []
    cold_start(meta, config, SUITE, 0, tmp_path / "cold", lambda *news: heard.append(news[2]))
    assert heard[0] == {"formulas": 1, "left out": 2}
    assert sample_formulas(meta, config, 8, seed=0).count("g1 + 0.5 * g2") >= 6


def test_files_of_formulas_that_cannot_be_learnt(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("[meta]\ncold_file = 'none.txt'\n")
    with pytest.raises(ConfigError, match=r"run\.toml: \[meta\] cold_file: no such file"):
        load_config(tmp_path / "run.toml")
    (tmp_path / "bad.txt").write_text("g9\n\ng1 +\n")
    with pytest.raises(ConfigError, match=r"none of the 2 lines of .*bad\.txt is a formula"):
        read_formulas(tmp_path / "bad.txt", SUITE)
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_formulas(tmp_path / "bad.txt", SUITE)


def test_with_a_history_the_cold_start_sees_histories() -> None:
    from derl_trainers.outer.cold_start import _lessons

    config = replace(SMALL, history=3)
    meta = build_meta_optimizer(config, SUITE, 0)
    formulas = cold_start_formulas(SUITE, 40, 0)
    rows = _lessons(meta, config, SUITE, formulas, 0)
    assert [row["completion"] for row in rows] == formulas
    shown = [row["prompt"].count("  # ") for row in rows]
    assert set(shown) == {0, 1, 2, 3}
    for row in rows:
        scores = [line.rsplit("# ")[-1] for line in row["prompt"].splitlines()[:-1]]
        assert scores == sorted(scores)
    assert rows == _lessons(meta, config, SUITE, formulas, 0)
    fixed = _lessons(meta, SMALL, SUITE, formulas, 0)
    assert {row["prompt"] for row in fixed} == {"reward = "}


# LoRA, and the outer GRPO


def args(folder: Path, **settings: Any) -> Any:
    shared = {
        "max_steps": 2, "per_device_train_batch_size": 4, "num_generations": 4,
        "steps_per_generation": 1, "max_completion_length": 24, "beta": 0.1, "learning_rate": 1e-2,
    }  # fmt: skip
    return grpo_config(folder, 0, 1, {}, **{**shared, **settings})


def by_chance(completions: list[Any], **_: Any) -> list[float]:
    rng = random.Random(str(completions))
    return [rng.random() for _ in completions]


def test_lora_is_merged_after_the_cold_start_and_fresh_in_the_search(
    tmp_path: Path, folders: dict[str, Path]
) -> None:
    pytest.importorskip("peft")
    config = replace(
        SMALL, model=str(folders["chat"]), lora_rank=2, lora_alpha=8, lora_targets=("q_proj",),
        cold_learning_rate=1e-2,
    )  # fmt: skip
    meta = build_meta_optimizer(config, SUITE, 0)
    untrained = weights(meta.model)
    cold_start(meta, config, SUITE, 0, tmp_path / "cold")
    cold = weights(meta.model)
    changed = [name for name in cold if not torch.equal(cold[name], untrained[name])]
    assert changed
    assert all("q_proj" in name for name in changed)
    with quiet():
        meta = load_meta_optimizer(config, SUITE, tmp_path / "cold")
        assert same(cold, weights(meta.model))
        trainer = meta_trainer(RunConfig(meta=config), meta, by_chance, args(tmp_path))
        trainer.train()
        first = next(log for log in trainer.state.log_history if "kl" in log)
        trained = sample_formulas(meta, config, 6, seed=0)
        save_trained(trainer, tmp_path / "trained")
    # The reference is the cold-started model: no distance before the first update.
    assert first["kl"] == 0
    again = load_meta_optimizer(config, SUITE, tmp_path / "trained")
    assert not same(cold, weights(again.model))
    assert trained == sample_formulas(again, config, 6, seed=0)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "trained")
    changed = [name for name in cold if not torch.equal(cold[name], plain.state_dict()[name])]
    assert changed
    assert all("q_proj" in name for name in changed)


def test_the_prompt_of_each_step_is_asked_for_once_and_shared_by_the_group(tmp_path: Path) -> None:
    config = replace(SMALL, history=2, cold_steps=0)
    meta = build_meta_optimizer(config, SUITE, 0)
    cold_start(meta, config, SUITE, 0, tmp_path / "cold")
    meta = load_meta_optimizer(config, SUITE, tmp_path / "cold")
    past: list[tuple[str, float]] = []
    seen = []

    def prompt() -> Any:
        return prompt_with_history(meta, SUITE, past[-config.history :])

    def reward(prompts: list[str], completions: list[str], **rest: Any) -> list[float]:
        seen.append(prompts)
        past.append((f"g{len(past) + 1}", 0.5))
        return by_chance(completions)

    with quiet():
        trainer = meta_trainer(
            RunConfig(meta=config), meta, reward, args(tmp_path, max_steps=6, num_iterations=2),
            prompt=prompt,
        )  # fmt: skip
        trainer.train()
    one, two = "reward = g1  # 0.500\n", "reward = g2  # 0.500\n"
    assert seen == [["reward = "] * 4, [one + "reward = "] * 4, [one + two + "reward = "] * 4]


def test_the_search_begins_at_the_cold_started_model(tmp_path: Path) -> None:
    meta = build_meta_optimizer(SMALL, SUITE, 0)
    cold_start(meta, SMALL, SUITE, 0, tmp_path / "cold")
    meta: MetaOptimizer = load_meta_optimizer(SMALL, SUITE, tmp_path / "cold")
    with quiet():
        trainer = meta_trainer(RunConfig(meta=SMALL), meta, by_chance, args(tmp_path))
        assert same(weights(trainer.ref_model), weights(meta.model))
        trainer.train()
        save_trained(trainer, tmp_path / "trained")
    loaded = load_meta_optimizer(SMALL, SUITE, tmp_path / "trained")
    assert same(weights(trainer.model), weights(loaded.model))
    assert not same(weights(trainer.ref_model), weights(loaded.model))


def test_models_are_found_from_the_config(tmp_path: Path) -> None:
    for name in ("mine", "smollm2"):
        (tmp_path / name).mkdir()

    def found(model: str) -> str:
        (tmp_path / "run.toml").write_text(f"[meta]\nmodel = '{model}'\n")
        return load_config(tmp_path / "run.toml").meta.model

    assert found("mine") == str(tmp_path / "mine")
    assert found("sub/mine.gguf") == str(tmp_path / "sub" / "mine.gguf")
    assert found("smollm2") == "smollm2"
    assert found("someone/model") == "someone/model"
