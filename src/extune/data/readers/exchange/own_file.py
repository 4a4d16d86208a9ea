"""extune's own rows, written: everything that an example has. In: examples. Out: JSON lines that `spans` and `rows` read."""

from __future__ import annotations

from pathlib import Path

from extune.data.readers.exchange.base import CLASSIFICATION, EXTRACTION, LEFT_OUT, Export, render_values
from extune.data.readers.own_rows import write_example


class OwnFile:
    """`{"id", "text", "entities" | "fields" | "labels" | "answer", ...}`. Holds all there is."""

    name = "extune"
    kinds = (EXTRACTION, CLASSIFICATION, "record", "generation")

    def render(self, path: Path, export: Export) -> dict[Path, str]:
        """Lines, of annotated examples only; where there are none, of all examples, which `extune predict` reads."""
        kept = [example for example in export.examples if example.gold is not None]
        for example in export.examples if kept else ():
            if example.gold is None:
                export.lose(LEFT_OUT, example)
        return {path: render_values([write_example(example) for example in kept or export.examples], as_array=False)}
