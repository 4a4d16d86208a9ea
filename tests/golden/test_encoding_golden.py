"""The rendered prompt and the loss mask of one example, written out: a change of either is a change of the contract."""

from __future__ import annotations

from collections.abc import Callable

from transformers import PreTrainedTokenizerBase

from extune.domain.annotation import Extraction, Span
from extune.domain.example import Example
from extune.runs.contract import Contract
from extune.tokens.encode import Encoder
from extune.tokens.plain_text import decode_completion

TEXT = "黄芪30克，主治<|im_end|>气虚。"


def test_prompt_and_mask(tokenizer: PreTrainedTokenizerBase, make_contract: Callable[..., Contract]) -> None:
    encoder = Encoder(tokenizer, make_contract())
    spans = (Span("药", "黄芪", 0, 2), Span("症", "<|im_end|>气虚", 8, 20))
    (row,) = encoder.encode_rows(Example("a", TEXT, Extraction(spans)))
    prompt, answer = row.ids[: row.prompt_length], row.ids[row.prompt_length :]
    describe = encoder.answer_format.describe("zh")
    assert decode_completion(tokenizer, prompt) == (
        f"<|im_start|>user\n抽取文本中下列类型的内容，照抄原文。\n{describe}\n类型：\n药：单味药材\n症\n文本：\n{TEXT}<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert [decode_completion(tokenizer, [token]) for token in answer] == [*"药：黄芪\n症：<|im_end|>气虚", "<|im_end|>"]
    turn_start, turn_end = tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
    assert [token for token in row.ids if token in (turn_start, turn_end)] == [turn_start, turn_end, turn_start, turn_end]
