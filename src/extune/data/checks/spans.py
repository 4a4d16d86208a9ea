"""Spans that overlap, and annotated strings that are not in the text. In: an example. Out: codes and what is special."""

from __future__ import annotations

from collections.abc import Iterator

from extune.domain.annotation import Annotation, Extraction, Fields, Span
from extune.domain.example import Example

CodeAndDetail = tuple[str, str]


def check_overlaps(gold: Annotation | None) -> Iterator[CodeAndDetail]:
    """Each way in which spans of this example overlap, once, with the first pair that does so."""
    if not isinstance(gold, Extraction):
        return
    told: set[str] = set()
    open_spans: list[Span] = []
    for span in gold.spans:  # by start, the longer first
        open_spans = [one for one in open_spans if one.end > span.start]
        for outer in open_spans:
            code = _compare(outer, span)
            if code not in told:
                told.add(code)
                yield code, f"[{outer.start}, {outer.end}) {outer.type} and [{span.start}, {span.end}) {span.type}"
        open_spans.append(span)


def find_absent(example: Example) -> Iterator[str]:
    """Annotated strings that should be verbatim and are not in the text."""
    gold = example.gold
    if isinstance(gold, Extraction):
        yield from (mention.text for mention in gold.ungrounded if mention.text not in example.text)
    elif isinstance(gold, Fields):
        for value in gold.values.values():
            if not isinstance(value, str):
                yield from (one for one in value if one not in example.text)


def _compare(outer: Span, span: Span) -> str:
    if (outer.start, outer.end) == (span.start, span.end):
        return "same-place"
    return "nested-spans" if span.end <= outer.end else "crossing-spans"
