"""Records, classes and answers as rows: the gold comes back from the ids, candidates narrow, answers are never cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from extune.data.shortening import MARK
from extune.domain.annotation import Annotation, Answer, Extraction, Fields, Labels, Span
from extune.domain.example import Example, Source
from extune.domain.prompt import Prompt
from extune.domain.task import ClassificationTask, ExtractionTask, GenerationTask, RecordField, RecordTask, Task
from extune.engines.scripted_engine import ScriptedEngine
from extune.errors import DataError, FormatError, RecipeError
from extune.predicting.open import build_encoder
from extune.predicting.predictor import Predictor
from extune.prompts.reading import read_completion
from extune.prompts.user_template import PromptTemplate
from extune.runs.contract import Contract
from extune.tokens.encode import Encoder
from extune.tokens.plain_text import decode_completion

EncoderMaker = Callable[..., Encoder]
VERBATIM = RecordTask(fields={"药": RecordField(kind="verbatim")})
RECORD = RecordTask(fields={"药": RecordField(kind="verbatim"), "结论": RecordField(kind="text")})
CLASSES = ClassificationTask(label_names={"科技": "互联网", "体育": ""})
ROW = Source("train.jsonl", 7)


@pytest.fixture
def make_encoder(tokenizer: PreTrainedTokenizerBase, make_contract: Callable[..., Contract]) -> EncoderMaker:
    def make(task: Task, **changes: Any) -> Encoder:
        return build_encoder(tokenizer, make_contract(task=task, format=task.answer_formats[0], **changes))

    return make


def answer_of(encoder: Encoder, example: Example) -> str:
    (row,) = encoder.encode_rows(example)
    (prompt,) = encoder.encode_prompts(example)
    assert row.ids[: row.prompt_length] == prompt.ids
    *answer, stop = row.ids[row.prompt_length :]
    assert stop == encoder.contract.stop_token_ids[0]
    return decode_completion(encoder.tokenizer, answer)


@pytest.mark.parametrize(
    ("task", "gold"),
    [
        (RECORD, Fields({"药": ("黄芪", "当归"), "结论": "气虚"})),
        (RECORD, Fields({})),
        (CLASSES, Labels(("体育",))),
        (CLASSES.model_copy(update={"multi_label": True}), Labels(())),
        (GenerationTask(instruction="回答。"), Answer("多休息。")),
    ],
)
def test_the_gold_comes_back_from_the_row(task: Task, gold: Annotation, make_encoder: EncoderMaker) -> None:
    encoder, text = make_encoder(task), "用黄芪、当归补气"
    answer = answer_of(encoder, Example("a", text, gold))
    assert read_completion(task, encoder.answer_format, text, answer) == (gold, ())


def test_candidates_stand_in_the_rows_order_in_prompt_and_grammar(make_encoder: EncoderMaker) -> None:
    example = Example("a", "文", Labels(("财经",)), candidates=("财经", "科技"))
    (prompt,) = make_encoder(CLASSES).encode_prompts(example)
    assert "类别：\n财经\n科技：互联网\n文本" in prompt.messages[-1].content
    assert prompt.grammar == 'start: "财经" | "科技"\n'
    assert answer_of(make_encoder(ClassificationTask()), example) == "财经"


def test_gold_outside_of_the_candidates_names_the_row(make_encoder: EncoderMaker) -> None:
    example = Example("a", "文", Labels(("体育",)), candidates=("财经", "科技"), source=ROW)
    with pytest.raises(FormatError, match="'体育'") as caught:
        make_encoder(CLASSES).encode_rows(example)
    assert caught.value.where == "train.jsonl:7"
    with pytest.raises(DataError, match="no candidates") as missing:
        make_encoder(ClassificationTask()).encode_prompts(Example("a", "文", source=ROW))
    assert missing.value.where == "train.jsonl:7"


def test_earlier_turns_come_first(make_encoder: EncoderMaker) -> None:
    (prompt,) = make_encoder(GenerationTask()).encode_prompts(Example("a", "然后呢？", history=(("问", "答"),)))
    assert [(message.role, message.content) for message in prompt.messages] == [
        ("user", "问"), ("assistant", "答"), ("user", "然后呢？"),
    ]  # fmt: skip
    assert prompt.grammar is None


@pytest.mark.parametrize(
    ("task", "gold"),
    [
        (RECORD, Fields({"结论": "气虚" * 20})),
        (CLASSES, Labels(("科技" * 20,))),
        (GenerationTask(), Answer("多休息。" * 20)),
    ],
)
@pytest.mark.parametrize("choice", ["error", "shorten"])
def test_an_answer_that_would_be_cut_names_its_row(
    task: Task, gold: Annotation, choice: str, make_encoder: EncoderMaker
) -> None:
    candidates = ("科技" * 20, "体育") if isinstance(gold, Labels) else None
    example = Example("a", "文", gold, candidates=candidates, source=ROW)
    with pytest.raises(DataError, match="max_answer_tokens is 16") as caught:
        make_encoder(task, max_answer_tokens=16, on_too_long=choice).encode_rows(example)
    assert caught.value.where == "train.jsonl:7"


def test_a_long_text_loses_its_middle_visibly(make_encoder: EncoderMaker) -> None:
    text = "开头" + "中间" * 200 + "结尾"
    encoder = make_encoder(CLASSES, max_input_tokens=120, on_too_long="shorten")
    example = Example("long", text, Labels(("科技",)))
    (row,), (prompt,) = encoder.encode_rows(example), encoder.encode_prompts(example)
    head, tail = row.text.split(MARK)
    assert text.startswith(head)
    assert text.endswith(tail)
    assert 0 <= len(head) - len(tail) <= 1
    assert 110 < row.prompt_length <= 120
    assert prompt.ids == row.ids[: row.prompt_length]
    assert "只写类别的名称" in prompt.messages[-1].content
    assert encoder.length_report.shortened == ("long", "long")
    assert encoder.encode_rows(Example("short", "文", Labels(("科技",))))[0].text == "文"
    with pytest.raises(DataError, match="no window fits"):
        make_encoder(CLASSES, max_input_tokens=20, on_too_long="shorten").encode_prompts(example)


def test_windows_of_verbatim_records_lose_nothing_and_merge(make_encoder: EncoderMaker) -> None:
    names = [f"药{chr(0x4E00 + number)}" for number in range(40)]
    text = "。".join(f"今天服了{name}" for name in names) + "。又服药一。"
    gold = Fields({"药": tuple(names)})
    encoder = make_encoder(VERBATIM, max_input_tokens=150, max_answer_tokens=80, on_too_long="window", window_overlap=12)
    rows = encoder.encode_rows(Example("a", text, gold))
    assert len(rows) > 1

    def answer(prompt: Prompt) -> str:
        found = [name for name in names if name in prompt.text]
        return "药：" + "；".join(found) if found else "无"

    (prediction,) = Predictor(encoder, ScriptedEngine(answer)).predict_many([Example("a", text)])
    assert (prediction.annotation, prediction.problems) == (gold, ())
    with pytest.raises(DataError, match="no window whole"):
        encoder.encode_rows(Example("a", text, Fields({"药": ("人参",)})))


def test_a_dropped_text_is_predicted_as_nothing(make_encoder: EncoderMaker) -> None:
    encoder = make_encoder(CLASSES, max_input_tokens=100, on_too_long="drop")
    long, short = Predictor(encoder, ScriptedEngine(lambda _: "科技")).predict_many(
        [Example("a", "文" * 99), Example("b", "文")]
    )
    assert (long.annotation, short.annotation) == (Labels(()), Labels(("科技",)))
    assert len(long.problems) == 1


@pytest.mark.parametrize("choice", ["error", "drop", "shorten"])
@pytest.mark.parametrize(
    ("task", "gold"),
    [
        (RECORD, Fields({"结论": "长" * 40})),
        (ClassificationTask(label_names={"长" * 40: "", "短": ""}), Labels(("长" * 40,))),
        (GenerationTask(instruction="回答。"), Answer("长" * 40)),
        (ExtractionTask(types={"药": ""}), Extraction((Span("药", "长" * 40, 0, 40),))),
    ],
)
def test_an_answer_beyond_its_budget_is_an_error_with_its_row(
    task: Task, gold: Annotation, choice: str, make_encoder: EncoderMaker
) -> None:
    encoder = make_encoder(task, max_answer_tokens=20, on_too_long=choice)
    with pytest.raises(DataError, match="max_answer_tokens is 20") as caught:
        encoder.encode_rows(Example("a", "长" * 40, gold, source=ROW))
    assert caught.value.where == "train.jsonl:7"
    assert encoder.length_report.kept == 0


def test_a_contract_from_before_templates_still_loads(make_encoder: EncoderMaker) -> None:
    contract = make_encoder(CLASSES).contract
    older = {key: value for key, value in contract.model_dump(mode="json").items() if key != "template"}
    assert Contract.model_validate(older) == contract


def test_a_template_is_used_in_rows_and_prompts(make_encoder: EncoderMaker) -> None:
    encoder = make_encoder(GenerationTask(), template=PromptTemplate(prompt_input="问题：{instruction}\n回答："))
    example = Example("a", "头痛怎么办？", Answer("休息"))
    assert answer_of(encoder, example) == "休息"
    assert encoder.encode_prompts(example)[0].messages[-1].content == "问题：头痛怎么办？\n回答："
    with pytest.raises(RecipeError, match="ignores the example's text"):
        encoder.encode_rows(Example("a", "文", Answer("休息"), instruction="问"))
