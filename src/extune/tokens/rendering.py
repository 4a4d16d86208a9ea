"""The one place where messages become token ids.

In: a tokenizer, a chat template and messages. Out: a string or ids; special tokens only where the template writes them.
It knows nothing about examples and contracts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from transformers import GenerationConfig, PreTrainedTokenizerBase

from extune.domain.prompt import Message
from extune.errors import ModelError, RecipeError
from extune.prompts.templates import CONTENTS_APART, choose_template
from extune.tokens.plain_text import encode_text

# Some templates print today's date; a prompt that changes overnight would differ from the one that was trained.
_FIXED_DATE = datetime(2024, 7, 26)


def _fixed_strftime(date_format: str) -> str:
    return _FIXED_DATE.strftime(date_format)


def render_template(
    tokenizer: PreTrainedTokenizerBase, chat_template: str, messages: Sequence[Message], *, add_generation_prompt: bool = True
) -> str:
    """The messages as one string. Models that can think before they answer are told not to."""
    rendered: str = tokenizer.apply_chat_template(
        [{"role": message.role, "content": message.content} for message in messages],
        chat_template=chat_template,
        add_generation_prompt=add_generation_prompt,
        tokenize=False,
        enable_thinking=False,
        strftime_now=_fixed_strftime,
    )
    return rendered


def encode_messages(
    tokenizer: PreTrainedTokenizerBase, chat_template: str, messages: Sequence[Message], text: str
) -> list[int]:
    """Ids of the rendered messages, generation prompt included.

    Special tokens that the template writes become special ids; the same strings inside a message stay plain text.
    `text` is the example's text, which stands inside a message: it tells which field a template ignores.

    Raises:
        RecipeError: the template leaves out what a message says.
    """
    if chat_template.startswith(CONTENTS_APART):
        return _encode_contents_apart(tokenizer, chat_template, messages)
    specials = _special_tokens(tokenizer)
    contents = "".join(message.content for message in messages)
    found = [special for special in specials if special in contents]
    if not found:
        rendered = render_template(tokenizer, chat_template, messages)
        _require_complete(rendered, messages, text)
        return _encode_with_specials(tokenizer, rendered)
    stand_ins = dict(zip(found, _unused_characters(contents), strict=False))
    masked = [Message(message.role, _replace(message.content, stand_ins)) for message in messages]
    rendered = render_template(tokenizer, chat_template, masked)
    _require_complete(rendered, masked, _replace(text, stand_ins))
    originals = {stand_in: special for special, stand_in in stand_ins.items()}
    ids: list[int] = []
    for piece, is_special in _split_at(rendered, specials, tokenizer):
        ids += [tokenizer.convert_tokens_to_ids(piece)] if is_special else encode_text(tokenizer, _replace(piece, originals))
    return ids


def _encode_contents_apart(tokenizer: PreTrainedTokenizerBase, chat_template: str, messages: Sequence[Message]) -> list[int]:
    """As `encode_messages`, for a template that opens with `CONTENTS_APART`."""
    unused = _unused_characters("".join(message.content for message in messages))
    contents = {character: message.content for character, message in zip(unused, messages, strict=False)}
    masked = [Message(message.role, character) for character, message in zip(contents, messages, strict=True)]
    rendered = render_template(tokenizer, chat_template, masked)
    _require_complete(rendered, masked, "")
    ids: list[int] = []
    for piece, is_special in _split_at(rendered, _special_tokens(tokenizer), tokenizer):
        if is_special:
            ids.append(tokenizer.convert_tokens_to_ids(piece))
            continue
        for part in re.split("([" + "".join(contents) + "])", piece):
            ids += encode_text(tokenizer, contents.get(part, part))
    return ids


def stop_token_ids(tokenizer: PreTrainedTokenizerBase, generation_config: GenerationConfig | None = None) -> tuple[int, ...]:
    """Ids that end an answer: first the one with which the template ends an assistant turn, then the end-of-text ids.

    Raises:
        ModelError: neither the template nor the tokenizer ends a turn with a token.
    """
    answer = "\ue000"
    turns = (Message("user", "问"), Message("assistant", answer), Message("user", "问"))
    rendered = render_template(tokenizer, choose_template(tokenizer.chat_template), turns, add_generation_prompt=False)
    _, _, rest = rendered.partition(answer)
    pieces = _split_at(rest, _special_tokens(tokenizer), tokenizer)
    ids = [tokenizer.convert_tokens_to_ids(piece) for piece, is_special in pieces if is_special][:1]
    configured = generation_config.eos_token_id if generation_config is not None else None
    for more in (tokenizer.eos_token_id, configured):
        ids += more if isinstance(more, list) else [] if more is None else [more]
    if not ids:
        raise ModelError(
            "nothing says where an answer ends",
            where="tokenizer",
            expected="a chat template that ends turns with a special token, or an eos_token",
            fix="set eos_token in tokenizer_config.json",
        )
    return tuple(dict.fromkeys(ids))


def _encode_with_specials(tokenizer: PreTrainedTokenizerBase, rendered: str) -> list[int]:
    ids: list[int] = tokenizer(rendered, add_special_tokens=False, split_special_tokens=False, verbose=False)["input_ids"]
    return ids


def _special_tokens(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Strings that the tokenizer turns into special ids, longest first."""
    contents = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    return sorted(contents, key=len, reverse=True)


def _split_at(rendered: str, specials: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> Iterator[tuple[str, bool]]:
    """Pieces of `rendered` and whether each is a special token; a token that strips its neighbours' blanks does so."""
    strips = {token.content: token for token in tokenizer.added_tokens_decoder.values() if token.special}
    pieces = re.split("(" + "|".join(map(re.escape, specials)) + ")", rendered) if specials else [rendered]
    for index, piece in enumerate(pieces):
        if index % 2:
            yield piece, True
            continue
        before = pieces[index - 1] if index else None
        after = pieces[index + 1] if index + 1 < len(pieces) else None
        plain = piece.lstrip() if before and strips[before].rstrip else piece
        plain = plain.rstrip() if after and strips[after].lstrip else plain
        if plain:
            yield plain, False


def _unused_characters(text: str) -> Iterator[str]:
    """Private-use characters that do not occur in `text`."""
    used = set(text)
    return (character for character in map(chr, range(0xF0000, 0xFFFFE)) if character not in used)


def _replace(text: str, replacements: dict[str, str]) -> str:
    for old, new in replacements.items():
        text = text.replace(old, new)
    return text


def _require_complete(rendered: str, messages: Sequence[Message], text: str) -> None:
    """Raise where the template left out, or changed more than the blanks around, what a message says."""
    for message in messages:
        if message.content.strip() not in rendered:
            field = "instruction" if text.strip() in rendered and text.strip() else "text"
            raise RecipeError(
                f"the chat template leaves out the example's {field}",
                where="chat template of the base",
                expected="a template that writes every message unchanged",
                fix="correct chat_template.jinja in the base's folder",
            )
