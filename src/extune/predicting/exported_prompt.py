"""What asks an exported model as the contract does: `prompt.json` for any program, `request.json` and `Modelfile` for one.

In: a contract, its prompt layout, limits of the file. Out: values and text. It knows nothing about weights.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from extune.domain.example import Example
from extune.predicting.open import build_encoder
from extune.predicting.prompt_layout import PromptLayout
from extune.runs.contract import Contract
from extune.tokens.plain_text import decode_completion

_ANY_LENGTH = 1 << 20  # the example shows ids; a run of short texts would cut it
_MADE = {"zh": "黄芪30克，补气固表，每日一剂，连服七天。", "en": "On 3 May she took 20 mg of aspirin for a headache."}
_DECODING = {"temperature": 0, "repeat_penalty": 1.0}  # greedy; a penalty would hurt verbatim copying


def describe_prompt(
    tokenizer: PreTrainedTokenizerBase, contract: Contract, layout: PromptLayout, limits: Sequence[str]
) -> dict[str, Any]:
    """What a program needs to know beside the weights, with one made example whose ids it can compare with its own.

    Args:
        tokenizer: of the run.
        contract: of the run.
        layout: of its prompts.
        limits: what the file does not do as the tokenizer does.
    """
    text, any_length = _example(contract), contract.model_copy(update={"max_input_tokens": _ANY_LENGTH})
    (prompt,) = build_encoder(tokenizer, any_length).encode_prompts(Example("made", text))
    return {
        "prompt": layout.prompt,
        "stands_for_the_text": layout.mark,
        "stop": stop_texts(tokenizer, contract),
        "stop_token_ids": list(contract.stop_token_ids),
        "max_prompt_tokens": contract.max_input_tokens,
        "max_answer_tokens": contract.max_answer_tokens,
        "decoding": _DECODING,
        "limits": list(limits),
        "example": {"text": text, "prompt": layout.fill(text), "prompt_token_ids": list(prompt.ids)},
    }


def stop_texts(tokenizer: PreTrainedTokenizerBase, contract: Contract) -> list[str]:
    """The tokens that end an answer, as text."""
    return [decode_completion(tokenizer, [number]) for number in contract.stop_token_ids]


def write_modelfile(contract: Contract, layout: PromptLayout, stops: Sequence[str], weights: str) -> str:
    """A Modelfile whose template is the contract's prompt around the text.

    Args:
        contract: of the run.
        layout: of its prompts.
        stops: from `stop_texts`.
        weights: file name of the GGUF file beside the Modelfile.
    """
    return "\n".join(
        [
            f"# The run {contract.name}: type the text alone, the template puts the prompt of its training around it.",
            "# Each text is a question of its own; start a new conversation for the next one.",
            f"FROM ./{weights}",
            f'TEMPLATE """{_go_template(layout)}"""',
            *(f"PARAMETER {name} {value}" for name, value in _options(contract).items()),
            *(f'PARAMETER stop "{stop}"' for stop in stops),
            "",
        ]
    )


def request_llama_server(contract: Contract, layout: PromptLayout, stops: Sequence[str]) -> dict[str, Any]:
    """The body of one request to `/completion` of llama.cpp's `llama-server`, which takes the prompt as it is."""
    prompt = {"prompt": layout.fill(_example(contract)), "n_predict": contract.max_answer_tokens}
    return prompt | _DECODING | {"stop": list(stops)}


def request_ollama(contract: Contract, layout: PromptLayout, stops: Sequence[str]) -> dict[str, Any]:
    """The body of one request to Ollama's `/api/generate` that needs no template: `raw` takes the prompt as it is."""
    return {
        "model": contract.name,
        "prompt": layout.fill(_example(contract)),
        "raw": True,
        "stream": False,
        "options": _options(contract) | {"stop": list(stops)},
    }


def _options(contract: Contract) -> dict[str, Any]:
    room = contract.max_input_tokens + contract.max_answer_tokens
    return {**_DECODING, "num_ctx": room, "num_predict": contract.max_answer_tokens}


def _example(contract: Contract) -> str:
    return _MADE.get(contract.language, _MADE["en"])


def _go_template(layout: PromptLayout) -> str:
    """The layout for Go's text/template inside a Modelfile.

    Written as quoted strings: what either would read as its own mark, and what the Modelfile's parser drops, which is every
    character that is not printable, U+3000 among them.
    """
    return "{{ .Prompt }}".join(re.sub('"""|.', _quote, piece, flags=re.DOTALL) for piece in layout.prompt.split(layout.mark))


def _quote(found: re.Match[str]) -> str:
    text = found[0]
    if text != "{" and (text.isprintable() or text in "\n\t") and len(text) == 1:
        return text
    numbers = (f"\\u{number:04x}" if number < 1 << 16 else f"\\U{number:08x}" for number in map(ord, text))
    return '{{"' + "".join(numbers) + '"}}'
