"""What a policy has read so far of many texts at once, none of which is read twice.

Keys and values lie in one buffer a layer, row k's next token at row k's next place: texts of
unequal length leave no holes to attend over, and reading more copies nothing that was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import Cache, PreTrainedModel
from transformers.cache_utils import DynamicLayer


class Reader:
    """Texts in progress, one a row; all rows are read together."""

    def __init__(self, model: PreTrainedModel, rows: int) -> None:
        self.model = model
        self.read_so_far = torch.zeros(rows, dtype=torch.long, device=model.device)
        self.layers = [_Layer() for _ in range(model.config.num_hidden_layers)]
        self.cache = Cache(layers=self.layers)

    def read(self, tokens: Sequence[Sequence[int]]) -> torch.Tensor:
        """Read more of each row; the logits after its last token, (rows, vocabulary).

        Those of a row without new tokens mean nothing.
        """
        counts = torch.tensor([len(new) for new in tokens])
        length = int(counts.max())
        ids = torch.zeros((len(tokens), length), dtype=torch.long)
        for row, new in enumerate(tokens):
            if new:
                ids[row, length - len(new) :] = torch.tensor(new)
        # Tokens end where the tensor does; what is before them goes to places that are read anew.
        counts = counts.to(self.model.device)
        order = (torch.arange(length, device=self.model.device) + counts[:, None]) % length
        places = self.read_so_far[:, None] + order
        extent = int(places.max()) + 1
        for layer in self.layers:
            layer.places, layer.extent = places, extent
        seen = torch.arange(extent, device=self.model.device) <= places[:, :, None]
        out = self.model(
            input_ids=ids.to(self.model.device),
            attention_mask=seen[:, None],
            position_ids=places,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self.read_so_far += counts
        logits: torch.Tensor = out.logits[:, -1].float().cpu()
        return logits

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone, in this order."""
        if list(rows) == list(range(len(self.read_so_far))):
            return
        chosen = torch.tensor(rows, dtype=torch.long, device=self.model.device)
        self.read_so_far = self.read_so_far[chosen]
        for layer in self.layers:
            layer.keep(chosen)


class _Layer(DynamicLayer):  # type: ignore[misc]
    """Keys and values of a layer, (rows, heads, room, width); new ones go to `places`."""

    places: torch.Tensor
    extent: int

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Put the new ones into their places; all up to `extent`."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys = self.values = key_states[:, :, :0]
        self.keys = self._put(self.keys, key_states)
        self.values = self._put(self.values, value_states)
        return self.keys[:, :, : self.extent], self.values[:, :, : self.extent]

    def keep(self, rows: torch.Tensor) -> None:
        """Forget all other rows."""
        if self.is_initialized:
            self.keys = self.keys[rows, :, : self.extent]
            self.values = self.values[rows, :, : self.extent]

    def _put(self, held: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        rows, heads, room, width = held.shape
        if room < self.extent:
            # Zeros, for what is masked must still be a number.
            more = held.new_zeros((rows, heads, 2 * self.extent, width))
            more[:, :, :room] = held
            held = more
        held[torch.arange(rows, device=held.device)[:, None], :, self.places] = new.transpose(1, 2)
        return held
