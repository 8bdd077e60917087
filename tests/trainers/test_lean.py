"""GRPO's update on a CPU with a large vocabulary: what is left out changes no gradient."""

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import (
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaForCausalLM,
    OpenAIGPTConfig,
    OpenAIGPTLMHeadModel,
    StaticCache,
)

from derl_trainers.inner import completions, lean, sampling
from derl_trainers.inner.diverged import CheckedTrainer
from derl_trainers.inner.grpo import grpo_config
from derl_trainers.inner.lean import LeanTrainer, moving
from derl_trainers.inner.sampling import Half, generate
from derl_trainers.policy.loading import fixed_tokenizer, load_model, small_llama
from derl_trainers.policy.quiet import quiet

WORDS = [f"w{i}" for i in range(40)]
GROUP, STEPS = 4, 3


def reward(prompts, completions, **columns):
    """One of a group is right where the prompt is long, and all are the same where it is short."""
    return [float(len(p.split()) > 3 and i % GROUP == 1) for i, p in enumerate(prompts)]


def llama(tokenizer):
    """As the small policy is built."""
    return small_llama(tokenizer, 32, 64, 2, 2, 64)


def gpt2(tokenizer):
    """A model whose positions are columns, whatever is padded."""
    none = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    tokens = {"eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.eos_token_id}
    size = {"vocab_size": len(tokenizer), "n_positions": 64, "n_embd": 32, "n_layer": 2}
    return GPT2LMHeadModel(GPT2Config(n_head=2, **size, **none, **tokens))


def trained(kind, folder, updates=1, prompts="mixed", build=llama, lora=None, **trl):
    """The trainer after some steps of GRPO; the model's weights are always the same at first."""
    tokenizer = fixed_tokenizer([*WORDS, " "], r"\w+|\s")
    torch.manual_seed(0)
    # From a folder, from which TRL reads the reference of the KL term.
    build(tokenizer).save_pretrained(folder / "start")
    tokenizer.save_pretrained(folder / "start")
    model, tokenizer = load_model(folder / "start")
    lengths = [2] if prompts == "flat" else [2, 4, 5, 3]
    rows = [{"prompt": " ".join(WORDS[i : i + lengths[i % len(lengths)]])} for i in range(20)]
    settings = {
        "max_steps": STEPS * updates,
        "per_device_train_batch_size": 16 // updates,
        "steps_per_generation": updates,
        "num_generations": GROUP,
        "max_completion_length": 12,
        "temperature": 0.9,
        "learning_rate": 1e-3,
        "beta": 0.0,
    }
    args = grpo_config(folder, 1, 1, trl, **settings)
    with quiet():
        trainer = kind(
            model=model,
            reward_funcs=reward,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            peft_config=lora,
            args=args,
        )
        passes, tokens, sampled = [], [], []

        def seen(module, given):
            if torch.is_grad_enabled():  # which it is not while they sample
                passes.append(len(given[0]))
                tokens.append(given[0].numel())
            else:
                sampled.append((module.weight.dtype, len(given[0])))

        trainer.model.get_input_embeddings().register_forward_pre_hook(seen)
        trainer.train()
    trainer.sampled = sampled
    trainer.passes, trainer.tokens = passes, tokens
    return trainer


def apart(one, other):
    """The largest difference of any weight."""
    pairs = zip(one.model.parameters(), other.model.parameters(), strict=True)
    return max(float((p.detach() - q.detach()).abs().max()) for p, q in pairs)


@pytest.fixture
def large(monkeypatch):
    """A vocabulary of any size counts as large."""
    monkeypatch.setattr(lean, "LARGE", 1)


@pytest.mark.parametrize("updates", [1, 2])
def test_the_weights_are_those_of_trl(large, tmp_path, updates):
    ours = trained(LeanTrainer, tmp_path / "ours", updates)
    theirs = trained(CheckedTrainer, tmp_path / "theirs", updates)
    start = trained(LeanTrainer, tmp_path / "start", prompts="flat")
    assert apart(ours, theirs) < 2e-5
    assert apart(ours, start) > 1e-3  # they did move
    assert 0 < sum(ours.passes) < sum(theirs.passes)  # by fewer rows


@pytest.mark.parametrize("trl", [{"importance_sampling_level": "sequence"}, {"delta": 2.0}])
def test_so_they_are_with_other_ratios(large, tmp_path, trl):
    ours = trained(LeanTrainer, tmp_path / "ours", 4, **trl)
    theirs = trained(CheckedTrainer, tmp_path / "theirs", 4, **trl)
    assert apart(ours, theirs) < 2e-5


def test_so_they_are_where_positions_are_learnt(large, tmp_path):
    ours = trained(LeanTrainer, tmp_path / "ours", 4, build=gpt2)
    theirs = trained(CheckedTrainer, tmp_path / "theirs", 4, build=gpt2)
    assert apart(ours, theirs) < 2e-5


def test_completions_that_are_cut_and_masked_move_nothing(large, tmp_path):
    ours = trained(LeanTrainer, tmp_path / "ours", 4, mask_truncated_completions=True)
    theirs = trained(CheckedTrainer, tmp_path / "theirs", 4, mask_truncated_completions=True)
    assert apart(ours, theirs) < 2e-5


def test_more_than_memory_should_hold_is_left_to_trl(large, tmp_path, monkeypatch):
    monkeypatch.setattr(lean, "MOST", 100)
    ours = trained(LeanTrainer, tmp_path / "ours")
    theirs = trained(CheckedTrainer, tmp_path / "theirs")
    assert apart(ours, theirs) < 2e-5


def test_flat_groups_pass_through_no_model_and_move_nothing(large, tmp_path):
    ours = trained(LeanTrainer, tmp_path / "ours", prompts="flat")
    theirs = trained(CheckedTrainer, tmp_path / "theirs", prompts="flat")
    assert apart(ours, theirs) == 0
    assert ours.passes == []
    assert sum(theirs.passes) == 16 * STEPS


OTHER = ({"loss_type": "grpo"}, {"loss_type": "bnpo"}, {"beta": 0.1}, {"top_entropy_quantile": 0.3})


@pytest.mark.parametrize("trl", OTHER)
def test_other_losses_see_every_row(large, tmp_path, trl):
    ours = trained(LeanTrainer, tmp_path / "ours", **trl)
    theirs = trained(CheckedTrainer, tmp_path / "theirs", **trl)
    assert apart(ours, theirs) < 2e-5
    assert sum(ours.passes) >= 16 * STEPS


def test_a_small_vocabulary_is_left_to_trl(tmp_path):
    ours = trained(LeanTrainer, tmp_path / "ours")
    theirs = trained(CheckedTrainer, tmp_path / "theirs")
    assert apart(ours, theirs) == 0
    assert ours.passes == theirs.passes


def test_the_logged_entropy_is_that_of_the_rows_that_count(large, tmp_path):
    ours = trained(LeanTrainer, tmp_path / "ours")
    found = [log["entropy"] for log in ours.state.log_history if "entropy" in log]
    assert found
    assert all(2 < entropy < 4 for entropy in found)  # of some forty words, at first near log 44


def test_rows_and_columns_that_are_left_out():
    batch = {
        "prompt_ids": torch.tensor([[0, 0, 1], [2, 3, 4], [0, 5, 6]]),
        "prompt_mask": torch.tensor([[0, 0, 1], [1, 1, 1], [0, 1, 1]]),
        "completion_ids": torch.tensor([[1, 2, 0, 0], [1, 2, 3, 4], [1, 2, 3, 0]]),
        "completion_mask": torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 0]]),
        "old_per_token_logps": torch.zeros(3, 4),
        "advantages": torch.tensor([0.5, 0.0, -0.5]),
        "num_items_in_batch": torch.tensor(9),
    }
    kept = moving(batch)
    assert kept["prompt_ids"].tolist() == [[0, 0, 1], [0, 5, 6]]
    assert kept["completion_ids"].tolist() == [[1, 2, 0], [1, 2, 3]]
    assert kept["old_per_token_logps"].shape == (2, 3)
    assert kept["advantages"].tolist() == [0.5, -0.5]
    assert kept["num_items_in_batch"] == 9  # the divisor stays that of all
    steps = {**batch, "advantages": torch.tensor([[0.0] * 4, [0, 0, 0, 1.0], [0.0] * 4])}
    assert moving(steps)["completion_ids"].tolist() == [[1, 2, 3, 4]]
    none = moving({**batch, "advantages": torch.zeros(3)})
    assert len(none["advantages"]) == 0
    cut = {**batch, "completion_mask": torch.tensor([[0] * 4, [1] * 4, [1, 1, 0, 0]])}
    assert moving(cut)["completion_ids"].tolist() == [[1, 2]]  # one that is masked counts nothing


