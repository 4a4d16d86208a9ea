"""llama.cpp itself reads the files: equal ids, equal answers, close logits.

It runs where the package `cyllama`, which brings llama.cpp with it, is installed (0.2.18 was tried, with llama.cpp b9190).
"""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.llama_cpp import Loaded
from tests.conftest import ContractMaker
from tests.models.gguf.made_tokenizers import BLANKS, CUTS, SPECIAL, TEMPLATE, byte_level, pieces
from tests.models.gguf.test_gguf_file import LLAMA3, ROPE, build_config, build_model
from tokenizers import normalizers
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from extune.models.gguf.architecture import read_architecture
from extune.models.gguf.file import write_gguf
from extune.models.gguf.vocabulary import read_vocabulary
from extune.predicting.prompt_layout import render_layout

pytest.importorskip("cyllama.llama.llama_cpp", reason="llama.cpp (the package cyllama) is not installed")
pytest.importorskip("gguf", reason="the extra gguf is not installed")

PROMPT = "<|im_start|>user\n<TEXT><|im_end|>\n<|im_start|>assistant\n"
TEXTS = (
    "黄芪30克，补气固表。",
    "  two  blanks\n\n\t and I'LL don't 123456 ３.14",
    "e\u0301é 한국어 ไทย 😀👩\u200d⚕️ \u3000\u00a0x",
    "龘𠮷<0x41><|im_",
    "",
    " ",
    "the the the 头痛头痛头痛 ll lll llll",
    "\u200b\ufeff½Ⅷ³",
)


@pytest.fixture
def load(make_contract: ContractMaker, tmp_path: Path) -> Any:
    def load_one(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Loaded:
        shape = read_architecture(model.config, 512, "here")
        contract = make_contract(chat_template=TEMPLATE, stop_token_ids=(tokenizer.eos_token_id,))
        path = tmp_path / "model.gguf"
        write_gguf(
            path, model, tokenizer, contract, (shape, read_vocabulary(tokenizer, shape.rows, PROMPT, "<TEXT>")), "float32"
        )
        return Loaded(path)

    return load_one


SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {}),
    "llama with biases": ("llama", {"attention_bias": True}),
    "wide heads": ("llama", {"head_dim": 16, "num_key_value_heads": 1}),
    "llama 3": ("llama", {"rope_parameters": LLAMA3 | ROPE}),
    "linear": ("llama", {"rope_parameters": {"rope_type": "linear"} | ROPE}),
    "mistral": ("mistral", {}),
    "mistral in its window": ("mistral", {"sliding_window": 600}),
    "qwen 2": ("qwen2", {}),
    "qwen 2 yarn": ("qwen2", {"rope_parameters": {"rope_type": "yarn"} | ROPE}),
    "qwen 3": ("qwen3", {"tie_word_embeddings": True}),
    "qwen 3 yarn": ("qwen3", {"head_dim": 16, "rope_parameters": {"rope_type": "yarn"} | ROPE}),
}


@pytest.mark.parametrize("case", SHAPES)
def test_logits(case: str, load: Any) -> None:
    family, changes = SHAPES[case]
    model = build_model(build_config(family, **changes))
    ids = [int(number) for number in torch.randint(5, 390, (400,), generator=torch.Generator().manual_seed(5))]
    with torch.no_grad():
        expected = model(input_ids=torch.tensor([ids])).logits[0, -1]
    assert (load(model, pieces("replaced")).logits(ids) - expected).norm() <= 1e-4 * expected.norm()


@pytest.mark.parametrize("name", [*CUTS, *(blanks for blanks in BLANKS if blanks != "split")])
def test_ids(name: str, load: Any) -> None:
    made = byte_level(CUTS[name][0], whole=CUTS[name][1]) if name in CUTS else pieces(name)
    loaded = load(build_model(build_config("llama")), made)
    for text in TEXTS:
        prompt = PROMPT.replace("<TEXT>", text)
        assert loaded.cut(prompt) == made(prompt, add_special_tokens=False)["input_ids"], text
    assert [number for number in range(400) if loaded.vocabulary.is_eog(number)] == sorted(
        made.convert_tokens_to_ids([SPECIAL[0], SPECIAL[2]])  # llama.cpp knows both names
    )


def test_texts_in_another_normal_form_are_the_limit_that_is_said(load: Any) -> None:
    made = byte_level(CUTS["qwen2"][0], normalizer=normalizers.NFC())
    loaded = load(build_model(build_config("llama")), made)
    equal = {text: loaded.cut(text) == made(text)["input_ids"] for text in TEXTS}
    assert equal == {text: unicodedata.is_normalized("NFC", text) for text in TEXTS}


def test_answers_of_the_embedded_base(
    base_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, make_contract: ContractMaker, load: Any
) -> None:
    loaded = load(base_model, tokenizer)
    layout = render_layout(tokenizer, make_contract(weights="model"), "here")
    for text in TEXTS[:4]:
        ids = tokenizer(layout.fill(text), add_special_tokens=False)["input_ids"]
        assert loaded.cut(layout.fill(text)) == ids
        with torch.no_grad():
            written = base_model.generate(
                input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), max_new_tokens=16,
                do_sample=False, eos_token_id=[0, 2], pad_token_id=0,
            )  # fmt: skip
        assert loaded.answer(ids, 16) == written[0, len(ids) :].tolist()
