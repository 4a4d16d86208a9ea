"""Pieces of llguidance grammars (Lark syntax) that several answer formats share.

In: escaped strings. Out: grammar text, which `engines/constraint.py` compiles and vLLM takes as it is. It knows no format.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

MAX_ORDERED_CHUNKS = 400
"""llguidance resolves nested definitions by recursion: about 8 KiB of stack a chunk, and threads have 8 MiB."""


def quote_literal(text: str) -> str:
    """`text` as a Lark string literal.

    llguidance reads literals as JSON strings, except that its lexer refuses a raw U+007F.
    """
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def quote_regex(text: str) -> str:
    """A pattern, for use between slashes, that matches exactly `text`."""
    return "".join(
        character if character.isalnum() and character.isascii() else f"\\x{{{ord(character):X}}}" for character in text
    )


def write_copy_rules(chunks: Sequence[str]) -> list[str]:
    """Rules of the terminal MENTION: any run of one or more neighbouring chunks.

    A chunk is one escaped character, so no escape is torn. The intersection keeps the empty run out.
    """
    return [
        "MENTION: COPY & /(?s:.+)/",
        f'COPY: %regex {{"substring_chunks": [{",".join(map(quote_literal, chunks))}]}}',
    ]


def write_ordered_rules(chunks: Sequence[str], separator: str) -> list[str]:
    """Rules of the terminal FROM_0: a list of runs of neighbouring chunks, each beginning behind the last one's beginning.

    So no place of the text is copied twice. All of it is one terminal, with three definitions a chunk, each in terms of the
    next chunk's: FROM_n begins at chunk n or later, AT_n at chunk n, RUN_n is one run. At most `MAX_ORDERED_CHUNKS` chunks.
    """
    literal = quote_literal(separator)
    rules = []
    for number, chunk in enumerate(chunks):
        later = number + 1 < len(chunks)
        rules += [
            f"FROM_{number}: AT_{number}" + (f" | FROM_{number + 1}" if later else ""),
            f"AT_{number}: RUN_{number}" + (f" ({literal} FROM_{number + 1})?" if later else ""),
            f"RUN_{number}: {quote_literal(chunk)}" + (f" RUN_{number + 1}?" if later else ""),
        ]
    return rules


def write_sequence_rules(rule: str, count: int, separator: str) -> list[str]:
    """Rules of `rule`: at least one of `part_0` ... `part_{count - 1}`, each at most once, in this order, with separators."""
    literal = quote_literal(separator)
    rules = [f"{rule}: {' | '.join(f'from_{number}' for number in range(count))}"]
    for number in range(count):
        rest = f" rest_{number + 1}" if number + 1 < count else ""
        rules.append(f"from_{number}: part_{number}{rest}")
        if number:
            rules.append(f"rest_{number}: ({literal} part_{number})?{rest}")
    return rules
