"""A vocabulary of ggml gives the ids of its tokenizer, or says why it would not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.gguf.made_tokenizers import BLANKS, CUTS, SPECIAL, WORDS, byte_level, cut_by, pieces, rebuilt
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers
from transformers import LlamaTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast, Qwen2Tokenizer

from extune.errors import ModelError
from extune.models.gguf.vocabulary import BYTE, CONTROL, NORMAL, UNUSED, USER_DEFINED, Vocabulary, read_vocabulary

PROMPT, MARK = "<|im_start|>user\n<TEXT><|im_end|>\n<|im_start|>assistant\n", "<TEXT>"
EXACT = [name for name in BLANKS if name != "split"]
TEXTS = st.text(st.sampled_from([*"the patins drug12", " ", "\u3000", "头", "痛", "龘", "é", "\n", "、", "😀"]), max_size=24)


def read(tokenizer: PreTrainedTokenizerBase, rows: int = 400, prompt: str = PROMPT) -> Vocabulary:
    return read_vocabulary(tokenizer, rows, prompt, MARK)


def cut_as_ggml(vocabulary: Vocabulary, text: str) -> list[int]:
    """The algorithm of ggml's vocabulary `llama`, as slow as it is short: of all neighbours that read like a piece, those with
    the highest score become one, the leftmost of equals first; what is no piece then is bytes."""
    ids = {token: number for number, token in enumerate(vocabulary.tokens)}
    special = [
        token for token, kind in zip(vocabulary.tokens, vocabulary.types, strict=True) if kind in (CONTROL, USER_DEFINED)
    ]
    found: list[int] = []
    for number, part in enumerate(re.split("(" + "|".join(map(re.escape, special)) + ")", text)):
        if number % 2:
            found.append(ids[part])
            continue
        symbols = list(((" " if vocabulary.prefix and part else "") + part).replace(" ", "▁"))
        while True:
            pairs = [symbols[at] + symbols[at + 1] for at in range(len(symbols) - 1)]
            best = max(
                (at for at in range(len(pairs)) if pairs[at] in ids),
                key=lambda at: vocabulary.scores[ids[pairs[at]]],
                default=None,
            )
            if best is None:
                break
            symbols[best : best + 2] = [pairs[best]]
        for symbol in symbols:
            found += [ids[symbol]] if symbol in ids else [ids[f"<0x{byte:02X}>"] for byte in symbol.encode()]
    return found


@pytest.mark.parametrize("blanks", EXACT)
@settings(max_examples=60, deadline=None)
@given(text=TEXTS)
def test_pieces_get_the_same_ids(blanks: str, text: str) -> None:
    tokenizer = TOKENIZERS[blanks]
    prompt = PROMPT.replace(MARK, text)
    assert cut_as_ggml(VOCABULARIES[blanks], prompt) == tokenizer(prompt, add_special_tokens=False)["input_ids"]


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=24).filter(lambda one: "▁" not in one and not any(special in one for special in SPECIAL)))
def test_the_embedded_tokenizer_gets_the_same_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> None:
    vocabulary = read(tokenizer, 7168)
    prompt = PROMPT.replace(MARK, text)
    assert cut_as_ggml(vocabulary, prompt) == tokenizer(prompt, add_special_tokens=False)["input_ids"]


def test_what_the_embedded_tokenizer_reads_otherwise_is_said(tokenizer: PreTrainedTokenizerBase) -> None:
    vocabulary = read(tokenizer, 7168)
    assert (vocabulary.kind, vocabulary.prefix, len(vocabulary.limits)) == ("llama", False, 1)
    assert cut_as_ggml(vocabulary, "▁") == cut_as_ggml(vocabulary, " ") != tokenizer("▁")["input_ids"]
    assert "U+2581" in vocabulary.limits[0]


@pytest.mark.parametrize("name", CUTS)
def test_bytes_keep_their_ids_and_the_order_of_merges(name: str) -> None:
    cut, whole = CUTS[name]
    tokenizer = byte_level(cut, whole=whole)
    tokenizer.add_tokens([AddedToken("<tool>", special=False)])
    vocabulary = read(tokenizer)
    assert (vocabulary.kind, vocabulary.cut, vocabulary.scores, vocabulary.limits) == ("gpt2", name, (), ())
    assert all(vocabulary.tokens[number] == token for token, number in tokenizer.get_vocab().items())
    ranked = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    ranked.model = models.BPE(
        vocab={token: number for number, token in enumerate(vocabulary.tokens)},
        merges=[(left, right) for left, right in map(str.split, vocabulary.merges)],
        ignore_merges=whole,
    )
    text = "the drug 12345 don't 黄芪头痛<tool>"
    assert ranked.encode(text).ids == tokenizer(text)["input_ids"]


def test_types_and_rows_beyond_the_tokenizer() -> None:
    tokenizer = pieces("replaced")
    tokenizer.add_tokens([AddedToken("<tool>", special=False, normalized=False)])
    vocabulary = read(tokenizer, len(tokenizer) + 2)
    types = dict(zip(vocabulary.tokens, vocabulary.types, strict=True))
    assert [types[token] for token in ("<|im_end|>", "<tool>", "<0x41>", "the")] == [CONTROL, USER_DEFINED, BYTE, NORMAL]
    assert vocabulary.types[-2:] == (UNUSED, UNUSED)
    assert len(set(vocabulary.tokens)) == len(tokenizer) + 2


def test_texts_of_another_normal_form_are_named_as_a_limit() -> None:
    vocabulary = read(byte_level(CUTS["qwen2"][0], normalizer=normalizers.NFC()))
    assert len(vocabulary.limits) == 1
    assert "NFC" in vocabulary.limits[0]


def test_the_librarys_own_classes_are_read() -> None:
    made = json.loads(byte_level(CUTS["qwen2"][0]).backend_tokenizer.to_str())["model"]
    qwen = read(Qwen2Tokenizer(vocab=made["vocab"], merges=[tuple(pair) for pair in made["merges"]]))
    assert (qwen.kind, qwen.cut, len(qwen.limits)) == ("gpt2", "qwen2", 1)
    made = json.loads(pieces("replaced").backend_tokenizer.to_str())["model"]
    llama = LlamaTokenizer(vocab=made["vocab"], merges=[tuple(pair) for pair in made["merges"]])
    assert (read(llama, 500, "<s>[INST] <TEXT> [/INST]").prefix, llama("<s>the")["input_ids"][-1]) == (
        False,
        made["vocab"]["the"],
    )


def stripping() -> PreTrainedTokenizerFast:
    tokenizer = byte_level(CUTS["gpt-2"][0])
    tokenizer.add_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    return tokenizer


def of_words() -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0, "?": 1}, unk_token="?")), pad_token="a")


REFUSED: dict[str, tuple[Callable[[], PreTrainedTokenizerFast], str]] = {
    "another model": (of_words, "the tokenizer's model is WordLevel"),
    "another pattern": (lambda: byte_level(cut_by(WORDS % "{1,4}")), "cut in a way"),
    "two patterns": (
        lambda: byte_level(pre_tokenizers.Sequence([pre_tokenizers.Punctuation(), CUTS["gpt-2"][0]])),
        "cut in a way",
    ),
    "pieces unmerged": (lambda: byte_level(CUTS["qwen2"][0], whole=True), "pieces that are tokens are not merged"),
    "pieces merged": (lambda: byte_level(CUTS["llama-bpe"][0]), "pieces that are tokens are merged"),
    "lower case": (lambda: byte_level(CUTS["qwen2"][0], normalizer=normalizers.Lowercase()), "Lowercase"),
    "blanks taken": (stripping, "<mask>"),
    "blanks cut": (lambda: pieces("split"), "Metaspace ▁ never True"),
    "a merge missing": (lambda: pieces("replaced", [("t", "h"), ("th", "e")]), "is not merged from every two pieces"),
    "a piece twice": (
        lambda: pieces("replaced", [("t", "h"), ("h", "e"), ("th", "e"), ("l", "l"), ("t", "he")]),
        "stand apart",
    ),
    "a piece of characters that are none": (
        lambda: pieces("replaced", more=["、、"]),
        "'、、' is not merged from every two pieces",
    ),
    "no bytes": (
        lambda: rebuilt(pieces("replaced"), model={"vocab": {"a": 0, "<unk>": 1}, "merges": [], "unk_token": "<unk>"}),
        "not every byte is a token",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_ggml_would_cut_otherwise_is_refused(case: str) -> None:
    build, reason = REFUSED[case]
    with pytest.raises(ModelError, match=re.escape(reason)):
        read(build())


def test_more_tokens_than_rows_are_refused() -> None:
    with pytest.raises(ModelError, match="300 rows"):
        read(pieces("replaced"), 300)


@pytest.mark.parametrize(
    ("blanks", "prompt"),
    [("first", "Q: <TEXT><|im_start|>"), ("always", "<|im_start|><TEXT>"), ("always", "<|im_start|> Q: <TEXT>")],
)
def test_a_blank_that_depends_on_the_prompt_is_refused_where_it_would_differ(blanks: str, prompt: str) -> None:
    with pytest.raises(ModelError, match=f"Metaspace ▁ {blanks}"):
        read(pieces(blanks), prompt=prompt)


TOKENIZERS = {blanks: pieces(blanks) for blanks in EXACT}
VOCABULARIES = {blanks: read(tokenizer) for blanks, tokenizer in TOKENIZERS.items()}