def telling(build, tokenizer):
    """A model of which what is written depends on what was read."""
    torch.manual_seed(0)
    model = build(tokenizer).eval()
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() > 1:
                weights.mul_(10)
    return model


def prompts_of_groups(tokenizer):
    """Three prompts of different lengths, padded on the left, in groups of four."""
    texts = [" ".join(WORDS[:length]) for length in (2, 6, 3)]
    asked = tokenizer(texts, padding=True, padding_side="left", return_tensors="pt")
    return (asked[name].repeat_interleave(GROUP, 0) for name in ("input_ids", "attention_mask"))


@pytest.mark.parametrize("build", [llama, gpt2])
@pytest.mark.parametrize("more", [{"do_sample": True, "top_k": 0}, {"repetition_penalty": 1.5}])
def test_a_group_reads_its_prompt_once_and_writes_the_same(build, more):
    tokenizer = fixed_tokenizer([*WORDS, " "], r"\w+|\s")
    model = telling(build, tokenizer)
    ids, mask = prompts_of_groups(tokenizer)
    config = GenerationConfig(max_new_tokens=12, min_new_tokens=4, pad_token_id=0, **more)
    read = []
    model.register_forward_pre_hook(
        lambda module, given, named: read.append(tuple(named["input_ids"].shape)), with_kwargs=True
    )
    torch.manual_seed(1)
    theirs = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
    assert read[0] == tuple(ids.shape)
    read.clear()
    torch.manual_seed(1)
    ours = generate(model, ids, mask, config)
    assert ours.tolist() == theirs.tolist()
    assert read[:2] == [(3, ids.shape[1]), (12, 1)]


