"""Short news for classification. Out: rows `{"text", "label"}` per split; every name and figure is invented.

Test has its own sentences. Classes borrow each other's words (a school that runs, a phone that watches one's health), so that a
single word does not give the class away.
"""

from __future__ import annotations

from random import Random

from tools.samples.filling import fill_plain
from tools.samples.news_templates import TEMPLATES, WORDS

SIZES = {"train": 240, "dev": 40, "test": 60}
LABEL_NAMES = tuple(TEMPLATES["train"])


def build_news(seed: int) -> dict[str, list[dict[str, str]]]:
    """Rows per split, classes as even as the size allows; no text stands twice."""
    splits = {}
    texts: set[str] = set()
    for split, size in SIZES.items():
        random = Random(f"news {split} {seed}")
        rows: list[dict[str, str]] = []
        while len(rows) < size:
            label = LABEL_NAMES[len(rows) % len(LABEL_NAMES)]
            text = _make_text(random, TEMPLATES["test" if split == "test" else "train"], label)
            if text not in texts:
                texts.add(text)
                rows.append({"text": text, "label": label})
        random.shuffle(rows)
        splits[split] = rows
    return splits


def _make_text(random: Random, templates: dict[str, tuple[str, ...]], label: str) -> str:
    """Two different sentences of the class, filled."""
    first, second = random.sample(templates[label], 2)

    def draw(kind: str) -> str:
        if kind == "数":
            return str(random.randint(2, 98))
        if kind == "千":
            return str(random.randint(11, 99) * 100)
        return random.choice(WORDS[kind])

    return fill_plain(first, draw) + fill_plain(second, draw)
