"""What several completions share of their prompts is read once, and changes no gradient."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from transformers import (
    MistralConfig,
    MistralForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    OpenAIGPTConfig,
    OpenAIGPTLMHeadModel,
    OPTConfig,
    OPTForCausalLM,
)

from derl_trainers.inner import prefixes
from derl_trainers.inner.completions import log_probs
from derl_trainers.inner.prefixes import distinct, passes
from derl_trainers.policy.loading import fixed_tokenizer
from tests.trainers.test_lean import WORDS, gpt2, llama

PROMPTS, GROUP, ASKED, WRITTEN = 3, 4, 9, 12
SIZES = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "max_position_embeddings": 64,
}  # fmt: skip


def tokens():
    return fixed_tokenizer([*WORDS, " "], r"\w+|\s")


def mistral(tokenizer, window=None):
    return MistralForCausalLM(
        MistralConfig(vocab_size=len(tokenizer), sliding_window=window, **SIZES)
    )


def windowed(tokenizer):
    return mistral(tokenizer, 6)


def mixtral(tokenizer, **more):
    sizes = {**SIZES, "num_local_experts": 4, "num_experts_per_tok": 2, **more}
    return MixtralForCausalLM(MixtralConfig(vocab_size=len(tokenizer), **sizes))


def opt(tokenizer):
    """A model that counts positions from the mask."""
    none = {"dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0}
    size = {"hidden_size": 32, "ffn_dim": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = OPTConfig(vocab_size=len(tokenizer), word_embed_proj_dim=32, **size, **none)
    return OPTForCausalLM(config)


def uncached(tokenizer):
    none = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    size = {"vocab_size": len(tokenizer), "n_positions": 64, "n_embd": 32, "n_layer": 2}
    return OpenAIGPTLMHeadModel(OpenAIGPTConfig(n_head=2, **size, **none))


def rows(own=False):
    """Groups in no order, prompts padded on the left and completions on the right, and their masks.

    With `own` each completion has a prompt of its own.
    """
    draw = torch.Generator().manual_seed(1)
    count = PROMPTS * GROUP
    mixed = torch.arange(count) if own else torch.randperm(count, generator=draw) % PROMPTS
    prompts = torch.randint(3, 40, (count, ASKED), generator=draw)[mixed]
    asked = torch.arange(ASKED) >= (mixed % PROMPTS * 3)[:, None]
    lengths = torch.randint(1, WRITTEN + 1, (count, 1), generator=draw)
    lengths[5] = 0  # one that is cut and counts nothing
    completions = torch.randint(3, 40, (count, WRITTEN), generator=draw)
    written = torch.arange(WRITTEN) < lengths
    return torch.cat([prompts, completions], 1), torch.cat([asked, written], 1).long()


def taken(build, shared, given, half=False, size=None):
    """Log-probabilities, entropies, gradients, and the shapes of what went through the model."""
    torch.manual_seed(0)
    model = build(tokens()).train()
    seen = []
    model.register_forward_pre_hook(
        lambda _, __, named: seen.append(tuple(named["input_ids"].shape)), with_kwargs=True
    )
    cast = torch.autocast("cpu", torch.bfloat16) if half else nullcontext()
    trainer = SimpleNamespace(accelerator=SimpleNamespace(autocast=lambda: cast), temperature=0.9)

    def of(logits, tokens, rows):
        assert logits.dtype == torch.float32
        assert torch.equal(tokens, given[0][rows, ASKED : ASKED + tokens.shape[1]])
        each = logits.log_softmax(-1)
        chosen = each.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
        return chosen, -(each.exp() * each).sum(-1)

    logs, entropies, _ = log_probs(trainer, model, *given, WRITTEN, size, of, shared)
    weights = torch.randn(logs.shape, generator=torch.Generator().manual_seed(2))
    (logs * weights).sum().backward()
    gradients = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    return logs.detach(), entropies.detach(), gradients, seen


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """A part is worth a product whatever its size."""
    monkeypatch.setattr(prefixes, "LEAST", 1)


def test_few_tokens_are_one_part(monkeypatch):
    monkeypatch.undo()
    *_, seen = taken(llama, True, rows())
    assert [count for count, _ in seen] == [PROMPTS, PROMPTS * GROUP]


@pytest.mark.parametrize("size", [None, 5, 3])
@pytest.mark.parametrize("build", [llama, gpt2, opt, mistral, mixtral])
def test_prompts_that_are_read_once_change_nothing(build, size):
    given = rows()
    *ours, seen = taken(build, True, given, size=size)
    *theirs, whole = taken(build, False, given)
    for mine, its in zip(ours, theirs, strict=True):
        assert torch.allclose(mine, its, atol=2e-5, rtol=1e-4)
    assert theirs[2].abs().max() > 1
    assert whole == [(12, 21)]
    assert seen[0] == (PROMPTS, ASKED - 1)
    assert sum(count for count, _ in seen[1:]) == PROMPTS * GROUP
    assert max(count for count, _ in seen[1:]) <= (size or 3)
    assert sum(a * b for a, b in seen) < 0.8 * 12 * 21


def test_so_it_is_in_bfloat16():
    given = rows()
    *ours, seen = taken(llama, True, given, half=True)
    *theirs, _ = taken(llama, False, given, half=True)
    assert len(seen) > 1
    fine = taken(llama, False, given)
    for mine, its, exact in zip(ours, theirs, fine, strict=False):
        # As far from what is exact as those that read every row, or nearer.
        ours_off, theirs_off = (mine - exact).norm(), (its - exact).norm()
        assert 0.1 * theirs_off < ours_off < 1.2 * theirs_off


def checkpointed(tokenizer):
    model = llama(tokenizer)
    model.gradient_checkpointing_enable()  # of the oldest version that is supported too
    return model


def routed(tokenizer):
    """A model that takes a loss of its routers, which see no prompt that is read apart."""
    return mixtral(tokenizer, output_router_logits=True)


def test_no_more_prompts_are_read_at_once_than_rows():
    *_, seen = taken(llama, True, rows(), size=2)
    assert seen == [(2, ASKED + WRITTEN)] * 6


@pytest.mark.parametrize("build", [checkpointed, routed])
def test_a_model_that_keeps_nothing_to_go_on_from_reads_all_at_once(build):
    given = rows()
    *ours, seen = taken(build, True, given)
    *theirs, _ = taken(build, False, given)
    assert seen == [(12, 21)]
    for mine, its in zip(ours, theirs, strict=True):
        assert torch.equal(mine, its)


@pytest.mark.parametrize("build", [windowed, uncached])
def test_a_model_from_which_no_rows_can_be_picked_reads_them_all(build):
    given = rows()
    *ours, seen = taken(build, True, given)
    *theirs, _ = taken(build, False, given)
    for mine, its in zip(ours, theirs, strict=True):
        assert torch.equal(mine, its)
    assert seen[-1] == (12, 21)


def test_prompts_of_one_completion_each_are_no_pass_of_their_own():
    ids, mask = rows(own=True)
    mask[:, ASKED:] = 1
    *_, seen = taken(llama, True, (ids, mask))
    assert seen == [(12, 21)]


def test_a_prompt_of_one_token_is_none_that_is_read():
    ids, mask = rows()
    given = ids[:, ASKED - 1 :], mask[:, ASKED - 1 :]
    assert passes(llama(tokens()), *given, WRITTEN, 12) is None


def test_prompts_that_differ_in_padding_alone_are_two():
    ids = torch.tensor([[0, 5], [0, 5], [0, 5], [0, 7]])
    mask = torch.tensor([[0, 1], [1, 1], [0, 1], [0, 1]])
    found, masks, which = distinct(ids, mask)
    assert torch.equal(found[which], ids)
    assert torch.equal(masks[which], mask)
    assert len(found) == 3