ALONE = (
    {"num_beams": 2},
    {"num_return_sequences": 2, "do_sample": True},
    {"cache_implementation": "static"},
    {"use_cache": False, "do_sample": True},
)


@pytest.mark.parametrize("of", ["call", "model"])
@pytest.mark.parametrize("more", ALONE)
def test_what_cannot_be_shared_is_read_by_every_row(more, of, monkeypatch):
    tokenizer = fixed_tokenizer([*WORDS, " "], r"\w+|\s")
    model = telling(llama, tokenizer)
    ids, mask = prompts_of_groups(tokenizer)
    config = GenerationConfig(max_new_tokens=6, pad_token_id=0, disable_compile=True)
    for name, value in more.items():
        setattr(config if of == "call" else model.generation_config, name, value)
    torch.manual_seed(1)
    theirs = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
    monkeypatch.setattr(sampling, "_read", None)  # nothing is read apart
    torch.manual_seed(1)
    assert generate(model, ids, mask, config).tolist() == theirs.tolist()


def test_a_model_that_uses_no_cache_reads_every_row():
    tokenizer = fixed_tokenizer([*WORDS, " "], r"\w+|\s")
    size = {"vocab_size": len(tokenizer), "n_positions": 64, "n_embd": 32, "n_layer": 2}
    model = telling(lambda _: OpenAIGPTLMHeadModel(OpenAIGPTConfig(n_head=2, **size)), tokenizer)
    ids, mask = prompts_of_groups(tokenizer)
    config = GenerationConfig(max_new_tokens=6, pad_token_id=0)
    theirs = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
    assert generate(model, ids, mask, config).tolist() == theirs.tolist()


