"""Predictions of other tools: every shape gives the spans it says, and nothing that is wrong disappears."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from extune.data.predictions import read_any_gold, read_any_predictions
from extune.data.readers.exchange import WRITTEN, Export
from extune.domain.annotation import Extraction, Mention, Span
from extune.domain.example import Example
from extune.domain.prediction import ProblemKind
from extune.errors import DataError

_A = Example("g-1", "服黄芪治头痛", Extraction((Span("药", "黄芪", 1, 3), Span("症", "头痛", 4, 6))))
_B = Example("g-2", "黄芪与黄芪", Extraction((Span("药", "黄芪", 0, 2), Span("药", "黄芪", 3, 5))))
_C = Example("g-3", "无恙", Extraction())
_GOLD = (_A, _B, _C)
_TYPES = ("药", "症")


def _lines(*rows: object) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _entities(example: Example) -> list[dict[str, object]]:
    assert isinstance(example.gold, Extraction)
    return [{"start": span.start, "end": span.end, "type": span.type, "text": span.text} for span in example.gold.spans]


def _by_type(example: Example) -> dict[str, list[dict[str, object]]]:
    groups: dict[str, list[dict[str, object]]] = {}
    for entity in _entities(example):
        groups.setdefault(str(entity["type"]), []).append({key: entity[key] for key in ("text", "start", "end")})
    return groups


def _strings(example: Example) -> dict[str, list[object]]:
    return {name: [one["text"] for one in group] for name, group in _by_type(example).items()}


def _places(example: Example) -> dict[str, dict[str, list[list[int]]]]:
    label: dict[str, dict[str, list[list[int]]]] = {}
    for one in _entities(example):
        places = label.setdefault(str(one["type"]), {}).setdefault(str(one["text"]), [])
        places.append([int(str(one["start"])), int(str(one["end"])) - 1])
    return label


def _langextract(example: Example, place: bool) -> dict[str, object]:
    found = [
        {
            "extraction_class": one["type"],
            "extraction_text": one["text"],
            "char_interval": {"start_pos": one["start"], "end_pos": one["end"]} if place else None,
            "alignment_status": "match_exact" if place else None,
        }
        for one in _entities(example)
    ]
    return {"extractions": found, "text": example.text, "document_id": f"doc_{example.id}"}


def _columns(example: Example) -> str:
    labels = ["O"] * len(example.text)
    for one in _entities(example):
        start, end = int(str(one["start"])), int(str(one["end"]))
        labels[start:end] = [f"B-{one['type']}"] + [f"I-{one['type']}"] * (end - start - 1)
    return "".join(f"{token} {label}\n" for token, label in zip(example.text, labels, strict=True)) + "\n"


def _answers(render: object) -> str:
    return _lines(
        *(
            {"prompt": f"user\n{one.text}\nassistant\n", "label": render(one), "predict": render(one)}  # type: ignore[operator]
            for one in _GOLD
        )
    )


def _render_lines(example: Example) -> str:
    return "\n".join(f"{name}：{'；'.join(map(str, group))}" for name, group in _strings(example).items()) or "没有"


def _render_pairs(example: Example) -> str:
    return "\n".join(f"{one['text']}_{one['type']}" for one in _entities(example)) or "没有"


def _render_fenced(example: Example) -> str:
    return f"```json\n{json.dumps(_entities(example), ensure_ascii=False)}\n```"


_SHAPES = {
    "spans by id": _lines(*({"id": one.id, "entities": _entities(one)} for one in reversed(_GOLD))),
    "label for type, offsets only": _lines(
        *(
            {"id": one.id, "entities": [{"start": e["start"], "end": e["end"], "label": e["type"]} for e in _entities(one)]}
            for one in _GOLD
        )
    ),
    "triples by text": _lines(
        *({"text": one.text, "label": [[e["start"], e["end"], e["type"]] for e in _entities(one)]} for one in reversed(_GOLD))
    ),
    "doccano's names of offsets": _lines(
        *(
            {
                "id": one.id,
                "entities": [{"start_offset": e["start"], "end_offset": e["end"], "label": e["type"]} for e in _entities(one)],
            }
            for one in _GOLD
        )
    ),
    "CMeEE's inclusive ends": _lines(
        *(
            {
                "id": one.id,
                "entities": [
                    {"start_idx": e["start"], "end_idx": int(str(e["end"])) - 1, "type": e["type"]} for e in _entities(one)
                ],
            }
            for one in _GOLD
        )
    ),
    "CLUENER's places by type": _lines(*({"id": one.id, "label": _places(one)} for one in _GOLD)),
    "strings by type": _lines(*({"id": one.id, "entities": _strings(one)} for one in _GOLD)),
    "strings by type, bare, in order": _lines(*(_strings(one) for one in _GOLD)),
    "strings by type, beside the text": _lines(*({"text": one.text, **_strings(one)} for one in reversed(_GOLD))),
    "UIE by line": _lines(*([_by_type(one)] for one in _GOLD)),
    "UIE array": json.dumps([_by_type(one) for one in _GOLD], ensure_ascii=False, indent=1),
    "LangExtract": _lines(*(_langextract(one, place=True) for one in reversed(_GOLD))),
    "LangExtract without places": _lines(*(_langextract(one, place=False) for one in _GOLD)),
    "columns": "".join(_columns(one) for one in _GOLD),
    "LLaMA-Factory, lines": _answers(_render_lines),
    "LLaMA-Factory, pairs": _answers(_render_pairs),
    "LLaMA-Factory, JSON by type": _answers(lambda one: json.dumps(_strings(one), ensure_ascii=False)),
    "LLaMA-Factory, fenced list": _answers(_render_fenced),
}


def _write(folder: Path, content: str) -> Path:
    path = folder / ("predictions.jsonl" if content.lstrip()[:1] in "[{" else "predictions.txt")
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize("shape", _SHAPES)
def test_gold_written_in_any_shape_comes_back(tmp_path: Path, shape: str) -> None:
    found = read_any_predictions(_write(tmp_path, _SHAPES[shape]), _GOLD, _TYPES)
    assert [one.example_id for one in found.predictions] == [one.id for one in _GOLD]
    assert [one.annotation for one in found.predictions] == [one.gold for one in _GOLD]
    assert not any(one.problems for one in found.predictions)
    if shape.startswith("CLUENER"):
        return  # strings by type, with places
    named = ("strings by type", "UIE", "LangExtract", "columns", "LLaMA-Factory")
    assert next((name for name in named if shape.startswith(name)), "spans") in found.notes[0]


@pytest.mark.parametrize("shape", [name for name in _SHAPES if "text" in name or "Lang" in name])
def test_gold_itself_may_have_any_shape_with_texts(tmp_path: Path, shape: str) -> None:
    examples, _ = read_any_gold(_write(tmp_path, _SHAPES[shape]), _TYPES)
    assert {one.text: one.gold for one in examples} == {one.text: one.gold for one in _GOLD}


def _read_problems(folder: Path, *rows: object) -> dict[str, Counter[ProblemKind]]:
    found = read_any_predictions(_write(folder, _lines(*rows)), _GOLD, _TYPES)
    return {one.example_id: Counter(problem.kind for problem in one.problems) for one in found.predictions}


def test_what_cannot_be_used_is_a_problem_of_its_example(tmp_path: Path) -> None:
    problems = _read_problems(
        tmp_path,
        {"id": "g-1", "entities": [{"start": 1, "end": 99, "type": "药"}, {"start": 1}, 7, {"text": "人参", "type": "药"}]},
        {"id": "g-2", "entities": [{"text": "黄芪", "type": "药"}] * 3},
        {"id": "g-3", "entities": {"方": ["无恙"], "药": [None, ""]}},
    )
    assert problems == {
        "g-1": Counter({ProblemKind.UNPARSEABLE: 3, ProblemKind.UNGROUNDED: 1}),
        "g-2": Counter({ProblemKind.DUPLICATE: 1}),
        "g-3": Counter({ProblemKind.UNKNOWN_TYPE: 1, ProblemKind.UNPARSEABLE: 1}),
    }


def test_mentions_that_a_tool_says_are_not_in_the_text_stay_so(tmp_path: Path) -> None:
    """Searching them would turn what the tool itself calls wrong into a hit."""
    lacking = [{"type": "药", "text": "人参"}, {"type": "药", "text": "黄芪"}, {"type": "方", "text": "汤"}, {"type": "药"}]
    rows = [{"id": one.id, "entities": _entities(one), "ungrounded": lacking if one is _A else []} for one in _GOLD]
    found = read_any_predictions(_write(tmp_path, _lines(*rows)), _GOLD, _TYPES)
    assert isinstance(_A.gold, Extraction)
    assert found.predictions[0].annotation == Extraction(_A.gold.spans, (Mention("药", "人参"), Mention("药", "黄芪")))
    assert Counter(problem.kind for problem in found.predictions[0].problems) == {
        ProblemKind.UNGROUNDED: 2, ProblemKind.UNKNOWN_TYPE: 1, ProblemKind.UNPARSEABLE: 1,
    }  # fmt: skip
    assert [one.annotation for one in found.predictions[1:]] == [one.gold for one in _GOLD[1:]]


def test_gold_may_be_a_file_of_another_tool(tmp_path: Path) -> None:
    for name, out in (("cluener", "a.json"), ("label-studio", "b.json"), ("doccano", "c.jsonl"), ("brat", "d")):
        for path, content in WRITTEN[name].render(tmp_path / out, Export(_GOLD)).items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(content, encoding="utf-8", newline="\n")
        examples, notes = read_any_gold(tmp_path / out, _TYPES)
        assert [(one.id, one.text, one.gold) for one in examples] == [(one.id, one.text, one.gold) for one in _GOLD]
        assert any(f"read as {name}" in note for note in notes)


def test_a_torn_row_answers_the_example_that_is_left(tmp_path: Path) -> None:
    torn = _lines({"id": "g-1", "entities": []}) + '{"id": "g-2", "ent\n' + _lines({"id": "g-3", "entities": []})
    found = read_any_predictions(_write(tmp_path, torn), _GOLD, _TYPES)
    assert [[problem.kind for problem in one.problems] for one in found.predictions] == [[], [ProblemKind.UNPARSEABLE], []]


def test_mentions_whose_offsets_are_wrong_are_searched_and_counted(tmp_path: Path) -> None:
    rows = [{"id": one.id, "entities": [{**e, "start": int(str(e["start"])) + 1} for e in _entities(one)]} for one in _GOLD]
    found = read_any_predictions(_write(tmp_path, _lines(*rows)), _GOLD, _TYPES)
    assert [one.annotation for one in found.predictions] == [one.gold for one in _GOLD]
    assert "4 mentions did not stand at their offsets and were searched in the text" in found.notes


def test_relations_are_not_read_and_counted(tmp_path: Path) -> None:
    groups = _by_type(_A)
    groups["药"][0]["relations"] = {"治": [{"text": "头痛", "start": 4, "end": 6}]}
    found = read_any_predictions(_write(tmp_path, _lines([groups], [_by_type(_B)], [{}])), _GOLD, _TYPES)
    assert found.predictions[0].annotation == _A.gold
    assert "relations of 1 mentions are not read" in found.notes


def test_illegal_labels_are_problems_and_the_rest_of_the_sentence_counts(tmp_path: Path) -> None:
    wrong = _columns(_A).replace("头 B-症\n痛 I-症", "头 I-症\n痛 I-症") + _columns(_B) + _columns(_C).replace("无 O", "无 X")
    found = read_any_predictions(_write(tmp_path, wrong), _GOLD, _TYPES)
    assert found.predictions[0].annotation == Extraction((Span("药", "黄芪", 1, 3),))
    assert [[(one.kind, one.detail) for one in row.problems][:1] for row in found.predictions[:2]] == [
        [(ProblemKind.UNPARSEABLE, "头痛")], [],
    ]  # fmt: skip
    assert [one.kind for one in found.predictions[2].problems] == [ProblemKind.UNPARSEABLE]


def test_an_unparseable_answer_of_a_model_is_a_problem(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in _SHAPES["LLaMA-Factory, JSON by type"].splitlines()]
    rows[0]["predict"] = '抱歉，{"药": ["黄芪"]'
    rows[2]["predict"] = None
    found = read_any_predictions(_write(tmp_path, _lines(*rows)), _GOLD, _TYPES)
    assert [len(one.problems) for one in found.predictions] == [1, 0, 1]
    assert found.predictions[0].completion == rows[0]["predict"]


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (_lines({"id": "g-1", "entities": []}), "2 examples have no prediction, the first is 'g-2'"),
        (_lines(*({"id": "g-1", "entities": []} for _ in range(4))), "3 rows belong to no example, the first is line 2"),
        (_lines({"id": "x", "entities": []}), "line 1 belongs to no example"),
        (_lines({"药": ["黄芪"]}, {"药": []}), "2 rows for 3 examples"),
        (_SHAPES["LLaMA-Factory, lines"].split("\n", 1)[1], "holds 2 rows"),
        (
            _lines(*reversed([json.loads(line) for line in _SHAPES["LLaMA-Factory, lines"].splitlines()])),
            "do not hold the text",
        ),
    ],
)
def test_a_file_that_is_not_about_the_gold_is_an_error(tmp_path: Path, content: str, part: str) -> None:
    with pytest.raises(DataError, match=part):
        read_any_predictions(_write(tmp_path, content), _GOLD, _TYPES)


def test_gold_is_never_guessed(tmp_path: Path) -> None:
    path = _write(tmp_path, _lines({"text": "黄芪", "entities": {"药": ["黄芪", 3]}}))
    with pytest.raises(DataError, match="unparseable in gold") as caught:
        read_any_gold(path, None)
    assert f"{path}:1" in str(caught.value)
    with pytest.raises(DataError, match="has no text"):
        read_any_gold(_write(tmp_path, _lines({"药": ["黄芪"]})), None)


def test_a_gold_mention_that_is_not_in_its_text_stays_and_is_told(tmp_path: Path) -> None:
    examples, notes = read_any_gold(_write(tmp_path, _lines({"text": "黄芪", "entities": {"药": ["人参"]}})), None)
    assert examples[0].gold == Extraction((), (Mention("药", "人参"),))
    assert "1 gold mentions are not in their text; they count as missed" in notes


@pytest.mark.parametrize(
    "gold",
    [
        {"fields": {"药名": ["黄芪"]}},
        {"labels": "好转"},
        {"labels": ["好转", "复诊"]},
        {"answer": "多休息"},
    ],
    ids=str,
)
def test_records_classes_and_answers_are_read_as_extune_writes_them(tmp_path: Path, gold: dict[str, object]) -> None:
    path = _write(tmp_path, _lines({"id": "1", "text": "服黄芪", **gold}))
    examples, _ = read_any_gold(path, None)
    found = read_any_predictions(path, examples, None)
    assert examples[0].gold is not None
    assert not isinstance(examples[0].gold, Extraction)
    assert [one.annotation for one in found.predictions] == [one.gold for one in examples]


@pytest.mark.parametrize("labels", [[[0, 2, "药"]], {"药": ["黄芪"]}], ids=str)
def test_labels_of_spans_are_no_classes(tmp_path: Path, labels: object) -> None:
    (example,), _ = read_any_gold(_write(tmp_path, _lines({"text": "黄芪", "labels": labels})), None)
    assert example.gold == Extraction((Span("药", "黄芪", 0, 2),))
