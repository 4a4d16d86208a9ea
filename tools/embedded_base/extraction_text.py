"""Instruction-shaped training text: rows in extune's own prompts and formats, and a held-out set.

In: documents, hashes of evaluation texts, the tokenizer. Out: rows. Most ask for spans, others for records, labels, answers.
The wording comes from `extune.prompts`, so that training and inference cannot differ. It knows nothing about models.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerFast

from extune.domain.annotation import Annotation
from extune.domain.task import Task
from extune.prompts.formats import build_format
from extune.prompts.formats.choice import ChoiceFormat, ChoicesFormat
from extune.prompts.formats.fields import FieldsFormat
from extune.prompts.messages import render_messages
from tools.embedded_base import corpus, made_clinical, made_news, other_tasks
from tools.embedded_base.concepts import Labelled, Range
from tools.embedded_base.made_text import Maker
from tools.embedded_base.packing import TrainingRow
from tools.embedded_base.sources import SOURCES, Document, draw_titled, label_window
from tools.embedded_base.tasks import build_task

MADE_CLINICAL, MADE_NEWS, MADE_CONTRACTS = 0.34, 0.25, 0.02
# Shares of the task kinds; the rest asks for spans.
ANSWERS, TITLED_RECORDS, RECORDS, KINDS, PRESENCE = 0.04, 0.04, 0.05, 0.06, 0.03
_MADE_SYMBOLS = {"clinical": "clinical_text", "news": "news_text", "contracts": "contract_text"}
_FORMATS = ("lines",) * 18 + ("pairs", "json")
_LONG_CHARACTERS = (500, 1800)

Sources = dict[str, list[Document]]


@dataclass(frozen=True)
class Question:
    """What one row asks, and the answer."""

    text: str
    task: Task
    gold: Annotation
    answer_format: Any


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


def draw_labelled(
    sources: Sources, generator: random.Random, makers: dict[str, Maker], wanted: int = 0
) -> tuple[str, Labelled]:
    """Name of a source and one labelled text of it: made clinical, made news, or a window of the corpus.

    Texts of one source are joined by newlines until they have `wanted` characters.
    """
    kind = generator.random()
    if kind < MADE_CLINICAL:
        name = "clinical"
    elif kind < MADE_CLINICAL + MADE_NEWS:
        name = "news"
    elif kind < MADE_CLINICAL + MADE_NEWS + MADE_CONTRACTS:
        name = "contracts"
    else:
        name = generator.choices(list(SOURCES), [share for _, share in SOURCES.values()])[0]
    parts = [_draw_one(name, sources, generator, makers)]
    while sum(len(part.text) for part in parts) < wanted:
        parts.append(_draw_one(name, sources, generator, makers))
    return name, join_labelled(parts)


def _draw_one(name: str, sources: Sources, generator: random.Random, makers: dict[str, Maker]) -> Labelled:
    if name in makers:
        return makers[name].make(_MADE_SYMBOLS[name])
    return label_window(generator.choice(sources[name]), generator)


def join_labelled(parts: Sequence[Labelled]) -> Labelled:
    """One text, a part a line; only concepts that are known in every part stay known."""
    known = set.intersection(*(set(part.spans) for part in parts))
    spans: dict[str, list[Range]] = {key: [] for key in parts[0].spans if key in known}
    offset = 0
    for part in parts:
        for key, ranges in spans.items():
            ranges += [(start + offset, end + offset) for start, end in part.spans[key]]
        offset += len(part.text) + 1
    return Labelled("\n".join(part.text for part in parts), spans)


def build_makers(generator: random.Random) -> dict[str, Maker]:
    """The grammars of made texts."""
    return {
        "clinical": Maker(made_clinical.GRAMMAR, made_clinical.KNOWN, generator),
        "news": Maker(made_news.GRAMMAR, made_news.KNOWN, generator),
        "contracts": Maker(made_news.GRAMMAR, made_news.KNOWN_IN_CONTRACTS, generator),
    }


def draw_question(sources: Sources, generator: random.Random, makers: dict[str, Maker], long: bool = False) -> Question | None:
    """One question of any kind of task, or None where what was drawn does not suit it; `long` wants 500 to 1,800 characters."""
    kinds = ("answer", "titled", "record", "kind", "presence", "spans")
    shares = (ANSWERS, TITLED_RECORDS, RECORDS, KINDS, PRESENCE)
    kind = generator.choices(kinds, (*shares, 1 - sum(shares)))[0]
    if kind == "answer":
        asked = other_tasks.build_question(generator.choice(sources["toyhom_medical_qa"]).text, generator)
        return asked and Question(*asked, other_tasks.PlainAnswerFormat())
    if kind == "titled":
        labelled, title = draw_titled(sources, generator)
        return Question(*other_tasks.build_record(labelled, title, generator), FieldsFormat())
    name, labelled = draw_labelled(sources, generator, makers, generator.randint(*_LONG_CHARACTERS) if long else 0)
    if len(labelled.text) < 2 or (kind == "kind" and name not in other_tasks.KINDS_OF_TEXT):
        return None
    if kind == "spans":
        return Question(*build_task(labelled, generator), build_format(generator.choice(_FORMATS)))
    return _ask_otherwise(kind, name, labelled, generator)


def _ask_otherwise(kind: str, name: str, labelled: Labelled, generator: random.Random) -> Question:
    """A record, a single choice or a multiple choice about a labelled text of the source `name`."""
    if kind == "record":
        return Question(*other_tasks.build_record(labelled, None, generator), FieldsFormat())
    if kind == "kind":
        return Question(*other_tasks.build_kind_choice(labelled.text, name, generator), ChoiceFormat())
    return Question(*other_tasks.build_presence_choice(labelled, generator), ChoicesFormat())


def rows_from(
    sources: Sources,
    tokenizer: PreTrainedTokenizerFast,
    rows: int,
    seed: int,
    forbidden: np.ndarray,
    long_share: float = 0.0,
) -> Iterator[TrainingRow]:
    """`rows` rows, of which `long_share` ask about long texts; texts that share a shingle with `forbidden` are drawn again."""
    generator = random.Random(seed)
    encoder = CharacterEncoder(tokenizer)
    makers = build_makers(generator)
    made = 0
    while made < rows:
        question = draw_question(sources, generator, makers, generator.random() < long_share)
        if question is None or corpus.contains_shingle(question.text, forbidden):
            continue
        task, text, gold, answer_format = question.task, question.text, question.gold, question.answer_format
        if answer_format.find_unrepresentable(task, text, gold) is not None:
            continue
        content = render_messages(task, answer_format, text)[-1].content
        yield encoder.encode_row(content, text, answer_format.render_target(task, text, gold))
        made += 1


def write_held_out(path: Path, held_out: Sources, count: int, seed: int) -> None:
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
