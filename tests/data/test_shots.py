"""Examples that are shown before a question: always the same, short, and together they show every name."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from extune.data.shots import choose_shots
from extune.domain.annotation import Answer, Extraction, Labels, Span
from extune.domain.example import Example

TYPES = ("药", "症", "方")


def labelled(number: int, *types: str) -> Example:
    text = f"{number:03}" + "甲" * len(types)
    return Example(f"{number}", text, Extraction(tuple(Span(name, "甲", 3 + at, 4 + at) for at, name in enumerate(types))))


POOL = [labelled(number, *TYPES[: number % 3 + 1][-1:]) for number in range(12)]


@given(order=st.permutations(POOL), count=st.integers(0, 15))
def test_the_choice_depends_on_the_texts_only(order: list[Example], count: int) -> None:
    chosen = choose_shots(order, count)
    assert chosen == choose_shots(POOL, count)
    assert len({one.id for one in chosen}) == len(chosen) == min(count, len(POOL))


def test_every_type_is_shown_before_one_is_shown_twice() -> None:
    chosen = choose_shots(POOL, 6)
    for part in (chosen[:3], chosen[3:]):
        assert {span.type for one in part if isinstance(one.gold, Extraction) for span in one.gold.spans} == set(TYPES)


def test_the_long_half_stands_back() -> None:
    long = [Example(f"l{number}", "长" * 50, Labels(("甲", "乙", "丙"))) for number in range(3)]
    short = [Example(f"s{number}", f"短{number}", Labels(("甲",))) for number in range(3)]
    assert set(choose_shots(long + short, 3)) == set(short)


def test_what_has_no_gold_or_turns_before_it_is_not_shown() -> None:
    answered = Example("1", "问", Answer("答"))
    others = [Example("2", "问二"), Example("3", "问三", Answer("答"), history=(("a", "b"),))]
    assert choose_shots([*others, answered], 3) == (answered,)
    assert choose_shots(others, 3) == ()
