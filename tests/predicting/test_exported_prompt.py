"""What asks an exported model: the Modelfile's template gives the contract's prompt, whatever stands in it."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import ContractMaker
from transformers import PreTrainedTokenizerBase

from extune.predicting.exported_prompt import describe_prompt, request_llama_server, request_ollama, stop_texts, write_modelfile
from extune.predicting.prompt_layout import PromptLayout, render_layout

TRICKY = st.text(
    st.sampled_from([*'{}"\\n\\u. Pa#', "\n", "\t", "\r", "\u3000", "\u00a0", "\u200b", "😀", "黄", "\x00"]), max_size=20
)


def read_modelfile(text: str) -> dict[str, list[str]]:
    """As Ollama's parser reads it: a value ends with its line, or with its closing quotes; other blanks than spaces, tabs and
    line ends are dropped, like everything that is not printable."""
    commands: dict[str, list[str]] = {}
    lines = text.split("\n")
    while lines:
        line = lines.pop(0)
        if not line.strip() or line.startswith("#"):
            continue
        name, _, value = line.partition(" ")
        while value.startswith('"""') and not (len(value.strip()) >= 6 and value.strip().endswith('"""')):
            value += "\n" + lines.pop(0)
        value = value.strip()
        quotes = 3 if value.startswith('"""') else 1 if value.startswith('"') else 0
        value = "".join(one for one in value[quotes : len(value) - quotes] if one.isprintable() or one in "\n\t\r")
        commands.setdefault(name, []).append(value)
    return commands


def render(template: str, text: str) -> str:
    """The part of Go's text/template that is used: the prompt, and quoted strings."""
    parts = re.split(r"\{\{(.*?)\}\}", template, flags=re.DOTALL)
    assert not any("{{" in plain for plain in parts[::2])
    rendered = [text if action == " .Prompt " else json.loads(action) for action in parts[1::2]]
    return "".join(plain + (rendered[at] if at < len(rendered) else "") for at, plain in enumerate(parts[::2]))


@given(before=TRICKY, between=TRICKY, after=TRICKY, text=TRICKY)
def test_the_template_gives_the_prompt(before: str, between: str, after: str, text: str, make_contract: ContractMaker) -> None:
    layout = PromptLayout("<TEXT>", f"{before}<TEXT>{between}<TEXT>{after}")
    (template,) = read_modelfile(write_modelfile(make_contract(), layout, ["<|im_end|>"], "model.gguf"))["TEMPLATE"]
    assert render(template, text) == layout.fill(text)


def test_parameters_are_those_of_the_contract(make_contract: ContractMaker, tokenizer: PreTrainedTokenizerBase) -> None:
    contract = make_contract(max_input_tokens=300, max_answer_tokens=50, stop_token_ids=(2, 0))
    layout = render_layout(tokenizer, contract.model_copy(update={"weights": "model"}), "here")
    stops = stop_texts(tokenizer, contract)
    commands = read_modelfile(write_modelfile(contract, layout, stops, "model.gguf"))
    assert commands["FROM"] == ["./model.gguf"]
    assert sorted(commands["PARAMETER"]) == [
        "num_ctx 350", "num_predict 50", "repeat_penalty 1.0", 'stop "<|endoftext|>"', 'stop "<|im_end|>"', "temperature 0",
    ]  # fmt: skip
    request = request_ollama(contract, layout, stops)
    assert request["options"] == {
        "temperature": 0, "repeat_penalty": 1.0, "num_ctx": 350, "num_predict": 50, "stop": ["<|im_end|>", "<|endoftext|>"],
    }  # fmt: skip
    assert (request["model"], request["raw"], request["stream"]) == (contract.name, True, False)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_example_has_the_ids_that_extunes_engine_gets(
    language: str, make_contract: ContractMaker, tokenizer: PreTrainedTokenizerBase
) -> None:
    contract = make_contract(language=language, weights="model", max_input_tokens=60)  # fewer than the example has
    layout = render_layout(tokenizer, contract, "here")
    described = describe_prompt(tokenizer, contract, layout, ["one"])
    example = described["example"]
    assert example["prompt"] == described["prompt"].replace(described["stands_for_the_text"], example["text"])
    assert example["prompt_token_ids"] == tokenizer(example["prompt"], add_special_tokens=False)["input_ids"]
    assert len(example["prompt_token_ids"]) > described["max_prompt_tokens"] == 60
    assert (described["stop"], described["limits"]) == (["<|im_end|>"], ["one"])
    assert example["prompt"] == request_ollama(contract, layout, [])["prompt"]
    assert request_llama_server(contract, layout, ["<|im_end|>"]) == {
        "prompt": example["prompt"], "n_predict": contract.max_answer_tokens, "temperature": 0, "repeat_penalty": 1.0,
        "stop": ["<|im_end|>"],
    }  # fmt: skip
