"""The benchmark of answering runs from end to end, and its table is made from its results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.inference import measure, write_bio_list
from benchmarks.inference_table import PAGES, render_inference, update
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from extune.domain.annotation import Extraction, Span
from extune.domain.example import Example
from extune.files import write_json
from extune.predicting.open import build_predictor
from extune.runs.contract import Contract
from extune.tokens.plain_text import encode_text

EXAMPLES = [
    Example("a", "黄芪汤", Extraction((Span("药", "黄芪", 0, 2),))),
    Example("b", "咳", Extraction((Span("症", "咳", 0, 1),))),
    Example("c", "无事", Extraction()),
]


def test_every_contender_answers_and_is_in_the_table(
    tmp_path: Path, base_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, make_contract: Callable[..., Contract]
) -> None:
    predictor = build_predictor(base_model, tokenizer, make_contract(max_answer_tokens=8))
    result = measure(predictor, EXAMPLES, rows=3, rounds=2, alone=2)
    bio = result["contenders"][-1]
    lengths = [len(encode_text(tokenizer, write_bio_list(example))) + 1 for example in EXAMPLES]
    assert bio["tokens_per_row"] == round(sum(lengths) / 3, 1)
    assert result["contenders"][0]["extune_is_faster"] == 1
    assert result["contenders"][0]["unreadable_or_not_verbatim"] == 0
    write_json(tmp_path / "inference-a.json", result | {"what": "few", "command": "none", "machine": {"cpus": 1}})
    table = render_inference(tmp_path)
    assert all(f"| {contender['name']} |" in table for contender in result["contenders"])


def test_a_bio_list_tags_every_character() -> None:
    assert [write_bio_list(example) for example in EXAMPLES] == ['["B-药", "I-药", "O"]', '["B-症"]', '["O", "O"]']


@pytest.mark.parametrize("page", PAGES)
def test_tables_are_made_from_the_results(page: str) -> None:
    before, after = update(page)
    assert before == after, "run python -m benchmarks.inference_table"
