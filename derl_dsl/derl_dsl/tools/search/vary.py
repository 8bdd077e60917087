"""New terms: grown at random, and made from others by mutation and crossover."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from derl_dsl.tools.search.forest import Forest, Term
from derl_dsl.tools.search.forms import FORMS, LEVELS, NAMED, WEIGHTS, Form

Item = TypeVar("Item")

_TRIES = 8
_FRESH = 8  # the most names, numbers and operations of what is grown into a term


class Variation:
    """Draws terms of one forest."""

    def __init__(self, forest: Forest, rng: random.Random) -> None:
        self.forest = forest
        self.random = rng.random
        kinds = [t.kind for t in forest.terms]
        self.features = {
            "C": [i for i, k in enumerate(kinds) if k == "C"],
            "N": [i for i, k in enumerate(kinds) if k == "N"],
            # What has no two cuts cannot be scaled.
            "W": [i for i, k in enumerate(kinds) if k != "C" and len(forest.features[i].cuts) > 1],
        }
        able = [f for f in FORMS if "W" not in f.takes or self.features["W"]]
        if not self.features["W"] and not self.features["C"]:
            able = [f for f in able if "C" not in f.takes or f.name == "if"]
        # A form as often as its rate, so that one draw from a list is enough.
        self._able = {k: [f for f in able if f.result == k for _ in range(f.rate)] for k in "NC"}
        self._small = {
            k: [f for f in fs if f.takes in ("W", "") or (f.takes == "C" and self.features["C"])]
            for k, fs in self._able.items()
        }
        self._around = {k: [f for f in fs if k in f.takes] for k, fs in self._able.items()}
        self._peers = {f.code: [g for g in able if g is not f and _alike(f, g)] for f in FORMS}

    def fresh(self, kind: str, size: int) -> int | None:
        """A random term of about `size` names, numbers and operations."""
        for _ in range(_TRIES):
            found = self._grow(kind, size)
            if found is not None:
                return found
        return None

    def _grow(self, kind: str, size: int) -> int | None:
        features = self.features[kind]
        if kind == "W":
            return self._pick(features)
        if features and self.random() < (0.6 if size <= 3 else 0.1):
            return self._pick(features)
        forms = self._small[kind] if size <= 4 else self._able[kind]
        forms = forms or self._able[kind]
        if not forms or size < -_TRIES:
            return self._pick(features) if features else None
        form = self._pick(forms)
        left = size - 1 - len(form.literals)
        args = []
        for k in form.takes:
            part = 1 + int(self.random() * left) if len(form.takes) > 1 else left
            arg = self._grow(k, part)
            if arg is None:
                return None
            args.append(arg)
            left -= part
        return self.forest.make(form, tuple(args), self._numbers(form, args))

    def _pick(self, of: Sequence[Item]) -> Item:
        return of[int(self.random() * len(of))]

    def _numbers(self, form: Form, args: Sequence[int]) -> tuple[float, ...]:
        if not form.literals:
            return ()
        if form.literals[0] != "cut":
            values = WEIGHTS if form.literals[0] == "weight" else LEVELS
            return (values[int(self.random() * len(values))],)
        cuts = self.forest.features[self.forest.terms[args[0]].feature].cuts
        first = int(self.random() * len(cuts))
        if len(form.literals) == 1:
            return (cuts[first],)
        second = int(self.random() * (len(cuts) - 1))
        second += second >= first
        return (cuts[min(first, second)], cuts[max(first, second)])

    # From others

    def mutated(self, term: int) -> int | None:
        """A term with one place changed."""
        return self._edited(term, self._changed)

    def crossed(self, term: int, donor: int) -> int | None:
        """A term with one place taken from another."""
        return self._edited(term, lambda at: self._taken(self.forest.terms[at].kind, donor))

    def _edited(self, term: int, change: Callable[[int], int | None]) -> int | None:
        """The term with `change` made at a random place of it."""
        terms, whole = self.forest.terms, self.forest.terms[term].size
        place = int(self.random() * whole)
        path: list[tuple[Term, int]] = []
        below: int | None = term
        while below is not None:
            term, at, below = below, terms[below], None
            for k, arg in enumerate(at.args):
                size = terms[arg].size
                if place < size:
                    path.append((at, k))
                    below = arg
                    break
                place -= size
        found = change(term)
        # Too large a whole is seen before its parts are made.
        if found is None or whole + terms[found].size - at.size > self.forest.largest:
            return None
        for at, k in reversed(path):
            found = self._with(at, k, found)
            if found is None:
                return None
        return found

    def _with(self, at: Term, k: int, arg: int) -> int | None:
        """A term with another argument in place k."""
        form, kind = at.form, self.forest.terms[arg].kind
        assert form is not None
        wanted = form.takes[k]
        if kind != wanted and not (wanted == "W" and kind == "N"):
            return None
        args = (*at.args[:k], arg, *at.args[k + 1 :])
        numbers = at.numbers
        if wanted == "W":
            # Cuts belong to the feature that they cut.
            if self.forest.terms[arg].form is not None:
                return None
            numbers = self._numbers(form, args)
        return self.forest.make(form, args, numbers)

    def _changed(self, term: int) -> int | None:
        at = self.forest.terms[term]
        if at.kind == "W" or (at.form is None and self.random() < 0.5):
            return self._other(term, at.kind)
        draw = self.random()
        if at.form is not None and draw < 0.6:
            peers = self._peers[at.form.code]
            if at.numbers and draw < 0.3:
                return self.forest.make(at.form, at.args, self._retuned(at))
            if peers and draw < 0.45:
                return self.forest.make(self._pick(peers), at.args, at.numbers)
            # One of its own arguments in its place.
            same = [a for a in at.args if self.forest.terms[a].kind == at.kind]
            if same:
                return self._pick(same)
        if draw < 0.8:
            return self._wrapped(term, at.kind)
        return self.fresh(at.kind, 1 + int(self.random() * _FRESH))

    def _other(self, term: int, kind: str) -> int | None:
        """Another feature of the kind."""
        features = self.features[kind]
        if len(features) < 2:
            return None
        found = features[int(self.random() * (len(features) - 1))]
        return features[-1] if found == term else found

    def _retuned(self, at: Term) -> tuple[float, ...]:
        """Other numbers for a term, if a second draw finds some."""
        assert at.form is not None
        found = self._numbers(at.form, at.args)
        return self._numbers(at.form, at.args) if found == at.numbers else found

    def _wrapped(self, term: int, kind: str) -> int | None:
        """The term as an argument of a new one of its kind, beside fresh ones."""
        form = self._pick(self._around[kind])
        place = form.takes.index(kind)
        args = []
        for k, wanted in enumerate(form.takes):
            arg = term if k == place else self.fresh(wanted, 1 + int(self.random() * _FRESH))
            if arg is None:
                return None
            args.append(arg)
        return self.forest.make(form, tuple(args), self._numbers(form, args))

    def _taken(self, kind: str, donor: int) -> int | None:
        """A part of the donor of this kind, down a random path."""
        found = []
        at: int | None = donor
        while at is not None:
            term = self.forest.terms[at]
            if term.kind == kind:
                found.append(at)
            at = term.args[int(self.random() * len(term.args))] if term.args else None
        return self._pick(found) if found else None

    def as_number(self, term: int) -> int | None:
        """A condition as a number."""
        if self.forest.terms[term].kind == "C":
            return self.forest.make(NAMED["num"], (term,))
        return term


def _alike(a: Form, b: Form) -> bool:
    return a.takes == b.takes and a.result == b.result and a.literals == b.literals
