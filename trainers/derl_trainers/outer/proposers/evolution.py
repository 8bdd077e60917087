"""`evolution`: formulas bred from those that scored best."""

from __future__ import annotations

import random
from collections.abc import Sequence

from derl_dsl.generate.unparse import expression_text
from derl_grammar import nodes as n
from derl_grammar.diagnostics import Report
from derl_grammar.parser import parse
from derl_grammar.spans import Source
from derl_trainers.outer.judge import judge
from derl_trainers.outer.prompts import suite_scope
from derl_trainers.outer.proposers.base import Context, Past, Proposer, distinct, step_random
from derl_trainers.outer.proposers.trees import Trees

_TRIES = 100  # offspring that are looked at for one with a new key


class Evolution(Proposer):
    """Offspring of the best formulas so far, as many of them as a step has formulas.

    A parent is the best of a few drawn among these (tournament); meta-rewards of equal formulas are
    averaged. An offspring is a crossover of two parents or a mutation of one; some formulas are
    fresh. All pass the checker, and none equals another or an earlier one while such are found. No
    formula is proposed again to survive: what it scored is known.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.suite = context.suite
        self.scope = suite_scope(context.suite)

    def write(self, step: int, past: Sequence[Past]) -> list[str]:
        """Formulas that check; the first step's are fresh ones of the grammar."""
        count = self.config.meta.formulas
        trees = Trees(self.scope, step_random(self.config, step))
        parents = [tree for text, _ in distinct(past) if (tree := _read(text)) is not None][:count]
        known = {item.key for item in past if item.key is not None}
        found: list[str] = []
        for _ in range(count):
            text, key = self._new(trees, parents, known)
            known.add(key)
            found.append(text)
        return found

    def _new(self, trees: Trees, parents: Sequence[n.Expr], known: set[str]) -> tuple[str, str]:
        """A formula that checks and its key, which is new unless none was found for long."""
        usable: tuple[str, str] | None = None
        tries = 0
        while usable is None or tries < _TRIES:
            tries += 1
            tree = self._offspring(trees, parents)
            text = expression_text(tree) if tree is not None else ""
            key = judge(text, self.suite).key if text else None
            if key is not None:
                usable = (text, key)
                if key not in known:
                    break
        return usable

    def _offspring(self, trees: Trees, parents: Sequence[n.Expr]) -> n.Expr | None:
        settings, rng = self.config.proposer.evolution, trees.rng
        if not parents or rng.random() < settings.fresh:
            return trees.fresh()
        one = _chosen(parents, settings.tournament, rng)
        if rng.random() < settings.crossover:
            return trees.crossed(one, _chosen(parents, settings.tournament, rng))
        return trees.mutated(one)


def _chosen(ranked: Sequence[n.Expr], tournament: int, rng: random.Random) -> n.Expr:
    """The best of some drawn with replacement; `ranked` has the best first."""
    return ranked[min(rng.randrange(len(ranked)) for _ in range(tournament))]


def _read(text: str) -> n.Expr | None:
    """The tree of a formula without named parts, such as all that are proposed here."""
    program = parse(text, Report(Source(text)))
    return program.reward if program is not None and not program.parts else None
