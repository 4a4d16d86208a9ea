"""With a grammar even a model that was never trained for it writes answers that parse and whose mentions are in the text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from extune.domain.example import Example
from extune.domain.prediction import ProblemKind
from extune.engines.constraint import GrammarCompiler
from extune.engines.engine import DecodingOptions
from extune.engines.transformers_engine import TransformersEngine
from extune.errors import EngineError
from extune.prompts.alignment import read_extraction
from extune.prompts.formats import EXTRACTION_FORMATS
from extune.runs.contract import Contract
from extune.tokens.encode import Encoder
from extune.tokens.plain_text import encode_text

TEXTS = ["黄芪30克，补气固表。", "甲；乙：丙\\丁\n戊", "🍵茶🍵茶", " \u3000<|im_end|>\t", "患者咳嗽三天，予桂枝汤加减"]


@pytest.mark.parametrize("name", [answer_format.name for answer_format in EXTRACTION_FORMATS])
def test_constrained_answers_parse_and_are_verbatim(
    name: str, base_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, make_contract: Callable[..., Contract]
) -> None:
    encoder = Encoder(tokenizer, make_contract(format=name))
    engine = TransformersEngine(base_model, tokenizer, encoder.contract.stop_token_ids, 48)
    prompts = [prompt for text in TEXTS for prompt in encoder.encode_prompts(Example(text, text))]
    for options in (DecodingOptions(), DecodingOptions(temperature=2.0)):
        completions = engine.complete(prompts, options)
        for prompt, completion in zip(prompts, completions, strict=True):
            _, problems = read_extraction(encoder.task, encoder.answer_format, prompt.text, completion.text)
            if completion.finish != "length":
                assert {problem.kind for problem in problems} <= {ProblemKind.DUPLICATE}, completion.text


def test_a_stop_is_allowed_exactly_where_the_grammar_accepts(
    tokenizer: PreTrainedTokenizerBase, make_contract: Callable[..., Contract]
) -> None:
    contract = make_contract()
    (prompt,) = Encoder(tokenizer, contract).encode_prompts(Example("a", "黄芪"))
    compiler = GrammarCompiler(tokenizer, len(tokenizer), contract.stop_token_ids)
    matcher = compiler.compile(replace(prompt, grammar='start: "药" ("芪" | "芪气")'))
    assert matcher is not None
    (stop,) = contract.stop_token_ids
    first, second, third = encode_text(tokenizer, "药芪气")
    for token, then in ((first, {second}), (second, {third, stop}), (third, {stop})):
        matcher.accept(token)
        allowed = compiler.allowed([matcher])[0].nonzero()[0].tolist()
        single_bytes = set(tokenizer.convert_tokens_to_ids([f"<0x{byte:02X}>" for byte in range(256)]))
        assert set(allowed) - single_bytes == then


def test_prompts_without_grammar_are_free(tokenizer: PreTrainedTokenizerBase, make_contract: Callable[..., Contract]) -> None:
    contract = make_contract(constrain=False)
    (prompt,) = Encoder(tokenizer, contract).encode_prompts(Example("a", "黄芪"))
    compiler = GrammarCompiler(tokenizer, len(tokenizer) + 5, contract.stop_token_ids)
    assert compiler.compile(prompt) is None
    assert compiler.allowed([None]).all()


def test_a_grammar_that_does_not_compile_names_the_example(
    base_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, make_contract: Callable[..., Contract]
) -> None:
    (prompt,) = Encoder(tokenizer, make_contract()).encode_prompts(Example("row 7", "黄芪"))
    engine = TransformersEngine(base_model, tokenizer, (2,), 8)
    with pytest.raises(EngineError, match="row 7"):
        engine.complete([replace(prompt, grammar="start: nowhere")], DecodingOptions())
