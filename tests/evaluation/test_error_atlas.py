"""Every mistake stands in exactly one class, and nothing of the score is left out of any table."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest

from extune.domain.annotation import Extraction, Mention, Span
from extune.domain.prediction import Problem, ProblemKind
from extune.evaluation.error_atlas import NO_PLACE, AtlasDocument, ErrorAtlas, ErrorClass, build_atlas
from extune.evaluation.metrics import ExtractionScore, score_extraction

_TYPES = ("药", "效", "方")
_TEXT = "黄芪三十克补气固表黄芪"


def _span(type_: str, start: int, end: int, text: str = _TEXT) -> Span:
    return Span(type_, text[start:end], start, end)


def _random_extraction(rng: random.Random, text: str) -> Extraction:
    keys = set()
    for _ in range(rng.randrange(6)):
        start = rng.randrange(len(text))
        keys.add((rng.choice([*_TYPES, "外"]), start, rng.randint(start + 1, min(len(text), start + 5))))
    strange = [Mention(rng.choice(_TYPES), rng.choice(["人参", "黄芪"])) for _ in range(rng.choice([0, 0, 0, 1, 2]))]
    return Extraction(tuple(_span(*key, text) for key in keys), tuple(strange))


def _random_documents(rng: random.Random) -> list[AtlasDocument]:
    documents = []
    for number in range(rng.randrange(1, 6)):
        text = "".join(rng.choice("黄芪三补") for _ in range(rng.randrange(1, 12)))
        gold = _random_extraction(rng, text)
        predicted = rng.choice([gold, Extraction(), _random_extraction(rng, text)])
        problems = [Problem(rng.choice(list(ProblemKind))) for _ in range(rng.choice([0, 0, 1, 3]))]
        documents.append(AtlasDocument(str(number), len(text), gold, predicted, problems))
    return documents


def _score(documents: list[AtlasDocument]) -> ExtractionScore:
    return score_extraction(
        {one.id: one.gold for one in documents},
        {one.id: one.predicted for one in documents},
        _TYPES,
        {one.id: one.problems for one in documents},
        resamples=0,
    )


def test_a_thousand_random_test_sets_reconcile_with_the_score() -> None:
    """Totals, every breakdown, the row of each type, the pairs, and the partial mode."""
    for seed in range(1000):
        rng = random.Random(seed)
        documents = _random_documents(rng)
        train = Counter(Mention(span.type, span.text) for one in _random_documents(rng) for span in one.gold.spans)
        atlas, score = build_atlas(documents, _TYPES, train), _score(documents)
        strict = (score.micro.tp, score.micro.fp, score.micro.fn)
        assert (atlas.total.prf.tp, atlas.total.prf.fp, atlas.total.prf.fn) == strict, seed
        assert Counter(one.side for one in atlas.mistakes) == Counter(fp=int(strict[1]), fn=int(strict[2])), seed
        assert set(atlas.breakdowns) == {"type", "length", "position", "frequency", "seen"}
        for rows in atlas.breakdowns.values():
            for side in ("wrong", "missed"):
                added: Counter[ErrorClass] = sum((Counter(getattr(row, side)) for row in rows), Counter())
                assert added == Counter(getattr(atlas.total, side)), seed
            assert sum(row.right for row in rows) == score.micro.tp, seed
        for row in atlas.breakdowns["type"]:
            if row.name != NO_PLACE:
                assert row.prf == score.per_type[row.name], seed
        for kind in (ErrorClass.BOUNDARY, ErrorClass.TYPE, ErrorClass.BOUNDARY_AND_TYPE):
            assert atlas.total.wrong.get(kind, 0) == atlas.total.missed.get(kind, 0), seed
        assert atlas.total.wrong.get(ErrorClass.BOUNDARY, 0) == 2 * (score.partial.tp - score.micro.tp), seed


def _atlas(gold: list[Span], predicted: Extraction, *kinds: ProblemKind) -> ErrorAtlas:
    problems = [Problem(kind) for kind in kinds]
    return build_atlas([AtlasDocument("1", len(_TEXT), Extraction(tuple(gold)), predicted, problems)], _TYPES)


def _classes(atlas: ErrorAtlas) -> list[tuple[str, str]]:
    return [(one.side, str(one.kind)) for one in atlas.mistakes]


@pytest.mark.parametrize(
    ("gold", "predicted", "expected"),
    [
        (_span("药", 0, 2), _span("药", 0, 3), "boundary"),
        (_span("药", 0, 2), _span("方", 0, 2), "type"),
        (_span("药", 0, 2), _span("方", 0, 3), "boundary+type"),
    ],
)
def test_a_pair_is_one_class_on_both_sides(gold: Span, predicted: Span, expected: str) -> None:
    atlas = _atlas([gold], Extraction((predicted,)))
    assert _classes(atlas) == [("fn", expected), ("fp", expected)]
    assert [one.partner for one in atlas.mistakes] == [predicted, gold]


def test_spans_that_do_not_overlap_are_missing_and_spurious() -> None:
    atlas = _atlas([_span("药", 0, 2)], Extraction((_span("药", 2, 4),)))
    assert _classes(atlas) == [("fn", "missing"), ("fp", "spurious")]


def test_one_prediction_over_two_gold_spans_is_paired_with_the_one_that_it_shares_most_of() -> None:
    long, short = _span("效", 5, 9), _span("效", 4, 5)
    atlas = _atlas([long, short], Extraction((_span("效", 4, 9),)))
    paired = {one.mention.text: str(one.kind) for one in atlas.mistakes if one.side == "fn" and one.mention}
    assert paired == {long.text: "boundary", short.text: "missing"}


def test_a_right_span_is_nobodys_partner() -> None:
    right = _span("药", 0, 2)
    assert _classes(_atlas([right], Extraction((right, _span("药", 0, 3))))) == [("fp", "spurious")]


@pytest.mark.parametrize(
    ("kinds", "predicted", "expected"),
    [
        ([ProblemKind.DUPLICATE], Extraction(), [("fn", "missing"), ("fp", "duplicate")]),
        ([], Extraction((), (Mention("药", "人参"),)), [("fn", "missing"), ("fp", "ungrounded")]),
        ([ProblemKind.UNPARSEABLE], Extraction(), [("fn", "unparseable"), ("fp", "unparseable")]),
        ([ProblemKind.UNKNOWN_TYPE], Extraction(), [("fn", "missing"), ("fp", "unparseable")]),
        ([ProblemKind.UNPARSEABLE], Extraction((_span("效", 5, 9),)),
         [("fn", "missing"), ("fp", "spurious"), ("fp", "unparseable")]),
        ([ProblemKind.CUT_OFF], Extraction(), [("fn", "cut off")]),
        ([ProblemKind.CLOSED_EARLY], Extraction(), [("fn", "cut off")]),
        ([ProblemKind.TOO_LONG], Extraction(), [("fn", "cut off")]),
        ([ProblemKind.CUT_OFF, ProblemKind.UNPARSEABLE, ProblemKind.UNPARSEABLE], Extraction(),
         [("fn", "cut off"), ("fp", "cut off"), ("fp", "unparseable")]),
    ],
)  # fmt: skip
def test_what_a_problem_explains(kinds: list[ProblemKind], predicted: Extraction, expected: list[tuple[str, str]]) -> None:
    assert _classes(_atlas([_span("药", 0, 2)], predicted, *kinds)) == expected


def test_groups_are_those_of_the_mention() -> None:
    gold = (_span("药", 0, 2), _span("效", 5, 9), _span("药", 9, 11))
    train = {Mention("药", "黄芪"): 3, Mention("方", "补气固表"): 1}
    document = AtlasDocument("1", len(_TEXT), Extraction(gold), Extraction(gold[:1]))
    atlas = build_atlas([document], _TYPES, train)
    rows = {name: [(row.name, row.right, row.prf.fn) for row in rows] for name, rows in atlas.breakdowns.items()}
    assert rows == {
        "type": [("药", 1, 1), ("效", 0, 1)],
        "length": [("2", 1, 1), ("4", 0, 1)],
        "position": [("first quarter", 1, 0), ("second quarter", 0, 1), ("last quarter", 0, 1)],
        "frequency": [("1", 0, 1), ("2-4", 1, 1)],
        "seen": [("seen with this type", 1, 1), ("seen with another type", 0, 1)],
    }


def test_json_is_plain_and_complete() -> None:
    atlas = _atlas([_span("药", 0, 2)], Extraction((_span("药", 0, 3),)), ProblemKind.DUPLICATE)
    value = json.loads(json.dumps(atlas.to_json(), allow_nan=False))
    assert value["total"]["classes"] == {"boundary": {"fp": 1, "fn": 1}, "duplicate": {"fp": 1, "fn": 0}}
    first, *_, last = value["mistakes"]
    assert first == {
        "id": "1", "side": "fn", "class": "boundary", "type": "药", "text": "黄芪", "start": 0, "end": 2,
        "paired_with": {"start": 0, "end": 3, "type": "药", "text": "黄芪三"}, "seen": None,
    }  # fmt: skip
    assert (last["class"], last["type"], last["start"]) == ("duplicate", None, None)
