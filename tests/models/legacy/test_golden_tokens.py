"""Converted tokenizers give the original's ids, for texts and for chats."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.models.legacy.golden_models import FAMILIES, Converted, Golden
from transformers import AutoTokenizer, GenerationConfig, PreTrainedTokenizerBase

from extune.domain.prompt import Message
from extune.models.base_model import hash_tokenizer, load_tokenizer
from extune.models.legacy.baichuan import BAICHUAN2
from extune.tokens.plain_text import encode_text
from extune.tokens.rendering import encode_messages, stop_token_ids

Tokenizers = Callable[[str], PreTrainedTokenizerBase]


def rows(golden: Golden, family: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = golden(family, "golden_tokenizer.json")["rows"]
    assert len(found) > 50
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_plain_text_gets_the_originals_ids(family: str, native_tokenizer: Tokenizers, golden: Golden) -> None:
    tokenizer = native_tokenizer(family)
    for row in rows(golden, family):
        plain = row.get("ids_no_special_parsing", row["ids"])
        assert encode_text(tokenizer, row["text"]) == plain, row["text"]


@pytest.mark.parametrize("family", ["qwen1", "baichuan1", "baichuan2"])
def test_special_strings_are_parsed_where_the_original_parsed_them(
    family: str, native_tokenizer: Tokenizers, golden: Golden
) -> None:
    tokenizer = native_tokenizer(family)
    for row in rows(golden, family):
        assert tokenizer(row["text"], add_special_tokens=False)["input_ids"] == row["ids"], row["text"]


@pytest.mark.parametrize("family", ["chatglm2", "chatglm3"])
def test_chatglm_begins_every_text_and_ends_a_pair(family: str, native_tokenizer: Tokenizers, golden: Golden) -> None:
    tokenizer, file = native_tokenizer(family), golden(family, "golden_tokenizer.json")
    for row in rows(golden, family):
        assert tokenizer(row["text"], split_special_tokens=True)["input_ids"] == row["ids_with_prefix"], row["text"]
        if "ids_role_tokens_parsed" in row:
            assert tokenizer(row["text"], add_special_tokens=False)["input_ids"] != row["ids"]
    pair = file["pair"]
    assert tokenizer(pair["text"], pair["text_pair"])["input_ids"] == pair["input_ids"]
    padding = file["batch_padding"]
    texts = [tokenizer.decode(ids, skip_special_tokens=True) for ids in padding["input_ids"]]
    batch = tokenizer(texts, padding=True, truncation=True, max_length=8)
    assert batch["input_ids"] == padding["input_ids"]
    assert batch["attention_mask"] == padding["attention_mask"]


@pytest.mark.parametrize("family", FAMILIES)
def test_special_ids_and_texts_come_back(family: str, native_tokenizer: Tokenizers, golden: Golden) -> None:
    tokenizer, file = native_tokenizer(family), golden(family, "golden_tokenizer.json")
    for token, number in file.get("special_tokens", {}).items():
        spelled = f"<{token}>" if token in ("sop", "eop") else token
        assert tokenizer.convert_tokens_to_ids(spelled) == number
    assert len(tokenizer) == file["vocab_size"]
    for row in rows(golden, family):
        plain = row.get("ids_no_special_parsing", row["ids"])
        if not set(plain) & set(tokenizer.all_special_ids):
            assert tokenizer.decode(plain) in (row["text"], row["decode_skip_special"]), row["text"]


def test_bos_and_eos_follow_the_tokenizers_config(golden_folder: Path, golden: Golden, tmp_path: Path) -> None:
    for family in ("baichuan1", "baichuan2"):
        folder = tmp_path / family
        shutil.copytree(golden_folder / family / "checkpoint_bin", folder)
        settings = {"add_bos_token": True, "add_eos_token": True}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
        tokenizer = BAICHUAN2.read_tokenizer(folder)
        for row in rows(golden, family):
            assert tokenizer(row["text"])["input_ids"] == row["ids_add_bos_eos_true"], row["text"]


@pytest.mark.parametrize("family", FAMILIES)
def test_saving_and_loading_changes_nothing(family: str, native_tokenizer: Tokenizers, tmp_path: Path) -> None:
    tokenizer = native_tokenizer(family)
    tokenizer.save_pretrained(tmp_path)
    again = load_tokenizer(tmp_path)
    assert hash_tokenizer(again) == hash_tokenizer(tokenizer)
    assert again.chat_template == tokenizer.chat_template
    assert stop_token_ids(again) == stop_token_ids(tokenizer)


def chat_messages(case: dict[str, Any]) -> list[Message] | None:
    """The case as messages; None where it needs more than roles and contents."""
    if "messages" in case:
        return [Message(**message) for message in case["messages"]]
    turns: list[Message] = [Message("system", case["system"])] if "system" in case else []
    for turn in case["history"]:
        if isinstance(turn, dict):
            if turn.get("metadata") or turn.get("tools"):
                return None
            turns.append(Message(turn["role"], turn["content"]))
        else:
            turns += [Message("user", turn[0]), Message("assistant", turn[1])]
    return [*turns, Message("user", case["query"])]


CHATTING = ("qwen1", "baichuan2", "chatglm2", "chatglm3")


@pytest.mark.parametrize("family", CHATTING)
def test_chats_get_the_originals_ids(family: str, native_tokenizer: Tokenizers, golden: Golden) -> None:
    tokenizer, checked = native_tokenizer(family), 0
    template = str(tokenizer.chat_template)
    for case in golden(family, "golden_chat.json")["cases"]:
        if case["name"] in ("window_truncation", "raw_format"):
            continue
        messages = chat_messages(case)
        if messages is None or (family, case["name"]) == ("baichuan2", "inject"):
            continue
        assert encode_messages(tokenizer, template, messages, messages[-1].content) == case["input_ids"], case["name"]
        checked += 1
    assert checked >= 8


@pytest.mark.parametrize("family", CHATTING)
def test_the_template_alone_gives_the_originals_ids(family: str, native_tokenizer: Tokenizers, golden: Golden) -> None:
    """For whoever uses the converted folder without extune."""
    tokenizer = native_tokenizer(family)
    cases = [case for case in golden(family, "golden_chat.json")["cases"] if case.get("jinja_then_tokenize_equals")]
    assert len(cases) >= 7
    for case in cases:
        messages = [{"role": one.role, "content": one.content} for one in chat_messages(case) or []]
        found = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False) if messages else None
        assert found in (None, case["input_ids"]), case["name"]


def test_special_strings_in_a_baichuan_message_stay_text(native_tokenizer: Tokenizers, golden: Golden) -> None:
    """The original let a user's text write </s>; extune never does."""
    tokenizer = native_tokenizer("baichuan2")
    (case,) = [one for one in golden("baichuan2", "golden_chat.json")["cases"] if one["name"] == "inject"]
    (message,) = chat_messages(case) or []
    ids = encode_messages(tokenizer, str(tokenizer.chat_template), [message], message.content)
    assert ids == [195, *encode_text(tokenizer, message.content), 196]
    assert 2 in case["input_ids"]
    assert 2 not in ids


