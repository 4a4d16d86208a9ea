"""With a byte-level BPE, whose tokens cross characters, special strings in a text are encoded as if they were not special."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from extune.domain.prompt import Message
from extune.tokens.plain_text import decode_completion, encode_text
from extune.tokens.rendering import encode_messages

TEMPLATE = "{% for m in messages %}<|user|>{{ m['content'] }} <|end|> \n{% endfor %}"
CORPUS = ["the patient took <|extra|> aspirin twice", "黄芪补气，黄芪固表", "user end extra | < > \n\n"] * 4


def build(*, extra_is_special: bool) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=340,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[AddedToken("<|user|>", rstrip=True), AddedToken("<|end|>", lstrip=True, rstrip=True)],
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    if extra_is_special:
        tokenizer.add_special_tokens(["<|extra|>"])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", clean_up_tokenization_spaces=False)


@pytest.fixture(scope="module")
def with_extra() -> PreTrainedTokenizerFast:
    return build(extra_is_special=True)


@pytest.fixture(scope="module")
def without_extra() -> PreTrainedTokenizerFast:
    return build(extra_is_special=False)


words = st.lists(st.sampled_from(["<|extra|>", " ", "the", " patient", "黄芪", "\n", "<|"]), max_size=8).map("".join)


@given(text=words)
def test_a_special_string_in_a_text_costs_nothing_else(
    text: str, with_extra: PreTrainedTokenizerFast, without_extra: PreTrainedTokenizerFast
) -> None:
    ids = encode_messages(with_extra, TEMPLATE, (Message("user", text),), text)
    assert ids == without_extra.apply_chat_template(
        [{"role": "user", "content": text}], chat_template=TEMPLATE, return_dict=False
    )


@given(text=st.one_of(words, st.text(max_size=20)))
def test_plain_text_round_trips(text: str, with_extra: PreTrainedTokenizerFast) -> None:
    assert decode_completion(with_extra, encode_text(with_extra, text)) == text
