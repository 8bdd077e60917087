"""`prompted`: a language model that is shown what came of earlier formulas, and never trained."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from derl_trainers.outer.optimizer import (
    MetaOptimizer,
    prompt_with_history,
    sample_formulas,
)
from derl_trainers.outer.prompts import chat_prompt, formula_text
from derl_trainers.outer.proposers.base import (
    Context,
    Past,
    Proposer,
    distinct,
    step_random,
    step_seed,
)
from derl_trainers.outer.proposers.endpoint import Endpoint
from derl_trainers.policy.quiet import quiet
from derl_trainers.reading import ConfigError
from derl_trainers.settings.run import RunConfig

_FAILED = 4  # formulas shown that failed the checker: what not to write


class Prompted(Proposer):
    """The `[meta] model` as it was published, or one behind an endpoint.

    An endpoint is sent the seed of each formula; whether it then repeats its replies is up to it.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.suite = context.suite
        self._meta: MetaOptimizer | None = None

    @classmethod
    def check(cls, config: RunConfig) -> None:
        """Raise ConfigError for an endpoint that is none, or a model that reads no English."""
        settings, place = config.proposer.prompted, "[proposer.prompted]"
        if settings.url and not settings.url.startswith(("http://", "https://")):
            raise ConfigError(f"{place} url: expected http:// or https://, not {settings.url!r}")
        if settings.url and not settings.model:
            raise ConfigError(f"{place} model: the endpoint's name of the model is missing")
        if not settings.url and config.meta.built:
            raise ConfigError(
                f"{place} url: 'tiny' has read nothing yet; give an endpoint, or [meta] model = "
                "'smollm2' or another that reads English"
            )

    def write(self, step: int, past: Sequence[Past]) -> list[str]:
        """Formulas as the model writes them; raises EndpointError, ModelMissing without weights."""
        settings = self.config.proposer.prompted
        shown = history(past, settings.history)
        return self._asked(step, shown) if settings.url else self._sampled(step, shown)

    def _sampled(self, step: int, shown: Sequence[tuple[str, float]]) -> list[str]:
        settings = self.config.meta
        if self._meta is None:
            self._meta = self.context.meta()
        prompt = prompt_with_history(self._meta, self.suite, shown)
        meta = replace(self._meta, prompt=prompt)
        with quiet():
            return sample_formulas(meta, settings, settings.formulas, step_seed(self.config, step))

    def _asked(self, step: int, shown: Sequence[tuple[str, float]]) -> list[str]:
        settings, meta = self.config.proposer.prompted, self.config.meta
        endpoint = Endpoint(
            settings.url,
            settings.model,
            os.environ.get(settings.key_variable, "").strip(),
            settings.timeout,
            settings.tries,
        )
        messages = chat_prompt(self.suite, shown)
        rng = step_random(self.config, step)
        seeds = [rng.getrandbits(31) for _ in range(meta.formulas)]
        return [
            formula_text(endpoint.complete(messages, meta.temperature, meta.max_tokens, seed))
            for seed in seeds
        ]


def history(past: Sequence[Past], count: int) -> list[tuple[str, float]]:
    """What the prompt shows: the last few that failed, then the best, which come last."""
    failed = [(p.formula, p.meta_reward) for p in past if p.key is None and p.formula.strip()]
    known = {text: reward for text, reward in failed if reward is not None}
    return [*list(known.items())[-_FAILED:], *distinct(past)[:count][::-1]] if count else []
