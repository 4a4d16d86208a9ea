"""Documents of the open corpus and labelled windows of them.

In: the corpus folder, hashes of evaluation texts. Out: `Labelled` texts. It knows nothing about tasks, prompts or tokens.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from tools.embedded_base import corpus, made_names
from tools.embedded_base.concepts import Labelled
from tools.embedded_base.tasks import NEWS_SET
from tools.embedded_base.weak_labels import find_document_persons, label

# Corpus file to (domain of its rules, share of the real rows).
SOURCES = {
    "toyhom_medical_qa": ("medical", 0.30),
    "cmrc_wikipedia": ("general", 0.22),
    "drcd_wikipedia_trad": ("general", 0.16),
    "ud_gsdsimp": ("general", 0.04),
    "howtocook": ("recipe", 0.05),
    "crosswoz_dialogues": ("dialogue", 0.04),
    "kdconv_dialogues": ("dialogue", 0.04),
    "laws_cn": ("law", 0.06),
    "lctt_linux_news": ("technical", 0.05),
    "poetry_classics": ("poetry", 0.04),
}
_ENDS = re.compile(r"[^。！？\n]*(?:[。！？][”」’]?|\n|$)")


@dataclass(frozen=True)
class Document:
    """One corpus document with what its rules need."""

    text: str
    domain: str
    persons: frozenset[str]
    sentences: tuple[tuple[int, int], ...]


def read_sources(
    folder: Path, forbidden: np.ndarray
) -> tuple[dict[str, list[Document]], dict[str, list[Document]], dict[str, int]]:
    """Training documents, held-out documents (the same ones as in plain training) and dropped lines, by source."""
    training, held_out, dropped = {}, {}, {}
    for name, (domain, _) in SOURCES.items():
        texts, dropped[name] = corpus.drop_overlap(corpus.read_documents(folder / f"{name}.txt"), forbidden)
        held = texts[corpus.HELD_OUT_EVERY - 1 :: corpus.HELD_OUT_EVERY]
        texts = [text for index, text in enumerate(texts, 1) if index % corpus.HELD_OUT_EVERY][:12_000]
        if name == "drcd_wikipedia_trad":
            texts, held = corpus.simplify(texts), corpus.simplify(held)
        training[name] = [build_document(text, domain) for text in texts]
        held_out[name] = [build_document(text, domain) for text in held]
    return training, held_out, dropped


def build_document(text: str, domain: str) -> Document:
    """A document with its sentences and, in general text, the persons that it names."""
    persons = frozenset(find_document_persons(text)) if domain == "general" else frozenset()
    sentences = tuple(match.span() for match in _ENDS.finditer(text[:30_000]) if match.group().strip())
    return Document(text, domain, persons, sentences)


def draw_window(document: Document, generator: random.Random) -> str:
    """Whole sentences from a random place, 25 to 250 characters, now and then up to 800."""
    wanted = (
        generator.choice((30, 40, 60, 60, 90, 90, 120, 160, 220)) if generator.random() < 0.96 else generator.randint(300, 800)
    )
    index = generator.randrange(len(document.sentences))
    start, end = document.sentences[index]
    while end - start < wanted and index + 1 < len(document.sentences):
        index += 1
        end = document.sentences[index][1]
    return document.text[start : min(end, start + max(250, wanted))].strip()


def label_window(document: Document, generator: random.Random) -> Labelled:
    """A window with its labels; half of the windows with names get other names in their place."""
    text = draw_window(document, generator)
    labelled = label(text, document.domain, document.persons)
    if document.domain == "poetry":
        return _label_poem(document)
    if document.domain != "general":
        return labelled
    spans = dict(labelled.spans)
    if not spans["person"]:
        del spans["person"]
    labelled = Labelled(text, spans)
    return replace_names(labelled, generator) if generator.random() < 0.5 else labelled


def draw_titled(sources: dict[str, list[Document]], generator: random.Random) -> tuple[Labelled, str]:
    """A labelled text and its title: a medical question with its answer, or the beginning of a technical article."""
    name = generator.choice(("toyhom_medical_qa", "toyhom_medical_qa", "lctt_linux_news"))
    document = generator.choice(sources[name])
    title, _, body = document.text.partition("\n")
    while not 4 <= len(title) <= 40 or not body.strip():
        document = generator.choice(sources[name])
        title, _, body = document.text.partition("\n")
    wanted = generator.randint(60, 500)
    pieces = [match.group() for match in _ENDS.finditer(body[:1000]) if match.group().strip()]
    length, kept = 0, []
    for piece in pieces:
        if kept and length + len(piece) > wanted:
            break
        kept.append(piece)
        length += len(piece)
    text = "".join(kept).strip()
    return label(text, document.domain, document.persons), title.strip()


def _label_poem(document: Document) -> Labelled:
    head, _, rest = document.text.partition("\n")
    title, _, poet = head.rpartition(" ")
    lines = rest.split("\n")
    text = head + "\n" + "\n".join(lines[:8])
    spans: dict[str, list[tuple[int, int]]] = label(text, "poetry").spans
    if title and 2 <= len(poet) <= 4:
        spans |= {"poem": [(0, len(title))], "poet": [(len(title) + 1, len(head))]}
    return Labelled(text, spans)


def replace_names(labelled: Labelled, generator: random.Random) -> Labelled:
    """Put made names where persons, places and organisations stand, so that context and boundaries are learnt, not lists.

    Only the three name concepts and those spans that touch none of the replaced places are kept.
    """
    makers = {"person": made_names.make_person, "place": made_names.make_place, "organization": made_names.make_organization}
    replaced = sorted((start, end, key) for key in NEWS_SET for start, end in labelled.spans.get(key, []))
    if any(left[1] > right[0] for left, right in pairwise(replaced)):
        return labelled
    memory: dict[str, str] = {}
    pieces, last, shift = [], 0, 0
    moved: dict[str, list[tuple[int, int]]] = {key: [] for key in NEWS_SET if key in labelled.spans}
    for start, end, key in replaced:
        old = labelled.text[start:end]
        new = memory.setdefault(old, makers[key](generator))
        pieces += [labelled.text[last:start], new]
        moved[key].append((start + shift, start + shift + len(new)))
        shift += len(new) - len(old)
        last = end
    return Labelled("".join([*pieces, labelled.text[last:]]), moved)
