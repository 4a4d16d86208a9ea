"""Hypothesis strategies: tasks, texts and annotated texts full of characters that formats must escape."""

from __future__ import annotations

from hypothesis import strategies as st

from extune.domain.annotation import Extraction, Span
from extune.domain.task import ExtractionTask

AWKWARD = "；：;:_[]|\\\"'{}/,. \u3000\n\r\t\x00\x7f\x85\u2028\ufeff\u0301无OBI-abné😀中药"
SAME_FIRST_BYTES = "；，：！无日a"  # in UTF-8: what a byte-wise lexer could mix up
characters = st.one_of(
    st.sampled_from(sorted(AWKWARD)), st.sampled_from(SAME_FIRST_BYTES), st.characters(exclude_categories=["Cs"])
)
texts = st.one_of(st.text(characters, max_size=25), st.text(st.sampled_from(SAME_FIRST_BYTES), max_size=25))
tasks = st.lists(st.text(characters, min_size=1, max_size=4), min_size=1, max_size=4, unique=True).map(
    lambda names: ExtractionTask(types=dict.fromkeys(names, ""))
)


@st.composite
def annotated_texts(draw: st.DrawFn) -> tuple[ExtractionTask, str, Extraction]:
    task, text = draw(tasks), draw(texts)
    if not text:
        return task, text, Extraction()
    bounds = st.tuples(st.integers(0, len(text) - 1), st.integers(1, 5))
    keys = draw(st.lists(st.tuples(bounds, st.sampled_from(task.names)), max_size=6))
    unique = {(start, min(start + length, len(text)), name) for (start, length), name in keys}
    return task, text, Extraction(tuple(Span(name, text[start:end], start, end) for start, end, name in unique))
