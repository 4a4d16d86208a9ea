"""Pieces of llguidance grammars (Lark syntax) that several answer formats share.

In: escaped strings. Out: grammar text, which `engines/constraint.py` compiles and vLLM takes as it is. It knows no format.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

MAX_ORDERED_CHUNKS = 400
"""A step of llguidance's lexer has fuel for about twice as many chunks of ordinary text."""
_MAX_EQUAL_PAIRS = 20_000  # `的` 200 times takes all of a step's fuel; this is 141 times
_RUNG = 32


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


def can_be_ordered(chunks: Sequence[str]) -> bool:
    """Whether llguidance can follow `write_ordered_rules` of these chunks within its default limits, whatever is written.

    After each character it keeps track of all places that read alike, so a text of few different characters costs most.
    """
    pairs = sum(count * count for count in Counter(chunks).values())
    return len(chunks) <= MAX_ORDERED_CHUNKS and pairs <= _MAX_EQUAL_PAIRS


def write_ordered_rules(chunks: Sequence[str], separator: str) -> list[str]:
    """Rules of the terminal ORDERED: a list of runs of neighbouring chunks, each beginning behind the last one's beginning.

    So no place of the text is copied twice. All of it is one terminal, with three definitions a chunk, each in terms of the
    next chunk's: FROM_n begins at chunk n or later, AT_n at chunk n, RUN_n is one run. For chunks that `can_be_ordered`.

    ORDERED is FROM_0; llguidance resolves definitions by recursion, from the left, each once. The other alternatives, which
    FROM_0 contains, stand before it so that no recursion goes deeper than `_RUNG` chunks.
    """
    literal = quote_literal(separator)
    rungs = range(0, len(chunks), _RUNG)
    rules = ["ORDERED: " + " | ".join(f"FROM_{number}" for number in reversed(rungs))]
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
