"""Pieces of llguidance grammars (Lark syntax) that several answer formats share.

In: escaped strings. Out: grammar text, which `engines/constraint.py` compiles and vLLM takes as it is. It knows no format.
"""

from __future__ import annotations

import json
from collections.abc import Sequence


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
