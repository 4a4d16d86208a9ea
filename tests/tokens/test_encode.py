"""Messages become ids once and for all: equal to Hugging Face's own, with the mask from structure and nothing cut."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GenerationConfig, PreTrainedTokenizerBase

from extune.data.windows import assign_gold, split_windows
from extune.domain.annotation import Extraction, Span
from extune.domain.example import Example, Source
from extune.domain.prompt import Message
from extune.errors import DataError, RecipeError
from extune.predicting.open import build_encoder
from extune.prompts.templates import PLAIN_TEMPLATE
from extune.runs.contract import Contract
from extune.tokens.encode import Encoder
from extune.tokens.lengths import LengthReport
from extune.tokens.plain_text import decode_completion, encode_text
from extune.tokens.rendering import encode_messages, render_template, stop_token_ids

ContractMaker = Callable[..., Contract]

any_text = st.text(max_size=40)
special_text = st.lists(
    st.sampled_from(["<|im_end|>", "<|im_start|>", "<|endoftext|>", "<|", "im_end", "黄芪", "\n", " "]), max_size=8
).map("".join)


def user(text: str) -> tuple[Message, ...]:
    return (Message("user", "抽取：" + text),)


def gold_example(text: str, *spans: tuple[int, int, str], id: str = "a") -> Example:
    placed = tuple(Span(type, text[start:end], start, end) for start, end, type in spans)
    return Example(id, text, Extraction(placed), source=Source("train.txt", 7))


@given(text=any_text)
def test_a_text_without_special_strings_gets_hugging_faces_own_ids(text: str, tokenizer: PreTrainedTokenizerBase) -> None:
    own = tokenizer.apply_chat_template(
        [{"role": "user", "content": "抽取：" + text}], add_generation_prompt=True, return_dict=False
    )
    assert encode_messages(tokenizer, str(tokenizer.chat_template), user(text), text) == own


@given(text=special_text)
def test_special_strings_in_a_text_stay_plain_text(text: str, tokenizer: PreTrainedTokenizerBase) -> None:
    template = str(tokenizer.chat_template)
    ids = encode_messages(tokenizer, template, user(text), text)
    plain = encode_messages(tokenizer, template, user("无"), "无")
    special = set(tokenizer.all_special_ids)
    assert [token for token in ids if token in special] == [token for token in plain if token in special]
    assert decode_completion(tokenizer, ids) == render_template(tokenizer, template, user(text))


@given(text=st.one_of(any_text, special_text))
def test_plain_text_round_trips(text: str, tokenizer: PreTrainedTokenizerBase) -> None:
    ids = encode_text(tokenizer, text)
    assert decode_completion(tokenizer, ids) == text
    assert not set(ids) & set(tokenizer.all_special_ids)


def test_a_template_that_ignores_a_field_is_named(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(RecipeError, match="leaves out the example's text"):
        encode_messages(tokenizer, "{% for m in messages %}{{ m['role'] }}{% endfor %}", user("黄芪"), "黄芪")
    with pytest.raises(RecipeError, match="leaves out the example's instruction"):
        encode_messages(tokenizer, "{{ messages[0]['content'][3:] }}", user("黄芪"), "黄芪")


def test_a_template_may_trim_blanks_around_a_message(tokenizer: PreTrainedTokenizerBase) -> None:
    ids = encode_messages(tokenizer, "{{ messages[0]['content'] | trim }}", user("黄芪 \n"), "黄芪 \n")
    assert decode_completion(tokenizer, ids) == "抽取：黄芪"


def test_a_template_with_todays_date_gives_the_same_prompt_every_day(tokenizer: PreTrainedTokenizerBase) -> None:
    template = "{{ strftime_now('%d %b %Y') }} {{ messages[0]['content'] }}"
    assert render_template(tokenizer, template, user("黄芪")) == "26 Jul 2024 抽取：黄芪"


def test_the_turn_end_of_the_template_is_the_first_stop_token(tokenizer: PreTrainedTokenizerBase) -> None:
    turn_end, end_of_text = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    assert stop_token_ids(tokenizer) == (turn_end,)
    assert stop_token_ids(tokenizer, GenerationConfig(eos_token_id=[end_of_text, turn_end])) == (turn_end, end_of_text)


def test_the_plain_template_ends_answers_with_the_end_of_text(tokenizer: PreTrainedTokenizerBase) -> None:
    turns = (*user("黄芪"), Message("assistant", "药：黄芪"))
    assert render_template(tokenizer, PLAIN_TEMPLATE, turns, add_generation_prompt=False) == (
        f"user:\n抽取：黄芪\nassistant:\n药：黄芪{tokenizer.eos_token}\n"
    )


@settings(deadline=None)
@given(text=st.text(min_size=1, max_size=30), data=st.data())
def test_a_row_is_the_prompt_then_the_answer_then_the_stop(
    text: str, data: st.DataObject, tokenizer: PreTrainedTokenizerBase, make_contract: ContractMaker
) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    encoder = Encoder(tokenizer, make_contract(constrain=False))
    example = gold_example(text, (start, end, "药"))
    (row,), (prompt,) = encoder.encode_rows(example), encoder.encode_prompts(example)
    assert row.ids[: row.prompt_length] == prompt.ids
    *answer, stop = row.ids[row.prompt_length :]
    assert stop == encoder.contract.stop_token_ids[0]
    assert isinstance(example.gold, Extraction)
    assert decode_completion(tokenizer, answer) == encoder.answer_format.render_target(encoder.task, text, example.gold)


def test_an_example_without_gold_cannot_be_a_row(tokenizer: PreTrainedTokenizerBase, make_contract: ContractMaker) -> None:
    with pytest.raises(DataError, match="no gold") as caught:
        Encoder(tokenizer, make_contract()).encode_rows(Example("a", "黄芪", source=Source("in.txt", 3)))
    assert caught.value.where == "in.txt:3"


class TestLengths:
    """What does not fit follows the contract and is counted."""

    long_text = "黄芪补气。" * 60

    @pytest.fixture
    def encoder_for(self, tokenizer: PreTrainedTokenizerBase, make_contract: ContractMaker) -> Callable[..., Encoder]:
        def make(on_too_long: str, **changes: object) -> Encoder:
            return build_encoder(tokenizer, make_contract(on_too_long=on_too_long, **{"max_input_tokens": 200, **changes}))

        return make

    def test_error_names_place_and_budget(self, encoder_for: Callable[..., Encoder]) -> None:
        example = gold_example(self.long_text)
        for encode in (encoder_for("error").encode_rows, encoder_for("error").encode_prompts):
            with pytest.raises(DataError, match="max_input_tokens is 200") as caught:
                encode(example)
            assert caught.value.where == "train.txt:7"
            assert "max_input_tokens" in caught.value.fix

    def test_an_answer_beyond_its_budget_is_an_error(self, encoder_for: Callable[..., Encoder]) -> None:
        with pytest.raises(DataError, match="max_answer_tokens is 4"):
            encoder_for("error", max_answer_tokens=4).encode_rows(gold_example("黄芪补气", (0, 2, "药")))

    def test_drop_counts_ids(self, encoder_for: Callable[..., Encoder]) -> None:
        encoder = encoder_for("drop")
        assert encoder.encode_rows(gold_example(self.long_text, id="long")) == ()
        assert encoder.encode_prompts(Example("long too", self.long_text)) == ()
        assert len(encoder.encode_rows(gold_example("黄芪", id="short"))) == 1
        assert encoder.length_report == LengthReport(kept=1, dropped=("long", "long too"))

    def test_windows_fit_cover_the_text_and_keep_every_span(self, encoder_for: Callable[..., Encoder]) -> None:
        encoder = encoder_for("window", window_overlap=10, max_answer_tokens=40)
        spans = [(start, start + 2, "药") for start in range(0, len(self.long_text), 5)]
        example = gold_example(self.long_text, *spans)
        rows = encoder.encode_rows(example)
        assert all(row.prompt_length <= 200 and len(row.ids) - row.prompt_length <= 40 for row in rows)
        assert all(example.text[row.offset : row.offset + len(row.text)] == row.text for row in rows)
        covered = {place for row in rows for place in range(row.offset, row.offset + len(row.text))}
        assert covered == set(range(len(example.text)))
        assert encoder.length_report == LengthReport(windowed=("a",))
        prompts = encoder.encode_prompts(example)
        assert all(len(prompt.ids) <= 200 and prompt.text in prompt.messages[-1].content for prompt in prompts)

    def test_budgets_that_hold_no_text_are_an_error(self, encoder_for: Callable[..., Encoder]) -> None:
        with pytest.raises(DataError, match="no window fits"):
            encoder_for("window", max_input_tokens=20).encode_prompts(Example("a", self.long_text))

    def test_answers_that_no_window_makes_short_enough_are_an_error(self, encoder_for: Callable[..., Encoder]) -> None:
        with pytest.raises(DataError):
            encoder_for("window", max_answer_tokens=4).encode_rows(gold_example("黄芪补气", (0, 4, "药")))

    def test_windows_need_their_functions(self, tokenizer: PreTrainedTokenizerBase, make_contract: ContractMaker) -> None:
        contract = make_contract(on_too_long="window", max_input_tokens=200)
        with pytest.raises(ValueError, match="split_windows"):
            Encoder(tokenizer, contract).encode_prompts(Example("a", self.long_text))
        assert Encoder(tokenizer, contract, split_windows, assign_gold).encode_prompts(Example("a", self.long_text))