def test_chatglm3_tools_and_metadata_are_rendered(native_tokenizer: Tokenizers, golden: Golden) -> None:
    tokenizer = native_tokenizer("chatglm3")
    (case,) = [one for one in golden("chatglm3", "golden_chat.json")["cases"] if one["name"] == "tools_observation"]
    turns = [*case["history"], {"role": case["role"], "content": case["query"]}]
    assert tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False) == case["input_ids"]


def test_qwens_window_drops_the_oldest_turns_first(native_tokenizer: Tokenizers, golden: Golden) -> None:
    """What the original kept of a long history is what a caller gets who keeps the same turns."""
    tokenizer = native_tokenizer("qwen1")
    (case,) = [one for one in golden("qwen1", "golden_chat.json")["cases"] if one["name"] == "window_truncation"]
    encoded = [
        encode_messages(
            tokenizer, str(tokenizer.chat_template), chat_messages(case | {"history": case["history"][kept:]}) or [], ""
        )
        for kept in range(len(case["history"]) + 1)
    ]
    fitting = [ids for ids in encoded if len(ids) < case["max_window_size"]]
    assert fitting[0] == case["input_ids"]
    assert encoded[0] != case["input_ids"]


def test_qwens_raw_format_parses_special_strings(native_tokenizer: Tokenizers, golden: Golden) -> None:
    (case,) = [one for one in golden("qwen1", "golden_chat.json")["cases"] if one["name"] == "raw_format"]
    assert native_tokenizer("qwen1")(case["query"])["input_ids"] == case["input_ids"]


@pytest.mark.parametrize("family", ["qwen1", "baichuan2"])
def test_training_rows_are_prompt_answer_stop(
    family: str, native_tokenizer: Tokenizers, golden: Golden, converted: Converted
) -> None:
    """What existing projects trained on is what the chat template, the answer and the first stop id give."""
    tokenizer, sample = native_tokenizer(family), golden(family, "golden_chat.json")["training_sample"]
    system = sample.get("system") or sample["instruction"]
    question = sample["input"] if family == "baichuan2" else sample["instruction"] + sample["input"]
    messages = [Message("system", system), Message("user", question)]
    prompt = encode_messages(tokenizer, str(tokenizer.chat_template), messages, question)
    stop = stop_token_ids(tokenizer, GenerationConfig.from_pretrained(converted(family)))[0]
    assert [*prompt, *encode_text(tokenizer, sample["output"]), stop] == sample["input_ids"]


def test_baichuan1_has_no_chat_format(native_tokenizer: Tokenizers, golden: Golden) -> None:
    tokenizer, file = native_tokenizer("baichuan1"), golden("baichuan1", "golden_chat.json")
    assert tokenizer.chat_template is None
    for row in file["plain"]:
        assert tokenizer(row["text"])["input_ids"] == row["input_ids"]
    sample = file["sft_sample"]
    for text, ids in ((sample["source_text"], sample["source_ids"]), (sample["target_text"], sample["target_ids"])):
        assert tokenizer(text)["input_ids"] == ids


@pytest.mark.parametrize("family", CHATTING)
def test_stop_ids_hold_the_originals(family: str, native_tokenizer: Tokenizers, golden: Golden, converted: Converted) -> None:
    file = golden(family, "golden_chat.json")
    wanted = {stop for ids in file.get("stop_word_ids_chatml", []) for stop in ids}
    wanted |= set(file.get("eos_token_ids", [])) or {file.get("eos_id", 2)} if family != "qwen1" else set()
    found = stop_token_ids(native_tokenizer(family), GenerationConfig.from_pretrained(converted(family)))
    assert wanted <= set(found)


def test_transformers_finds_the_tokenizer_by_itself(converted: Converted, golden: Golden) -> None:
    for family in FAMILIES:
        tokenizer = AutoTokenizer.from_pretrained(converted(family))
        row = rows(golden, family)[3]
        assert tokenizer(row["text"], add_special_tokens=False)["input_ids"] == row["ids"]
