"""Small tokenizers of the kinds that bases have, trained on a few lines."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LINES = (
    "黄芪30克，补气固表，每日一剂。",
    "the patient takes  the drug; the drug helps",
    "I'll, don't 12345 3.14 2024年",
    "头痛头痛2日，服当归。",
)
WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
BLANKS = {
    "as they are": (None, None),
    "replaced": (normalizers.Replace(" ", "▁"), None),
    "prefixed": (normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), None),
    "never": (None, pre_tokenizers.Metaspace(prepend_scheme="never", split=False)),
    "first": (None, pre_tokenizers.Metaspace(prepend_scheme="first", split=False)),
    "always": (None, pre_tokenizers.Metaspace(prepend_scheme="always", split=False)),
    "split": (None, pre_tokenizers.Metaspace(prepend_scheme="never", split=True)),
}


def cut_by(pattern: str) -> pre_tokenizers.PreTokenizer:
    """As Qwen and Llama 3 do: words by a pattern, then bytes."""
    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated", False), bytes_only])


CUTS = {
    "qwen2": (cut_by(WORDS % ""), False),
    "llama-bpe": (cut_by(WORDS % "{1,3}"), True),
    "gpt-2": (pre_tokenizers.ByteLevel(add_prefix_space=False), False),
    "smollm": (
        pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        ),
        False,
    ),
}


def byte_level(
    cut: pre_tokenizers.PreTokenizer, *, whole: bool = False, normalizer: normalizers.Normalizer | None = None
) -> PreTrainedTokenizerFast:
    """A BPE over bytes."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=whole))
    tokenizer.pre_tokenizer, tokenizer.decoder = cut, decoders.ByteLevel()
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        LINES,
        trainers.BpeTrainer(vocab_size=320, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False),
    )
    return _wrap(tokenizer)


def pieces(blanks: str, merges: Sequence[tuple[str, str]] | None = None, more: Sequence[str] = ()) -> PreTrainedTokenizerFast:
    """A sentencepiece BPE: every way to make a piece of two others is a merge, in the order of the pieces.

    Args:
        blanks: one of `BLANKS`.
        merges: others than those.
        more: pieces that no merge makes.
    """
    blank = " " if blanks == "as they are" else "▁"
    characters = [*sorted({one for line in LINES for one in line} - {" "}), blank]
    longer = ["th", blank + "th", "e" + blank, "he", "the", blank + "the", "头痛", blank * 2, "12", "123", "ll"]
    vocabulary = ["<unk>", *SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *characters, *longer, *more]
    known = {*characters, *longer}
    derived = [(one[:cut], one[cut:]) for one in longer for cut in range(1, len(one)) if {one[:cut], one[cut:]} <= known]
    numbers = {name: number for number, name in enumerate(vocabulary)}
    model = models.BPE(
        vocab=numbers, merges=list(merges if merges is not None else derived), byte_fallback=True, unk_token="<unk>"
    )
    tokenizer = Tokenizer(model)
    normalizer, cut = BLANKS[blanks]
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if cut is not None:
        tokenizer.pre_tokenizer = cut
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens(["<unk>", *SPECIAL])
    return _wrap(tokenizer)


def rebuilt(tokenizer: PreTrainedTokenizerFast, **changes: object) -> PreTrainedTokenizerFast:
    """The same tokenizer with entries of its definition changed; `model` entries are merged into the model."""
    definition = json.loads(tokenizer.backend_tokenizer.to_str())
    for key, value in changes.items():
        definition[key] = definition[key] | value if key == "model" else value
    return _wrap(Tokenizer.from_str(json.dumps(definition)))


def _wrap(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=SPECIAL[2], pad_token=SPECIAL[0], chat_template=TEMPLATE
    )
