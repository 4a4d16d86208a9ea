"""extune's own rows, written: everything that an example has. In: examples. Out: JSON lines that `spans` and `rows` read."""

from __future__ import annotations

from pathlib import Path

from extune.data.readers.exchange.base import CLASSIFICATION, EXTRACTION, Export, render_values
from extune.data.readers.own_rows import write_example


class OwnFile:
    """`{"id", "text", "entities" | "fields" | "labels" | "answer", ...}`. Holds all there is."""

    name = "extune"
    kinds = (EXTRACTION, CLASSIFICATION, "record", "generation")

    def render(self, path: Path, export: Export) -> dict[Path, str]:
        """Lines."""
        return {path: render_values([write_example(example) for example in export.examples], as_array=False)}
