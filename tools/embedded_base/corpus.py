"""Plain text for pre-training: read, clean, drop overlap with test sets, mix.

In: a folder of UTF-8 text files (documents separated by a blank line) and the evaluation texts that must not be seen.
Out: a shuffled list of documents, each source repeated as `MIXTURE` says, and counts for the model card.
It knows nothing about tokens or models.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SHINGLE_CHARACTERS = 13
HELD_OUT_EVERY = 250


@dataclass(frozen=True)
class Source:
    """One corpus file: how many passes over it a full run makes (a fraction samples documents) and its licence."""

    name: str
    passes: float
    licence: str
    simplify: bool = False


# Encyclopaedic and medical text is thin and closest to what extune is used for, so it is repeated; statutes and software
# manuals are plentiful and formulaic, so they are sampled.
MIXTURE = (
    Source("laws_cn", 0.15, "official statutes, no copyright"),
    Source("lctt_linux_news", 0.35, "Apache-2.0"),
    Source("ms_cpp_docs", 0.06, "CC BY 4.0"),
    Source("javaguide", 0.2, "Apache-2.0"),
    Source("tidb_docs", 0.12, "CC BY-SA 3.0"),
    Source("oi_wiki", 0.3, "CC BY-SA 4.0"),
    Source("d2l_zh", 0.6, "Apache-2.0"),
    Source("poetry_classics", 0.6, "MIT"),
    Source("cmrc_wikipedia", 4, "CC BY-SA 4.0"),
    Source("drcd_wikipedia_trad", 2.5, "CC BY-SA 3.0", simplify=True),
    Source("drcd_wikipedia_trad", 0.5, "CC BY-SA 3.0"),
    Source("ud_gsdsimp", 4, "CC BY-SA 4.0"),
    Source("howtocook", 2, "Unlicense"),
    Source("kdconv_dialogues", 3, "Apache-2.0"),
    Source("crosswoz_dialogues", 2, "Apache-2.0"),
    Source("toyhom_medical_qa", 4, "MIT"),
)


def read_documents(path: Path) -> list[str]:
    """Documents of one corpus file, cleaned; empty ones are left out."""
    documents = path.read_text(encoding="utf-8").split("\n\n")
    return [cleaned for document in documents if (cleaned := clean(document))]


def clean(document: str) -> str:
    """Collapse runs of blanks and drop lines that are mostly ASCII: code, tables and addresses teach no Chinese."""
    lines = []
    for line in document.split("\n"):
        stripped = re.sub(r"[ \t]{2,}", " ", line).strip()
        ascii_share = sum(character < "\x80" for character in stripped) / max(1, len(stripped))
        if stripped and ascii_share < 0.7:
            lines.append(stripped)
    return "\n".join(lines)


def shingle_hashes(text: str, size: int = SHINGLE_CHARACTERS) -> np.ndarray:
    """Polynomial hashes (uint64, wrapping) of every window of `size` non-blank characters; empty where there is none."""
    codes = np.array([ord(character) for character in text if not character.isspace()], dtype=np.uint64)
    if len(codes) < size:
        return np.empty(0, dtype=np.uint64)
    hashes = np.zeros(len(codes) - size + 1, dtype=np.uint64)
    for offset in range(size):
        hashes = hashes * np.uint64(1_000_003) + codes[offset : len(codes) - size + 1 + offset]
    return hashes


def drop_overlap(documents: list[str], forbidden: np.ndarray) -> tuple[list[str], int]:
    """Drop every line that shares a shingle with the evaluation texts.

    Args:
        documents: cleaned documents.
        forbidden: sorted unique shingle hashes of the evaluation texts.

    Returns:
        The documents without those lines, and how many lines were dropped.
    """
    kept, dropped = [], 0
    for document in documents:
        lines = []
        for line in document.split("\n"):
            if len(line) >= SHINGLE_CHARACTERS and _contains(forbidden, shingle_hashes(line)):
                dropped += 1
            else:
                lines.append(line)
        if lines:
            kept.append("\n".join(lines))
    return kept, dropped


def contains_shingle(text: str, forbidden: np.ndarray) -> bool:
    """Whether the text shares a shingle with the evaluation texts."""
    return _contains(forbidden, shingle_hashes(text))


def _contains(forbidden: np.ndarray, hashes: np.ndarray) -> bool:
    if not len(forbidden) or not len(hashes):
        return False
    places = np.minimum(np.searchsorted(forbidden, hashes), len(forbidden) - 1)
    return bool((forbidden[places] == hashes).any())


def evaluation_hashes(folder: Path) -> np.ndarray:
    """Sorted unique shingle hashes of every test and dev file below `folder` (the corpus folder itself left out)."""
    hashes = [np.empty(0, dtype=np.uint64)]
    for path in sorted(folder.glob("*/*")):
        if path.parent.name != "corpus" and re.search(r"test|dev|eval|infer", path.name):
            hashes.append(shingle_hashes(_evaluation_text(path)))
    return np.unique(np.concatenate(hashes))


def _evaluation_text(path: Path) -> str:
    """Only what a model would be scored on: characters of column files, string values of JSON files."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".txt":
        return "".join(line[:1] for line in text.split("\n"))
    return "\x00".join(re.findall(r'"((?:[^"\\]|\\.)*)"', text))


def mix(folder: Path, forbidden: np.ndarray, seed: int) -> tuple[list[str], list[str], dict[str, dict[str, float]]]:
    """Read every source, drop overlap, hold documents out, repeat or sample the rest, shuffle all together.

    Returns:
        The documents in training order, the held-out ones (in no training document), and per source: characters read,
        characters used, lines dropped.
    """
    generator = random.Random(seed)
    mixed: list[str] = []
    held_out: list[str] = []
    counts: dict[str, dict[str, float]] = {}
    for source in MIXTURE:
        documents, dropped = drop_overlap(read_documents(folder / f"{source.name}.txt"), forbidden)
        if source.simplify:
            documents = simplify(documents)
        held_out.extend(documents[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY])
        documents = [document for index, document in enumerate(documents, 1) if index % HELD_OUT_EVERY]
        used = repeat(documents, source.passes, generator)
        mixed.extend(used)
        counts[source.name + ("_simplified" if source.simplify else "")] = {
            "characters": sum(map(len, documents)),
            "passes": source.passes,
            "characters_used": sum(map(len, used)),
            "lines_dropped_as_overlap": dropped,
        }
    generator.shuffle(mixed)
    return mixed, held_out, counts


def repeat(documents: list[str], passes: float, generator: random.Random) -> list[str]:
    """`passes` copies of the documents; the fractional part is a random sample of that share."""
    whole = int(passes)
    sample = generator.sample(documents, round((passes - whole) * len(documents)))
    return documents * whole + sample


def simplify(documents: list[str]) -> list[str]:
    """Traditional to simplified characters, so that more encyclopaedic text is written as most users write."""
    from opencc import OpenCC

    converter = OpenCC("t2s")
    return [converter.convert(document) for document in documents]
