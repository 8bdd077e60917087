"""The reference page of the settings, generated from the config classes themselves."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields, is_dataclass
from inspect import getdoc
from typing import Any, get_type_hints

from derl_dsl.cli.pages import main
from derl_trainers.settings.run import RunConfig, builtin_configs
from derl_trainers.settings.train import TrainConfig

_TRAIN_HEAD = """\
# Settings of `derl-dsl train`

Generated from `derl_trainers/settings/train.py` by `make docs`.

A TOML file for `--config`; what it leaves out has the default below, and `--set section.key=value`
sets any of them. `[trl]` holds further settings of TRL's `GRPOConfig` (and with it those of
accelerate, DeepSpeed and vLLM), passed on as they are: `weight_decay = 0.1`, `use_vllm = true`,
`gradient_accumulation_steps = 4`. What other sections decide, such as `max_steps`, is refused.
"""
_HEAD = """\
# Settings of `derl-dsl meta-train`

Generated from `derl_trainers/settings/sections.py` by `make docs`.

A config is a TOML file; what it leaves out has the default below. Built in: {names}.
`extends = "demo"` at the top starts from another config, built in or a file, not from the defaults.
An unknown key, a wrong type or a value out of range is an error that names file, section and key.
`[trl]` holds further settings of TRL's `GRPOConfig` for the inner runs (and with it those of
accelerate, DeepSpeed and vLLM), `[meta.trl]` those for the outer loop, passed on as they are:
`weight_decay = 0.1`, `use_vllm = true`. What other sections decide, as `max_steps`, is refused.
"""
_TYPES: dict[Any, str] = {
    tuple[str, ...]: "list of texts",
    tuple[int, ...]: "list of whole numbers",
    int: "whole number",
    float: "number",
    str: "text",
    bool: "true or false",
}


def page() -> str:
    """The page as Markdown."""
    names = ", ".join(f"`{name}`" for name in builtin_configs())
    return _HEAD.format(names=names) + "".join(_section(RunConfig, ""))


def train_page() -> str:
    """The page of `derl-dsl train` as Markdown."""
    return _TRAIN_HEAD + "".join(_section(TrainConfig, ""))


def _section(kind: type[Any], name: str) -> list[str]:
    hints = get_type_hints(kind)
    plain = [f for f in fields(kind) if "doc" in f.metadata]
    title = f"`[{name}]`" if name else "Top level"
    lines = [f"\n## {title}\n\n{getdoc(kind)}\n\n"]
    lines += ["| key | default | what | expected |\n", "|---|---|---|---|\n"]
    lines += [f"| {' | '.join(_row(f, hints[f.name]))} |\n" for f in plain]
    for f in fields(kind):
        if is_dataclass(hints[f.name]):
            lines += _section(hints[f.name], f"{name}.{f.name}" if name else f.name)
    return lines


def _row(field: Field[Any], kind: type[Any]) -> tuple[str, str, str, str]:
    assert field.default is not MISSING
    default = f'"{field.default}"' if isinstance(field.default, str) else _plain(field.default)
    doc = field.metadata["doc"]
    return f"`{field.name}`", f"`{default}`", doc, _expected(field.metadata, kind)


def _plain(value: Any) -> str:
    return str(list(value)) if isinstance(value, tuple) else f"{value:g}"


def _expected(limits: Any, kind: type[Any]) -> str:
    if limits["choices"]:
        return " or ".join(f'`"{c}"`' for c in limits["choices"])
    words = [_TYPES[kind]]
    if limits["least"] is not None:
        words.append(f"at least {limits['least']:g}")
    if limits["most"] is not None:
        words.append(f"at most {limits['most']:g}")
    return ", ".join(words)


PAGES = {"trainers/CONFIG.md": page, "trainers/TRAIN.md": train_page}

if __name__ == "__main__":
    main(PAGES)
