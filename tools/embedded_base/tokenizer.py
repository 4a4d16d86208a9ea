"""The embedded base's tokenizer: one character, one token; bytes for the rest.

In: documents. Out: a `PreTrainedTokenizerFast` with a ChatML-like template that round-trips any text exactly.
A BPE without merges is a character tokenizer; `byte_fallback` covers what the vocabulary lacks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tokenizers import AddedToken, Tokenizer, decoders
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build_tokenizer(documents: Iterable[str], vocabulary_size: int, context: int) -> PreTrainedTokenizerFast:
    """A character tokenizer over the most frequent characters.

    Args:
        documents: text to count characters in.
        vocabulary_size: three special tokens, 256 bytes and as many characters as fit.
        context: longest input in tokens that the model was trained for.
    """
    counts: Counter[str] = Counter()
    for document in documents:
        counts.update(document)
    tokens = [END_OF_TEXT, TURN_START, TURN_END] + [f"<0x{byte:02X}>" for byte in range(256)]
    always = sorted({"\n", "\t", "\u3000", *(chr(code) for code in range(32, 127)), *_common_hanzi()})
    frequent = [character for character, _ in counts.most_common() if character not in set(always)]
    tokens += (always + frequent)[: vocabulary_size - len(tokens)]
    model = BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=[], byte_fallback=True)
    tokenizer = Tokenizer(model)
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in (END_OF_TEXT, TURN_START, TURN_END)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=TURN_END,
        pad_token=END_OF_TEXT,
        chat_template=CHAT_TEMPLATE,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )


def _common_hanzi() -> list[str]:
    """The 3,755 level-1 characters of GB 2312 (rows 16-55), so that no everyday character is bytes."""
    decoded = (bytes((row + 0xA0, cell + 0xA0)).decode("gb2312", "ignore") for row in range(16, 56) for cell in range(1, 95))
    return [character for character in decoded if character]
