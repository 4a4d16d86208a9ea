"""A run's model without extune: the few lines of Python that ask it as extune would.

In: a contract, its tokenizer and where weights lie. Out: a program that needs transformers, and peft where there is an adapter.
It decodes greedily and freely: grammar, windows, weighed labels and offsets are extune's. It reads no weights.
"""

from __future__ import annotations

from pathlib import Path

from transformers import PreTrainedTokenizerBase

from extune.models.base_model import resolve_base
from extune.predicting.prompt_layout import render_layout
from extune.recipe.hub_name import parse_hub_model
from extune.runs.contract import Contract


def write_snippet(tokenizer: PreTrainedTokenizerBase, contract: Contract, run: str) -> str:
    """A program that prints what the model answers to the text on its command line.

    Args:
        tokenizer: of the run.
        contract: whose weights are an adapter or a whole model.
        run: the folder that holds `adapter/` and `tokenizer/`, or `model/`, as the program is to name it.

    Raises:
        RunError: the run has no single prompt that only lacks its text, or no weights of its own.
    """
    layout = render_layout(tokenizer, contract, run)
    adapter = contract.weights == "adapter"
    return "\n".join(
        [
            "import sys",
            *(_load_adapter(contract, run) if adapter else _load_model(contract, run)),
            f"prompt = {layout.prompt!r}.replace({layout.mark!r}, sys.argv[1])",
            'ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt").input_ids',
            "output = model.generate(",
            f"    input_ids=ids, attention_mask=ids.new_ones(ids.shape), max_new_tokens={contract.max_answer_tokens},",
            f"    do_sample=False, repetition_penalty=1.0, eos_token_id={list(contract.stop_token_ids)}, "
            f"pad_token_id={contract.stop_token_ids[0]},",
            ")",
            "print(tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True, clean_up_tokenization_spaces=False))",
            "",
        ]
    )


def _load_model(contract: Contract, run: str) -> list[str]:
    folder = _join(run, "model")
    return [
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        f"tokenizer = AutoTokenizer.from_pretrained({folder!r})",
        f"model = AutoModelForCausalLM.from_pretrained({folder!r}, dtype={contract.dtype!r})",
    ]


def _load_adapter(contract: Contract, run: str) -> list[str]:
    origin = parse_hub_model(contract.base)
    if origin is not None and origin.hub == "hf":
        base = f"{origin.repository!r}, revision={contract.base_revision!r}"
    else:
        base = repr(str(resolve_base(contract.base, contract.base_revision, contract.base_endpoint)))
    imported, quantized, comment = "", "", []
    if contract.quantization is not None:
        imported = ", BitsAndBytesConfig"
        quantized = ", quantization_config=quantization"
        comment = [
            f'quantization = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="{contract.quantization.type}", '
            f"bnb_4bit_use_double_quant={contract.quantization.double}, bnb_4bit_compute_dtype={contract.dtype!r})"
        ]
    return [
        "from peft import PeftModel",
        f"from transformers import AutoModelForCausalLM, AutoTokenizer{imported}",
        f"tokenizer = AutoTokenizer.from_pretrained({_join(run, 'tokenizer')!r})",
        *comment,
        f"base = AutoModelForCausalLM.from_pretrained({base}, dtype={contract.dtype!r}{quantized})",
        f"model = PeftModel.from_pretrained(base, {_join(run, 'adapter')!r}).eval()",
    ]


def _join(run: str, folder: str) -> str:
    return (Path(run) / folder).as_posix()
