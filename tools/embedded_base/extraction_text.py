"""Extraction-shaped training text: rows in extune's own prompt and formats, packed into sequences with loss weights.

In: the open corpus, hashes of evaluation texts, the tokenizer. Out: rows, packed arrays, a held-out set.
The wording comes from `extune.prompts`, so that training and inference cannot differ. It knows nothing about models.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerFast

from extune.domain.annotation import Extraction
from extune.domain.task import ExtractionTask
from extune.prompts.formats import build_format
from extune.prompts.messages import render_messages
from tools.embedded_base import corpus, made_clinical, made_names, made_news
from tools.embedded_base.concepts import Labelled
from tools.embedded_base.made_text import Maker
from tools.embedded_base.tasks import NEWS_SET, build_task
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
MADE_CLINICAL, MADE_NEWS, MADE_CONTRACTS = 0.34, 0.25, 0.02
_ENDS = re.compile(r"[^。！？\n]*(?:[。！？][”」’]?|\n|$)")
_FORMATS = ("lines",) * 18 + ("pairs", "json")


@dataclass(frozen=True)
class TrainingRow:
    """One question with its answer.

    Attributes:
        prompt_ids: ends with the generation prompt.
        answer_ids: answer and turn end.
        text_span: where the text stands in `prompt_ids`, half-open.
    """

    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]
    text_span: tuple[int, int]

    def __len__(self) -> int:
        """Tokens of the packed row: the end-of-text token that separates rows is one more."""
        return len(self.prompt_ids) + len(self.answer_ids) + 1


class CharacterEncoder:
    """Ids of a text under the character tokenizer, and of a row under its chat template.

    The tokenizer has no merges, so the ids of a text are the ids of its characters; a test holds this against
    `apply_chat_template`.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.tokenizer = tokenizer
        self.known: dict[str, tuple[int, ...]] = {}
        marker = "\ue000"
        rendered = tokenizer.apply_chat_template(
            [{"role": "user", "content": marker}], tokenize=False, add_generation_prompt=True
        )
        head, tail = rendered.split(marker)
        self.head, self.tail = (tuple(tokenizer.encode(part, add_special_tokens=False)) for part in (head, tail))

    def encode(self, text: str) -> list[int]:
        """Ids of plain text."""
        ids: list[int] = []
        for character in text:
            found = self.known.get(character)
            if found is None:
                found = self.known[character] = tuple(self.tokenizer.encode(character, add_special_tokens=False))
            ids.extend(found)
        return ids

    def encode_row(self, content: str, text: str, target: str) -> TrainingRow:
        """The row of a user turn whose last part is `text`."""
        before = [*self.head, *self.encode(content[: len(content) - len(text)])]
        inside = self.encode(text)
        prompt = (*before, *inside, *self.tail)
        return TrainingRow(
            prompt, (*self.encode(target), self.tokenizer.eos_token_id), (len(before), len(before) + len(inside))
        )


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


def draw_labelled(sources: dict[str, list[Document]], generator: random.Random, makers: dict[str, Maker]) -> Labelled:
    """One labelled text: made clinical, made news, or a window of the corpus."""
    kind = generator.random()
    if kind < MADE_CLINICAL:
        return makers["clinical"].make("clinical_text")
    if kind < MADE_CLINICAL + MADE_NEWS:
        return makers["news"].make("news_text")
    if kind < MADE_CLINICAL + MADE_NEWS + MADE_CONTRACTS:
        return makers["contracts"].make("contract_text")
    name = generator.choices(list(SOURCES), [share for _, share in SOURCES.values()])[0]
    return label_window(generator.choice(sources[name]), generator)


def build_makers(generator: random.Random) -> dict[str, Maker]:
    """The grammars of made texts."""
    return {
        "clinical": Maker(made_clinical.GRAMMAR, made_clinical.KNOWN, generator),
        "news": Maker(made_news.GRAMMAR, made_news.KNOWN, generator),
        "contracts": Maker(made_news.GRAMMAR, made_news.KNOWN_IN_CONTRACTS, generator),
    }


def draw_questions(
    sources: dict[str, list[Document]], generator: random.Random
) -> Iterator[tuple[str, ExtractionTask, Extraction]]:
    """Endless texts with task and gold."""
    makers = build_makers(generator)
    while True:
        labelled = draw_labelled(sources, generator, makers)
        if len(labelled.text) >= 2:
            yield build_task(labelled, generator)


def build_rows(
    corpus_folder: Path, forbidden: np.ndarray, tokenizer: PreTrainedTokenizerFast, rows: int, seed: int
) -> Iterator[TrainingRow]:
    """`rows` rows, the same for the same seed."""
    sources, _, _ = read_sources(corpus_folder, forbidden)
    yield from rows_from(sources, tokenizer, rows, seed, forbidden)


