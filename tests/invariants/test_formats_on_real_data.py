"""Gold rendered, parsed and aligned on every extraction data set beside the checkout: what comes back, exactly."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import llguidance.hf
import pytest
from llguidance import LLMatcher
from transformers import AutoTokenizer

from extune.domain.annotation import Extraction, Span
from extune.domain.task import ExtractionTask
from extune.prompts.alignment import align
from extune.prompts.formats import EXTRACTION_FORMATS, build_format

Row = tuple[str, Extraction]


def read_bio_rows(path: Path) -> Iterator[Row]:
    for block in path.read_bytes().decode("utf-8").split("\r\n\r\n"):
        pairs = [(line[0], line[2:]) for line in block.split("\r\n") if line]
        text = "".join(character for character, _ in pairs)
        begins = [i for i, (_, label) in enumerate(pairs) if label.startswith("B-")]
        spans = []
        for start in begins:
            name, end = pairs[start][1][2:], start + 1
            while end < len(pairs) and pairs[end][1] == f"I-{name}":
                end += 1
            spans.append(Span(name, text[start:end], start, end))
        if pairs:
            yield text, Extraction(tuple(spans))


def read_entity_rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            text = row.get("text", row.get("dialogue_text"))
            keys = {(entity["start"], entity["end"], entity["type"]) for entity in row.get("entities", ())}
            yield text, Extraction(tuple(Span(name, text[start:end], start, end) for start, end, name in keys))


@dataclass(frozen=True)
class Counts:
    gold: int
    exact: int
    unplaced: int
    open_items: int


def measure(format_name: str, rows: list[Row]) -> Counts:
    answer_format = build_format(format_name)
    task = ExtractionTask(types=sorted({span.type for _, gold in rows for span in gold.spans}))
    totals: Counter[str] = Counter()
    for text, gold in rows:
        if answer_format.find_unrepresentable(task, text, gold) is not None:
            totals["refused"] += 1
            continue
        parsed = answer_format.parse_completion(task, text, answer_format.render_target(task, text, gold))
        assert parsed.problems == ()
        wanted = Counter((span.type, span.text) for span in gold.spans)
        assert Counter((item.type, item.text) for item in parsed.items) == wanted
        alignment = align(text, parsed.items)
        totals["gold"] += len(gold.spans)
        totals["exact"] += len({span for _, span in alignment.placed} & set(gold.spans))
        totals["unplaced"] += len(alignment.ungrounded) + len(alignment.duplicates)
        totals["open"] += alignment.open_items
    assert totals["refused"] == 0 or format_name in ("inline", "bio")
    return Counts(totals["gold"], totals["exact"], totals["unplaced"], totals["open"])


@pytest.fixture(scope="session")
def data_sets(shared_data: Path) -> dict[str, list[Row]]:
    return {
        "tcm": [
            row for split in ("train", "eval", "test") for row in read_bio_rows(shared_data / f"tcm_ner/medical_{split}.txt")
        ],
        "msra": [
            row for split in ("train", "dev", "test") for row in read_entity_rows(shared_data / f"msra_ner/{split}.jsonl")
        ],
        "cmeee": list(read_entity_rows(shared_data / "nested_ner/cmeee_dev.jsonl")),
        "imcs": [
            row for split in ("train", "dev", "test") for row in read_entity_rows(shared_data / f"imcs_dialogue/{split}.jsonl")
        ],
    }


@pytest.mark.parametrize(("name", "least"), [("tcm", 1.0), ("msra", 0.998), ("cmeee", 0.988), ("imcs", 0.99)])
def test_lines_bring_spans_back(data_sets: dict[str, list[Row]], name: str, least: float) -> None:
    counts = measure("lines", data_sets[name])
    assert counts.gold > 0
    assert counts.unplaced == 0
    assert counts.exact / counts.gold >= least


@pytest.mark.parametrize("name", ["tcm", "msra", "cmeee", "imcs"])
@pytest.mark.parametrize("format_name", ["inline", "bio"])
def test_formats_with_positions_bring_every_span_back(data_sets: dict[str, list[Row]], name: str, format_name: str) -> None:
    counts = measure(format_name, data_sets[name])
    assert counts.gold > 0
    assert (counts.exact, counts.unplaced, counts.open_items) == (counts.gold, 0, 0)


@pytest.mark.parametrize("name", ["tcm", "msra", "cmeee", "imcs"])
@pytest.mark.parametrize("format_name", [f.name for f in EXTRACTION_FORMATS if f.name not in ("inline", "bio")])
def test_formats_without_positions_lose_no_mention(data_sets: dict[str, list[Row]], name: str, format_name: str) -> None:
    counts = measure(format_name, data_sets[name])
    assert counts.gold > 0
    assert counts.unplaced == 0


@pytest.mark.parametrize("name", ["tcm", "cmeee", "imcs"])
@pytest.mark.parametrize("format_name", [answer_format.name for answer_format in EXTRACTION_FORMATS])
def test_grammars_allow_gold(data_sets: dict[str, list[Row]], name: str, format_name: str) -> None:
    tokens = llguidance.hf.from_tokenizer(AutoTokenizer.from_pretrained(str(files("extune") / "shipped" / "base")))
    answer_format, rows = build_format(format_name), data_sets[name]
    task = ExtractionTask(types=sorted({span.type for _, gold in rows for span in gold.spans}))
    for text, gold in rows[-100:]:
        if answer_format.find_unrepresentable(task, text, gold) is None:
            ids = tokens.tokenize_str(answer_format.render_target(task, text, gold))
            matcher = LLMatcher(tokens, answer_format.render_grammar(task, text), log_level=0)
            assert matcher.try_consume_tokens(ids) == len(ids), matcher.get_error()
            assert matcher.is_accepting()
