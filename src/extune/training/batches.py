"""A batch of rows becomes packs, and a pack becomes a loss. It knows nothing about optimisation.

A batch counts examples, as the recipe says. Memory only subdivides it: each pack adds its summed loss and gradient, so
that how a batch was cut cannot be seen in the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from extune.tokens.encode import EncodedRow
from extune.tokens.packing import IGNORED, collate_packed, collate_padded, split_into_lines, split_into_packs


@dataclass(frozen=True)
class BatchCollator:
    """Rows to a batch of packs.

    Attributes:
        packing: share the prompt prefix; else plain padded rows.
        max_tokens: of one pack, padding included; a longer row still makes a pack of its own.
        spare: with several processes, a row that a batch without rows computes with, but has no targets of.
    """

    packing: bool
    max_tokens: int
    spare: EncodedRow | None = None

    def __call__(self, rows: Sequence[EncodedRow]) -> dict[str, Any]:
        """The packs, and `labels` and `shift_labels`, both (N,): all targets, by which the Trainer counts a step's targets."""
        targets_N = torch.tensor([token for row in rows for token in row.ids[row.prompt_length :]], dtype=torch.long)
        computed = rows if rows or self.spare is None else [self.spare]
        return {"packs": self.packs(computed), "labels": targets_N, "shift_labels": targets_N, "rows": len(rows)}

    def spare_pack(self) -> dict[str, Any]:
        """The spare row as inputs of `target_losses`, for a process that has fewer packs than others."""
        if self.spare is None:
            raise ValueError("only several processes have a spare row")
        return self.packs([self.spare])[0]

    def packs(self, rows: Sequence[EncodedRow]) -> list[dict[str, Any]]:
        """The rows as inputs of `target_losses`, in order."""
        if self.packing:
            return [dict(collate_packed(part)) for part in split_into_packs(rows, self.max_tokens)]
        return [dict(collate_padded(part)) for part in split_into_lines(rows, self.max_tokens)]


def target_losses(model: torch.nn.Module, pack: dict[str, Any]) -> torch.Tensor:
    """Cross-entropy of every target of a pack, (N,) float32 nats, in the order of the rows."""
    if "layout" in pack:
        logits_NV = model(
            input_ids=pack["input_ids"],
            position_ids=pack["position_ids"],
            layout=pack["layout"],
            logits_to_keep=pack["target_positions"],
            use_cache=False,
        ).logits[0]
        return cross_entropy(logits_NV.float(), pack["labels"], reduction="none")
    labels_BT = pack["labels"][:, 1:]  # position t predicts token t + 1
    is_target_BT = labels_BT != IGNORED
    logits_BTV = model(input_ids=pack["input_ids"], attention_mask=pack["attention_mask"], use_cache=False).logits
    logits_BTV = logits_BTV[:, -pack["labels"].shape[1] : -1]  # learned virtual tokens come first and predict nothing
    return cross_entropy(logits_BTV[is_target_BT].float(), labels_BT[is_target_BT], reduction="none")