class Windowed(LlamaForCausalLM):
    """A model whose caches are of no kind that can be handed on by rows."""

    def generate(self, **named):
        self.asked.append(len(named["input_ids"]))
        kept = StaticCache(config=self.config, max_cache_len=40)
        return super().generate(**named, past_key_values=kept, disable_compile=True)


def test_a_cache_that_is_not_by_rows_is_not_shared():
    tokenizer = fixed_tokenizer([*WORDS, " "], r"\w+|\s")
    model = Windowed(llama(tokenizer).config).eval()
    model.asked = []
    generate(
        model, *prompts_of_groups(tokenizer), GenerationConfig(max_new_tokens=2, pad_token_id=0)
    )
    assert model.asked == [3, 12]


def test_prompts_that_differ_in_padding_alone_are_two():
    tokenizer = fixed_tokenizer([*WORDS, " "], r"\w+|\s")
    model = telling(llama, tokenizer)
    ids = torch.tensor([[3, 3, 5, 7], [3, 3, 5, 7]])  # of which 3 may pad
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    config = GenerationConfig(max_new_tokens=12, pad_token_id=3)
    both = generate(model, ids, mask, config).tolist()
    assert (
        both
        == model.generate(input_ids=ids, attention_mask=mask, generation_config=config).tolist()
    )
    assert both[0] != both[1]


def test_the_half_follows_the_model():
    tokenizer = fixed_tokenizer([*WORDS, " "], r"\w+|\s")
    model = llama(tokenizer)
    half = Half(model)
    with torch.no_grad():
        for weights in model.parameters():
            weights.add_(1.0)
    copies = list(half.of(model).parameters())
    for mine, its in zip(copies, model.parameters(), strict=True):
        assert mine.dtype == torch.bfloat16
        assert torch.equal(mine, its.to(torch.bfloat16))
    frequencies = dict(half.model.named_buffers())
    for name, its in model.named_buffers():
        assert torch.equal(frequencies[name], its)  # positions are as fine as the model's


def test_a_trainer_reads_a_prompt_once_for_its_group(large, tmp_path):
    ours = trained(LeanTrainer, tmp_path / "ours")
    theirs = trained(CheckedTrainer, tmp_path / "theirs")
    assert ours.sampled[:2] == [(torch.float32, 4), (torch.float32, 16)]
    assert {rows for _, rows in theirs.sampled} == {16}


@pytest.mark.parametrize("trl", [{}, {"beta": 0.1}])
def test_an_update_reads_a_prompt_once(large, tmp_path, monkeypatch, trl):
    ours = trained(LeanTrainer, tmp_path / "ours", 2, **trl)
    monkeypatch.setattr(completions, "passes", lambda *_: None)
    theirs = trained(LeanTrainer, tmp_path / "theirs", 2, **trl)
    assert len(ours.passes) > len(theirs.passes)  # prompts, then completions by their lengths
    assert sum(ours.tokens) < 0.8 * sum(theirs.tokens)
    assert apart(ours, theirs) < 2e-5


LORA = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")


@pytest.mark.parametrize("lora", [None, LORA])
def test_in_bfloat16_a_copy_samples_and_the_weights_stay_as_fine_as_they_were(
    large, tmp_path, monkeypatch, lora
):
    ours = trained(LeanTrainer, tmp_path / "ours", lora=lora, bf16=True)
    assert all(p.dtype == torch.float32 for p in ours.model.parameters())
    assert {dtype for dtype, _ in ours.sampled} == {torch.bfloat16}
    assert "generate" not in vars(ours.accelerator.unwrap_model(ours.model))
    start = trained(LeanTrainer, tmp_path / "start", prompts="flat", lora=lora)
    assert apart(ours, start) > 1e-3
    # It follows: one that stays as it was writes something else once weights have moved.
    monkeypatch.setattr(sampling.Half, "of", lambda half, model: half.model)
    stale = trained(LeanTrainer, tmp_path / "stale", lora=lora, bf16=True)
    assert apart(ours, stale) > 0


def test_sampling_is_left_to_trl_with_a_small_vocabulary(tmp_path, monkeypatch):
    monkeypatch.setattr(lean, "generate", None)
    trained(LeanTrainer, tmp_path / "ours")
