"""Answers end whole within their budget, however tokens are chosen; where no rule is touched, nothing changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import llguidance
import llguidance.hf
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from extune.domain.annotation import Extraction, Fields
from extune.domain.example import Example
from extune.domain.prediction import Completion, Prediction, ProblemKind
from extune.domain.prompt import Prompt
from extune.domain.task import ClassificationTask, ExtractionTask, RecordField, RecordTask, Task
from extune.engines.engine import DecodingOptions
from extune.engines.spelling import Spelling
from extune.engines.transformers_engine import TransformersEngine
from extune.predicting.predictor import Predictor
from extune.prompts.formats import EXTRACTION_FORMATS
from extune.runs.contract import Contract
from extune.tokens.encode import Encoder

GREEDY = DecodingOptions()
AMPLE = 100
WHOLE_TEXT = ("inline", "bio")
EXTRACTION = ExtractionTask(types=["药", "症；状"])
RECORD = RecordTask(
    fields={
        "药名": RecordField(kind="verbatim", distinct=True),
        "病程": RecordField(kind="enum", of=("急性", "慢性")),
        "诊断": RecordField(kind="text"),
        "建议": RecordField(kind="text"),
    }
)
CASES: list[tuple[Task, str]] = [
    *((EXTRACTION, answer_format.name) for answer_format in EXTRACTION_FORMATS),
    (RECORD, "fields"),
    (ClassificationTask(label_names=["药", "药材", "症；状"], multi_label=True), "choices"),
    (ClassificationTask(label_names=["药", "药材", "症；状"]), "choice"),
]
awkward = st.text(st.sampled_from("黄芪当归，。；：\\\n无 a🍵"), max_size=30)
ContractMaker = Callable[..., Contract]


def prompts_of(encoder: Encoder, texts: Sequence[str]) -> list[Prompt]:
    return [prompt for text in texts for prompt in encoder.encode_prompts(Example(text, text))]


def build_engine(
    model: object, tokenizer: PreTrainedTokenizerBase, encoder: Encoder, budget: int, draft_tokens: int
) -> TransformersEngine:
    stops = encoder.contract.stop_token_ids
    return TransformersEngine(model, tokenizer, stops, budget, draft_tokens=draft_tokens)  # type: ignore[arg-type]


class Given:
    """An engine with one answer."""

    name = "given"

    def __init__(self, completion: Completion) -> None:
        self._completion = completion

    def complete(self, prompts: Sequence[Prompt], options: DecodingOptions) -> list[Completion]:
        del options
        return [self._completion for _ in prompts]


def read(encoder: Encoder, text: str, completion: Completion) -> Prediction:
    (prediction,) = Predictor(encoder, Given(completion)).predict_many([Example("a", text)])
    return prediction


def read_problems(encoder: Encoder, prompt: Prompt, completion: Completion) -> set[ProblemKind]:
    """What is wrong with a completion taken as it stands."""
    prediction = read(encoder, prompt.text, Completion(completion.text, "stop", completion.token_count))
    if isinstance(prediction.annotation, Extraction):
        assert prediction.annotation.ungrounded == ()
    return {problem.kind for problem in prediction.problems}


@settings(max_examples=10, deadline=None)
@given(
    texts=st.lists(awkward, min_size=1, max_size=3, unique=True),
    case=st.sampled_from(CASES),
    budget=st.integers(6, 40),
    draft_tokens=st.integers(1, 9),
)
def test_answers_end_whole_within_their_budget(
    texts: list[str],
    case: tuple[Task, str],
    budget: int,
    draft_tokens: int,
    base_model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    make_contract: ContractMaker,
) -> None:
    task, name = case
    encoder = Encoder(tokenizer, make_contract(task=task, format=name))
    prompts = prompts_of(encoder, texts)
    plain = build_engine(base_model, tokenizer, encoder, budget, 0).complete(prompts, GREEDY)
    ahead = build_engine(base_model, tokenizer, encoder, budget, draft_tokens).complete(prompts, GREEDY)
    drawn = build_engine(base_model, tokenizer, encoder, budget, 0).complete(prompts, DecodingOptions(temperature=2.0))
    for prompt, one, other in zip(prompts, plain, ahead, strict=True):
        assert (one.text, one.finish, one.closed_at, one.token_ids) == (
            other.text,
            other.finish,
            other.closed_at,
            other.token_ids,
        ), prompt.text
    for number, completion in enumerate([*plain, *drawn]):
        prompt = prompts[number % len(prompts)]
        assert completion.token_count <= budget
        if completion.finish == "length":
            assert name in WHOLE_TEXT
            continue
        assert bool(completion.closed_at) == (completion.finish == "closed")
        assert read_problems(encoder, prompt, completion) <= {ProblemKind.DUPLICATE}


@settings(max_examples=6, deadline=None)
@given(texts=st.lists(awkward, min_size=1, max_size=3, unique=True), case=st.sampled_from(CASES))
def test_answers_that_touch_no_rule_are_what_the_grammar_alone_gives(
    texts: list[str],
    case: tuple[Task, str],
    base_model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    make_contract: ContractMaker,
) -> None:
    task, name = case
    encoder = Encoder(tokenizer, make_contract(task=task, format=name))
    prompts = prompts_of(encoder, texts)
    engine = build_engine(base_model, tokenizer, encoder, AMPLE, 4)
    ruled = engine.complete(prompts, GREEDY)
    alone = engine.complete([replace(prompt, shape=None) for prompt in prompts], GREEDY)
    for prompt, one, other in zip(prompts, ruled, alone, strict=True):
        touched = other.finish == "length" or read_problems(encoder, prompt, other)
        if not touched and not one.closed_at:
            assert one == other


def test_rules_hold_at_every_place_of_a_given_answer(
    base_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, make_contract: ContractMaker
) -> None:
    encoder = Encoder(tokenizer, make_contract(task=RECORD, format="fields"))
    (prompt,) = prompts_of(encoder, ["黄芪当归"])
    engine = build_engine(base_model, tokenizer, encoder, AMPLE, 0)
    stop = encoder.contract.stop_token_ids[0]
    answers = [
        (*tokenizer(text, add_special_tokens=False)["input_ids"], stop)
        for text in ("药名：黄芪；当归", "药名：黄芪；黄芪", "药名：黄芪；黄芪\n病程：急性")
    ]
    once, twice, twice_and_on = engine.score_answers([prompt] * 3, answers)
    assert once is not None
    assert twice is None
    assert twice_and_on is None


class Wishing:
    """A model that wants one token after another, round and round, whatever stands."""

    def __init__(self, model: PreTrainedModel, wishes: Sequence[int]) -> None:
        self._model, self._wishes = model, wishes

    def __getattr__(self, name: str) -> object:
        return getattr(self._model, name)

    def __call__(self, input_ids: torch.Tensor, **inputs: torch.Tensor) -> object:
        output = self._model(input_ids=input_ids, **inputs)
        following = dict(zip(self._wishes, [*self._wishes[1:], self._wishes[0]], strict=True))
        for row, ids in enumerate(input_ids[:, -output.logits.shape[1] :].tolist()):
            for place, token in enumerate(ids):
                output.logits[row, place, following.get(token, self._wishes[0])] = 1e4
        return output


@pytest.mark.parametrize("draft_tokens", [0, 6])
def test_a_circle_ends_its_field_and_says_so(
    draft_tokens: int, base_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, make_contract: ContractMaker
) -> None:
    task = RecordTask(fields={"诊断": RecordField(kind="text"), "建议": RecordField(kind="text")})
    encoder = Encoder(tokenizer, make_contract(task=task, format="fields"))
    wishes = tokenizer.convert_tokens_to_ids(["一", "的", "，"])
    engine = build_engine(Wishing(base_model, wishes), tokenizer, encoder, 400, draft_tokens)
    (completion,) = engine.complete(prompts_of(encoder, ["黄芪"]), GREEDY)
    assert completion.finish == "stop"
    assert completion.token_count < 200
    prediction = read(encoder, "黄芪", completion)
    assert isinstance(prediction.annotation, Fields)
    written = prediction.annotation.values
    assert all("一的，" * 20 in value for value in written.values())
    assert len(completion.closed_at) == len(written)
    assert [problem.kind for problem in prediction.problems] == [ProblemKind.CLOSED_EARLY] * len(written)
    for place, value in zip(completion.closed_at, written.values(), strict=True):
        assert completion.text[:place].endswith(str(value))


def test_a_list_that_runs_in_a_circle_is_closed(
    base_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, make_contract: ContractMaker
) -> None:
    task = RecordTask(fields={"药名": RecordField(kind="verbatim")})
    encoder = Encoder(tokenizer, make_contract(task=task, format="fields"))
    wishes = tokenizer.convert_tokens_to_ids(["芪", "；"])
    engine = build_engine(Wishing(base_model, wishes), tokenizer, encoder, 400, 4)
    (completion,) = engine.complete(prompts_of(encoder, ["黄芪"]), GREEDY)
    prediction = read(encoder, "黄芪", completion)
    assert completion.finish == "closed"
    assert completion.token_count < 100
    assert [problem.kind for problem in prediction.problems] == [ProblemKind.CLOSED_EARLY]
    assert isinstance(prediction.annotation, Fields)
    assert set(prediction.annotation.values["药名"]) == {"芪"}


def test_what_masks_added_is_no_item(
    base_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, make_contract: ContractMaker
) -> None:
    text = "黄芪三十克，补气固表"
    encoder = Encoder(tokenizer, make_contract(task=EXTRACTION, format="json"))
    wishes = tokenizer.convert_tokens_to_ids(list(text))
    engine = build_engine(Wishing(base_model, wishes), tokenizer, encoder, 14, 4)
    (completion,) = engine.complete(prompts_of(encoder, [text]), GREEDY)
    prediction = read(encoder, text, completion)
    assert completion.finish == "closed"
    assert '"黄芪三' in completion.text[: completion.closed_at[-1]]
    assert completion.text.endswith('"]}')
    assert prediction.annotation == Extraction()
    assert [problem.kind for problem in prediction.problems] == [ProblemKind.CLOSED_EARLY]


@pytest.fixture(scope="module")
def inner(tokenizer: PreTrainedTokenizerBase) -> llguidance.LLTokenizer:
    return llguidance.hf.from_tokenizer(tokenizer)


@pytest.fixture(scope="module")
def spelling(inner: llguidance.LLTokenizer) -> Spelling:
    return Spelling(inner)


@given(text=st.text(max_size=30))
def test_nothing_is_spelled_with_more_tokens_than_a_tokenizer_takes(
    inner: llguidance.LLTokenizer, spelling: Spelling, text: str
) -> None:
    encoded = text.encode()
    spelled = spelling.spell(encoded)
    tokens = spelled.tokens()
    assert b"".join(map(spelling.read, tokens)) == encoded
    assert spelled.count() == len(tokens) <= len(inner.tokenize_str(text))
    for place in range(len(encoded) + 1):
        assert b"".join(map(spelling.read, spelled.tokens(place))) == encoded[place:]


class FewBytes:
    """A vocabulary of single bytes as llguidance shows one."""

    def __init__(self, present: bytes) -> None:
        self._present, self.vocab_size = present, len(present)

    def decode_bytes(self, tokens: Sequence[int]) -> bytes:
        return bytes(self._present[token] for token in tokens)

    def is_special_token(self, token: int) -> bool:
        del token
        return False


@pytest.mark.parametrize(("missing", "total"), [(b"", True), (b"\xc0\xc1\xff", True), (b"\x80", False), (b"a", False)])
def test_a_vocabulary_without_a_byte_that_texts_have_cannot_spell_all(missing: bytes, total: bool) -> None:
    present = bytes(byte for byte in range(256) if byte not in missing)
    assert Spelling(FewBytes(present)).is_total == total  # type: ignore[arg-type]
    spelled = Spelling(FewBytes(present)).spell(b"xa\x80")  # type: ignore[arg-type]
    assert (spelled.count() is None) == (not total)
