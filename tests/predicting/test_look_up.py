"""Prompts show what training data label in their text; those of training rows do not know the row itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from extune.domain.annotation import Extraction, Fields, Span
from extune.domain.example import Example
from extune.domain.prompt import Prompt
from extune.domain.task import RecordField, RecordTask
from extune.errors import RunError
from extune.models.base_model import EMBEDDED, resolve_base
from extune.predicting.draft import draft_contract
from extune.predicting.encoding import BatchEncoder, build_encoder
from extune.predicting.look_up import TrainingLookup, fit_lookup
from extune.predicting.snippet import write_snippet
from extune.recipe.load import recipe_from_values
from extune.recipe.sections import Recipe
from extune.runs.contract import Contract, read_contract, write_contract
from extune.tokens.plain_text import decode_completion

RECIPE = recipe_from_values({"task": {"kind": "extraction", "types": ["药", "症"]}, "prompt": {"lookup": True}})


def mark(id: str, text: str, *mentions: tuple[str, str]) -> Example:
    spans = (Span(type_, string, text.index(string), text.index(string) + len(string)) for string, type_ in mentions)
    return Example(id, text, Extraction(tuple(spans)))


TRAIN = [
    mark("1", "黄芪补气", ("黄芪", "药")),
    mark("2", "黄芪治咳嗽", ("黄芪", "药"), ("咳嗽", "症")),
    mark("3", "头晕乏力", ("头晕", "症")),
]


def open_lookup(recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> tuple[TrainingLookup, Contract]:
    lookup = fit_lookup(recipe, TRAIN)
    assert lookup is not None
    return lookup, draft_contract(recipe, resolve_base(EMBEDDED), tokenizer, lookup=lookup)


def shown(prompt: Prompt) -> list[str]:
    """The lines from the text on."""
    lines = prompt.messages[-1].content.split("\n")
    return lines[lines.index("文本：") + 1 :]


def test_a_prompt_ends_with_what_train_labels_in_its_text(tokenizer: PreTrainedTokenizerBase) -> None:
    encoder = build_encoder(tokenizer, open_lookup(RECIPE, tokenizer)[1])
    (known,) = encoder.encode_prompts(Example("a", "头晕，黄芪、头晕"))
    assert shown(known) == ["头晕，黄芪、头晕", "训练数据里标过的（供参考）：", "药：黄芪", "症：头晕；头晕"]
    (unknown,) = encoder.encode_prompts(Example("a", "无事"))
    assert shown(unknown) == ["无事", "训练数据里标过的（供参考）：", "无"]
    assert known.text == "头晕，黄芪、头晕"
    assert (
        known.grammar
        == build_encoder(tokenizer, encoder.contract.model_copy(update={"lookup": None}))
        .encode_prompts(Example("a", known.text))[0]
        .grammar
    )


def test_a_training_row_is_not_told_its_own_labels(tokenizer: PreTrainedTokenizerBase) -> None:
    lookup, contract = open_lookup(RECIPE, tokenizer)
    rows, _ = BatchEncoder(tokenizer, contract, lookup).encode(TRAIN)
    prompts = [decode_completion(tokenizer, row.ids[: row.prompt_length]) for row in rows]
    assert ["药：黄芪" in prompt for prompt in prompts] == [True, True, False]
    assert not any("咳嗽\n" in prompt.split("供参考）：")[1] or "头晕" in prompt.split("供参考）：")[1] for prompt in prompts)


def test_a_window_shows_what_stands_in_it(tokenizer: PreTrainedTokenizerBase) -> None:
    _, contract = open_lookup(RECIPE, tokenizer)
    windowed = contract.model_copy(update={"on_too_long": "window", "max_input_tokens": 110, "window_overlap": 4})
    text = "黄芪补气。" + "今日天晴，" * 12 + "头晕。"
    prompts = build_encoder(tokenizer, windowed).encode_prompts(Example("a", text))
    assert len(prompts) > 1
    for prompt in prompts:
        assert ("药：黄芪" in shown(prompt)) == ("黄芪" in prompt.text)
        assert len(prompt.ids) <= 110


def test_records_show_their_lists(tokenizer: PreTrainedTokenizerBase) -> None:
    fields = {"药": RecordField(kind="verbatim"), "论": RecordField(kind="text")}
    recipe = RECIPE.model_copy(update={"task": RecordTask(fields=fields)})
    train = [Example("1", "服黄芪", Fields({"药": ("黄芪",), "论": "好"})), Example("2", "无药", Fields({"论": "好"}))]
    lookup = fit_lookup(recipe, train)
    contract = draft_contract(recipe, resolve_base(EMBEDDED), tokenizer, lookup=lookup)
    (prompt,) = build_encoder(tokenizer, contract).encode_prompts(Example("a", "再服黄芪"))
    assert shown(prompt)[1:] == ["训练数据里标过的（供参考）：", "药：黄芪"]
    (row, _), _ = BatchEncoder(tokenizer, contract, lookup).encode(train)
    assert "药：黄芪" not in decode_completion(tokenizer, row.ids[: row.prompt_length])


def test_the_contract_keeps_the_strings(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, make_contract: Callable[..., Contract]
) -> None:
    _, contract = open_lookup(RECIPE, tokenizer)
    assert contract.lookup is not None
    assert contract.lookup.types == {"黄芪": "药", "咳嗽": "症", "头晕": "症"}
    write_contract(tmp_path, contract)
    assert read_contract(tmp_path) == contract
    assert make_contract().lookup is None


def test_a_program_without_extune_cannot_look_up(tokenizer: PreTrainedTokenizerBase) -> None:
    contract = open_lookup(RECIPE, tokenizer)[1].model_copy(update={"weights": "model"})
    with pytest.raises(RunError, match="looks up strings"):
        write_snippet(tokenizer, contract, "runs/a")


def test_rows_cannot_be_encoded_without_the_look_up_of_their_contract(tokenizer: PreTrainedTokenizerBase) -> None:
    from extune.tokens.encode import Encoder

    with pytest.raises(ValueError, match="needs find"):
        Encoder(tokenizer, open_lookup(RECIPE, tokenizer)[1]).encode_prompts(TRAIN[0])
