"""Every byte of a text belongs to a token, also where tokens cross characters."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tokens.test_encode_byte_level import build
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from extune.tokens.plain_text import encode_text
from extune.tokens.token_places import place_tokens

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)


@pytest.fixture(scope="module")
def byte_level() -> PreTrainedTokenizerFast:
    return build(extra_is_special=False)


def require_cover(tokenizer: PreTrainedTokenizerBase, text: str) -> None:
    ids = encode_text(tokenizer, text)
    places = place_tokens(tokenizer, ids, text)
    assert len(places) == len(ids)
    if not ids:
        return
    assert places[0][0] == 0
    assert places[-1][1] == len(text)
    for (start, end), (next_start, next_end) in pairwise(places):
        assert start < end  # every token touches a character
        assert (start, end) <= (next_start, next_end)
        assert end - 1 <= next_start <= end  # no gap, and at most the last character is shared


@given(TEXTS)
def test_byte_fallback_tokens_cover_the_text(tokenizer: PreTrainedTokenizerBase, text: str) -> None:
    require_cover(tokenizer, text)


@given(TEXTS)
def test_byte_level_tokens_cover_the_text(byte_level: PreTrainedTokenizerFast, text: str) -> None:
    require_cover(byte_level, text)


def test_parts_of_a_character_touch_it(byte_level: PreTrainedTokenizerFast) -> None:
    ids = encode_text(byte_level, "a鑫b")
    assert len(ids) > 3  # 鑫 is not in the tokenizer's corpus
    assert place_tokens(byte_level, ids, "a鑫b") == ((0, 1), *[(1, 2)] * (len(ids) - 2), (2, 3))
