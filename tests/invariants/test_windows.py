"""Windows cover a text, fit, overlap, and lose nothing of what lies in one of them whole."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extune.data.windows import Window, assign_gold, merge_windows, split_windows
from extune.domain.annotation import Extraction, Mention, Span
from extune.domain.example import Example, Source
from extune.domain.prediction import Problem, ProblemKind
from extune.errors import DataError

TEXTS = st.text(st.sampled_from("黄芪补气a，。！\n"), max_size=120)
BUDGETS = st.integers(6, 60)
OVERLAPS = st.integers(0, 40)


def weigh(text: str) -> int:
    """A tokenizer's count: characters weigh differently, no character more than three."""
    return sum(3 if character == "芪" else 2 if character.isascii() else 1 for character in text)


def fits_into(budget: int):
    return lambda text: weigh(text) <= budget


def span(text: str, start: int, end: int, type: str = "X", confidence: float | None = None) -> Span:
    return Span(type, text[start:end], start, end, confidence)


@given(TEXTS, BUDGETS, OVERLAPS)
def test_windows_cover_the_text_in_order_and_fit(text: str, budget: int, overlap: int) -> None:
    windows = split_windows(text, fits_into(budget), overlap)
    assert windows[0].start == 0
    assert windows[-1].end == len(text)
    assert all(weigh(text[window.start : window.end]) <= budget for window in windows)
    for left, right in pairwise(windows):
        assert left.start < right.start <= left.end < right.end
    assert (len(windows) == 1) == (weigh(text) <= budget)


