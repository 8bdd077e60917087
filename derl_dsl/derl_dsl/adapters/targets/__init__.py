"""The trainers that a reward can be exported for: one file each, and a line here."""

from __future__ import annotations

from derl_dsl.adapters.targets.areal import AGENT as AREAL_AGENT
from derl_dsl.adapters.targets.areal import TARGET as AREAL
from derl_dsl.adapters.targets.art import TARGET as ART
from derl_dsl.adapters.targets.atropos import TARGET as ATROPOS
from derl_dsl.adapters.targets.base import Target
from derl_dsl.adapters.targets.ms_swift import TARGET as MS_SWIFT
from derl_dsl.adapters.targets.nemo_gym import TARGET as NEMO_GYM
from derl_dsl.adapters.targets.nemo_rl import TARGET as NEMO_RL
from derl_dsl.adapters.targets.openenv import TARGET as OPENENV
from derl_dsl.adapters.targets.openenv import TRAJECTORY as OPENENV_TRAJECTORY
from derl_dsl.adapters.targets.openrlhf import TARGET as OPENRLHF
from derl_dsl.adapters.targets.skyrl import TARGET as SKYRL
from derl_dsl.adapters.targets.slime import MILES, MILES_GROUP, SLIME, SLIME_GROUP
from derl_dsl.adapters.targets.tinker import TARGET as TINKER
from derl_dsl.adapters.targets.torchtitan import TARGET as TORCHTITAN
from derl_dsl.adapters.targets.trl import ASYNC_GRPO, TRL
from derl_dsl.adapters.targets.verifiers import TARGET as VERIFIERS
from derl_dsl.adapters.targets.verl import TARGET as VERL

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        TRL,
        ASYNC_GRPO,
        VERL,
        VERIFIERS,
        MS_SWIFT,
        OPENRLHF,
        SLIME,
        SLIME_GROUP,
        MILES,
        MILES_GROUP,
        SKYRL,
        OPENENV,
        OPENENV_TRAJECTORY,
        ATROPOS,
        AREAL,
        AREAL_AGENT,
        TINKER,
        NEMO_GYM,
        NEMO_RL,
        ART,
        TORCHTITAN,
    )
}

__all__ = ["TARGETS", "Target"]
