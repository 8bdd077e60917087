"""One batch of rollouts: columns are read, primitives evaluated, each once."""

from __future__ import annotations

from typing import Any

from derl_runtime.cache import CACHE, Cache
from derl_runtime.faults import FaultLog
from derl_runtime.frames import as_columns
from derl_runtime.golds import apply_to_golds
from derl_runtime.reading import Reader, Whole
from derl_runtime.sources import Apply, Column, Literal, Source
from derl_runtime.values import Values


class Batch(Reader):
    """One batch of rollouts: evaluates each input once and collects the faults.

    `columns` is a mapping from names to columns, or what `as_columns` makes one of.
    """

    def __init__(
        self,
        columns: Any,
        rows: int | None = None,
        log: FaultLog | None = None,
        cache: Cache = CACHE,
        of: Whole | None = None,
    ) -> None:
        super().__init__(as_columns(columns), rows, log, cache, of)
        self._done: dict[Source, Values] = {}

    def values(self, source: Column | Apply) -> Values:
        """The values of an input, each computed once per batch."""
        if source not in self._done:
            self._done[source] = self._evaluate(source)
        return self._done[source]

    def _evaluate(self, source: Column | Apply) -> Values:
        if isinstance(source, Column):
            return self.read(source.name, source.type)
        if source.name is not None and source.name in self.columns:
            return self.read(source.name, source.type)
        inputs = [a.value if isinstance(a, Literal) else self.values(a) for a in source.args]
        return apply_to_golds(self, source, inputs)