@given(st.text(st.sampled_from("黄补气，。"), max_size=200), st.integers(4, 60), OVERLAPS)
def test_neighbours_share_the_overlap_or_half_a_window(text: str, budget: int, overlap: int) -> None:
    windows = split_windows(text, lambda piece: len(piece) <= budget, overlap)
    for left, right in pairwise(windows):
        assert left.end - right.start >= min(overlap, (left.end - left.start) // 2)


@given(TEXTS, BUDGETS)
def test_without_overlap_windows_stand_side_by_side(text: str, budget: int) -> None:
    assert "".join(text[window.start : window.end] for window in split_windows(text, fits_into(budget), 0)) == text


@given(TEXTS, BUDGETS, OVERLAPS)
def test_windows_are_at_least_half_full(text: str, budget: int, overlap: int) -> None:
    fits = fits_into(budget)
    for window in split_windows(text, fits, overlap)[:-1]:
        longest = max(end for end in range(window.start, len(text) + 1) if fits(text[window.start : end]))
        assert 2 * (window.end - window.start) >= longest - window.start


@settings(deadline=None)
@given(st.text(st.characters(), max_size=80), st.integers(4, 30), OVERLAPS, st.randoms(use_true_random=False))
def test_a_count_that_is_not_monotonic_is_respected_too(text: str, budget: int, overlap: int, random: object) -> None:
    noise: dict[str, int] = {}

    def fits(piece: str) -> bool:
        return len(piece) + noise.setdefault(piece, random.randint(0, 2)) <= budget if len(piece) > 1 else True

    windows = split_windows(text, fits, overlap)
    assert windows[0].start == 0
    assert windows[-1].end == len(text)
    assert all(left.end >= right.start for left, right in pairwise(windows))
    assert all(fits(text[window.start : window.end]) for window in windows)


def test_few_calls_and_no_long_ones_but_the_first() -> None:
    text = "黄芪补气固表。" * 3000
    sizes: list[int] = []

    def fits(piece: str) -> bool:
        sizes.append(len(piece))
        return len(piece) <= 500

    windows = split_windows(text, fits, 48)
    assert len(sizes) <= 13 * len(windows)
    assert max(sizes[1:]) <= 1000


def test_a_text_is_cut_at_sentences_else_at_clauses_else_anywhere() -> None:
    def pieces(text: str, overlap: int = 0) -> list[str]:
        return [text[w.start : w.end] for w in split_windows(text, lambda piece: len(piece) <= 10, overlap)]

    assert pieces("一二三四五六。一二三，四五六七。") == ["一二三四五六。", "一二三，四五六七。"]
    assert pieces("“一二三四五！”一二，三四五六七") == ["“一二三四五！”", "一二，三四五六七"]
    assert pieces("一二三四五六，一二三四五六七八") == ["一二三四五六，", "一二三四五六七八"]
    assert pieces("一。三四五六七八九十百千万") == ["一。三四五六七八九十", "百千万"]
    assert pieces("One two. 3.14159") == ["One two.", " 3.14159"]
    assert pieces("一二三。五六。八九。一二三四五六", 3) == ["一二三。五六。八九。", "八九。一二三四五六"]


def test_an_empty_text_is_one_window() -> None:
    assert split_windows("", lambda _: True, 48) == (Window(0, 0),)


@pytest.mark.parametrize("text", ["芪黄黄黄", "黄黄黄芪黄"])
def test_a_character_that_does_not_fit_is_an_error(text: str) -> None:
    with pytest.raises(DataError) as caught:
        split_windows(text, lambda piece: weigh(piece) <= 2, 1)
    assert f"character {text.index('芪')} of the text ('芪')" in caught.value.what


@settings(deadline=None)
@given(st.data(), TEXTS.filter(bool), BUDGETS, OVERLAPS)
def test_merged_gold_is_gold(data: st.DataObject, text: str, budget: int, overlap: int) -> None:
    windows = split_windows(text, fits_into(budget), overlap)
    keys = st.tuples(st.integers(0, len(text) - 1), st.integers(1, 30), st.sampled_from("XY"))
    drawn = {(start, min(len(text), start + size), type) for start, size, type in data.draw(st.sets(keys, max_size=12))}
    kept = [span(text, *key) for key in drawn if any(w.start <= key[0] and key[1] <= w.end for w in windows)]
    example = Example("a", text, Extraction(tuple(kept)))
    golds = assign_gold(example, windows)
    for window, gold in zip(windows, golds, strict=True):
        Example("part", text[window.start : window.end], gold)  # checks every offset
    merged, problems = merge_windows(text, [(w, gold, ()) for w, gold in zip(windows, golds, strict=True)])
    assert merged == example.gold
    assert problems == ()


def test_every_window_that_holds_a_span_whole_gets_it() -> None:
    text = "一二三四五六七八"
    example = Example("a", text, Extraction((span(text, 3, 5), span(text, 5, 7))))
    golds = assign_gold(example, (Window(0, 5), Window(3, 8), Window(4, 8)))
    assert [[found.key for found in gold.spans] for gold in golds] == [[(3, 5, "X")], [(0, 2, "X"), (2, 4, "X")], [(1, 3, "X")]]


def test_a_span_that_no_window_holds_is_an_error_with_its_place() -> None:
    text = "一二三四五六七八"
    example = Example("a", text, Extraction((span(text, 2, 6),)), source=Source("train.jsonl", 7))
    with pytest.raises(DataError) as caught:
        assign_gold(example, (Window(0, 5), Window(3, 8)))
    assert (caught.value.where, caught.value.what) == ("train.jsonl:7", "span [2, 6) of type 'X' lies in no window whole")


def test_windows_of_an_unlabelled_example_have_no_gold() -> None:
    with pytest.raises(TypeError):
        assign_gold(Example("a", "黄"), (Window(0, 1),))


def merge(*found: tuple[Window, list[tuple[int, int, str]]]) -> set[tuple[int, int, str]]:
    """Merge spans that are given with offsets in the text."""
    text = "一二三四五六七八"
    results = [
        (w, Extraction(tuple(Span(type, text[start:end], start - w.start, end - w.start) for start, end, type in keys)), ())
        for w, keys in found
    ]
    return {found.key for found in merge_windows(text, results)[0].spans}


def test_a_cut_span_gives_way_to_the_whole_one_of_the_neighbour() -> None:
    left, right = Window(0, 5), Window(2, 8)
    assert merge((left, [(4, 5, "X")]), (right, [(4, 7, "X")])) == {(4, 7, "X")}
    assert merge((left, [(1, 3, "X")]), (right, [(2, 3, "X")])) == {(1, 3, "X")}


def test_a_span_stays_where_it_may_be_whole() -> None:
    left, right = Window(0, 5), Window(2, 8)
    assert merge((left, [(4, 5, "X")]), (right, [(4, 7, "Y")])) == {(4, 5, "X"), (4, 7, "Y")}  # another type
    assert merge((left, [(3, 4, "X")]), (right, [(3, 5, "X")])) == {(3, 4, "X"), (3, 5, "X")}  # touches no edge
    assert merge((left, [(4, 5, "X")]), (right, [(4, 5, "X"), (4, 7, "X")])) == {(4, 5, "X"), (4, 7, "X")}  # seen uncut too
    assert merge((left, [(0, 1, "X"), (0, 3, "X")]), (right, [])) == {(0, 1, "X"), (0, 3, "X")}  # an outer edge


def test_a_span_of_two_windows_stands_once_with_the_higher_confidence() -> None:
    text = "一二三四五六七八"
    results = [
        (Window(0, 5), Extraction((Span("X", "四", 3, 4, 0.4),)), ()),
        (Window(2, 8), Extraction((Span("X", "四", 1, 2, 0.7),)), ()),
        (Window(3, 8), Extraction((Span("X", "四", 0, 1),)), ()),
    ]
    (found,) = merge_windows(text, results)[0].spans
    assert (found.key, found.confidence) == ((3, 4, "X"), 0.7)


def test_problems_and_ungrounded_mentions_are_never_dropped() -> None:
    mention, problem = Mention("X", "无中生有"), Problem(ProblemKind.UNGROUNDED, "无中生有")
    results = [(Window(0, 2), Extraction((), (mention,)), (problem,)), (Window(1, 3), Extraction((), (mention,)), (problem,))]
    assert merge_windows("黄芪补", results) == (Extraction((), (mention, mention)), (problem, problem))
