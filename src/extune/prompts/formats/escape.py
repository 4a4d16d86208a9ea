r"""Lossless escaping of a format's separators with a backslash; a newline becomes `\n` unless it is kept.

Every escaped character is one chunk, so that a grammar can copy whole chunks and never tears an escape.
"""

from __future__ import annotations


class Escaper:
    """Escapes backslash, the given separators (single characters) and, unless `keep_newline`, newline."""

    def __init__(self, separators: str, *, keep_newline: bool = False) -> None:
        self._separators = frozenset(separators)
        self._table = {character: "\\" + character for character in "\\" + separators}
        if not keep_newline:
            self._table["\n"] = "\\n"
        self._reverse = {escaped: character for character, escaped in self._table.items()}
        self._translation = str.maketrans(self._table)

    def escape(self, text: str) -> str:
        """The text with separators escaped; contains none of them bare."""
        return text.translate(self._translation)

    def chunks(self, text: str) -> list[str]:
        """One escaped string per character of `text`."""
        return [self._table.get(character, character) for character in text]

    def unescape(self, escaped: str) -> str | None:
        """The text again, or None where a separator stands bare or a backslash does not begin a known escape."""
        pieces, place = [], 0
        while place < len(escaped):
            character: str | None = escaped[place]
            width = 1
            if character == "\\":
                width = 2
                character = self._reverse.get(escaped[place : place + width])
            elif character in self._separators:
                character = None
            if character is None:
                return None
            pieces.append(character)
            place += width
        return "".join(pieces)

    def split(self, escaped: str, separator: str) -> list[tuple[int, str]]:
        """Pieces between bare separators (single characters), each with its offset; escapes are kept."""
        pieces, start, place = [], 0, 0
        while place < len(escaped):
            if escaped[place] == separator:
                pieces.append((start, escaped[start:place]))
                start = place + 1
            place += 2 if escaped[place] == "\\" else 1
        pieces.append((start, escaped[start:]))
        return pieces