def rows_from(
    sources: dict[str, list[Document]], tokenizer: PreTrainedTokenizerFast, rows: int, seed: int, forbidden: np.ndarray
) -> Iterator[TrainingRow]:
    """`rows` rows from documents that were read already; texts that share a shingle with `forbidden` are drawn again."""
    generator = random.Random(seed)
    encoder = CharacterEncoder(tokenizer)
    formats = {name: build_format(name) for name in _FORMATS}
    made = 0
    for text, task, gold in draw_questions(sources, generator):
        if made == rows:
            return
        if corpus.contains_shingle(text, forbidden):
            continue
        answer_format = formats[generator.choice(_FORMATS)]
        if answer_format.find_unrepresentable(task, text, gold) is not None:
            continue
        content = render_messages(task, answer_format, text)[-1].content
        yield encoder.encode_row(content, text, answer_format.render_target(task, text, gold))
        made += 1


def pack_rows(
    rows: Iterable[TrainingRow],
    sequence_tokens: int,
    plain_ids: np.ndarray,
    end_id: int,
    text_weight: float = 0.25,
    plain_share: float = 0.2,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows packed whole into sequences of exactly `sequence_tokens`; too long rows are left out.

    Args:
        rows: in training order; each goes into the open sequence that it fills best.
        sequence_tokens: length of a sequence.
        end_id: the end-of-text token, put between rows so that they need not see each other.
        plain_ids: a stream of plain text; fills what is left of a sequence, and `plain_share` more sequences.
        text_weight: loss weight of plain text and of the text inside prompts; answers weigh 1, wording 0.
        plain_share: share of all sequences that are plain text.

    Returns:
        Ids (uint16) and weights (float16), both of shape (N,), N a multiple of `sequence_tokens`.
    """
    ids: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    plain = _PlainStream(plain_ids)
    for members in fill_sequences(rows, sequence_tokens):
        parts = [
            (np.array((*row.prompt_ids, *row.answer_ids, end_id), dtype=np.uint16), _weigh(row, text_weight)) for row in members
        ]
        rest = sequence_tokens - sum(map(len, members))
        parts.append((plain.take(rest), np.full(rest, text_weight, dtype=np.float16)))
        ids.append(np.concatenate([part for part, _ in parts]))
        weights.append(np.concatenate([part for _, part in parts]))
    for _ in range(round(len(ids) * plain_share / (1 - plain_share))):
        ids.append(plain.take(sequence_tokens))
        weights.append(np.full(sequence_tokens, text_weight, dtype=np.float16))
    return np.concatenate(ids), np.concatenate(weights)


def _weigh(row: TrainingRow, text_weight: float) -> np.ndarray:
    weights = np.zeros(len(row), dtype=np.float16)
    weights[slice(*row.text_span)] = text_weight
    weights[len(row.prompt_ids) : -1] = 1.0
    return weights


def fill_sequences(rows: Iterable[TrainingRow], capacity: int, open_limit: int = 64) -> Iterator[list[TrainingRow]]:
    """Best fit with at most `open_limit` open sequences: the fullest one is closed first."""
    open_sequences: list[tuple[int, list[TrainingRow]]] = []
    for row in rows:
        if len(row) > capacity:
            continue
        fitting = [index for index, (free, _) in enumerate(open_sequences) if free >= len(row)]
        if fitting:
            best = min(fitting, key=lambda index: open_sequences[index][0])
            free, members = open_sequences[best]
            open_sequences[best] = (free - len(row), [*members, row])
            continue
        if len(open_sequences) == open_limit:
            fullest = min(range(open_limit), key=lambda index: open_sequences[index][0])
            yield open_sequences.pop(fullest)[1]
        open_sequences.append((capacity - len(row), [row]))
    yield from (members for _, members in open_sequences)


class _PlainStream:
    """Consecutive pieces of one array, again from the start when it ends."""

    def __init__(self, ids: np.ndarray) -> None:
        self.ids, self.place = ids, 0

    def take(self, count: int) -> np.ndarray:
        if self.place + count > len(self.ids):
            self.place = 0
        piece = self.ids[self.place : self.place + count]
        self.place += count
        return np.asarray(piece, dtype=np.uint16)


def write_held_out(path: Path, held_out: dict[str, list[Document]], count: int, seed: int) -> None:
    """JSON lines `{id, text, types, entities}` from documents and made texts of no training row, real ones first."""
    generator = random.Random(seed)
    sources = {name: documents for name, documents in held_out.items() if documents}
    with path.open("w", encoding="utf-8") as file:
        for index in range(count):
            name = generator.choice(
                [n for n in sources if SOURCES[n][0] in {"medical", "general", "law", "dialogue", "recipe"}]
            )
            text, task, gold = build_task(label_window(generator.choice(sources[name]), generator), generator)
            entities = [{"start": s.start, "end": s.end, "type": s.type, "text": s.text} for s in gold.spans]
            row = {"id": f"{name}-{index}", "text": text, "types": dict(task.types), "entities": entities}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
