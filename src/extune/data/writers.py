"""Predictions become files that survive a crash, and become predictions again.

In: predictions with their texts. Out: `.jsonl` (everything), `.csv` (id, text, annotation, problems; the last two as JSON) or
`.txt` (a line to read: id, text, annotation, problems, apart by tabs). It knows nothing about models and scores.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

from extune.data.readers.base import RowError, numbered_lines, require_text
from extune.data.readers.own_rows import ANSWER_KEYS, add_confidences, parse_annotation, write_annotation
from extune.data.readers.spans import parse_id, parse_object
from extune.domain.annotation import Annotation, Extraction, Fields, Labels
from extune.domain.example import Source
from extune.domain.prediction import Prediction, Problem, ProblemKind
from extune.errors import DataError
from extune.files import read_text, write_text

_CSV_ID = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\r\n]*)),')
_TABLE_MARKS = re.compile(r"[\t\r\n]")


def prediction_to_row(prediction: Prediction, text: str) -> dict[str, Any]:
    """What `.jsonl` holds: confidences and `probabilities` where there are some, `ungrounded` with spans, `left_out` if any."""
    return {
        "id": prediction.example_id,
        "text": text,
        **_annotation_to_json(prediction.annotation),
        **({"probabilities": dict(prediction.probabilities)} if prediction.probabilities else {}),
        "problems": _problems_to_json(prediction),
        **({"left_out": prediction.left_out} if prediction.left_out else {}),
        "completion": prediction.completion,
        "decoding": prediction.decoding,
    }


def write_rows(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write JSONL atomically."""
    write_text(path, "".join(_dump(row) + "\n" for row in rows).encode("utf-8", "backslashreplace").decode("utf-8"))


class PredictionWriter:
    """Appends predictions to a file, each at once and whole; what an earlier run has written is kept.

    Attributes:
        done: ids of the rows that stood in the file when it was opened, in file order; skip these examples.
        repaired: bytes of a torn last row that were cut off when the file was opened; its example is not in `done`.
    """

    done: tuple[str, ...] = ()
    repaired: int = 0

    def __init__(self, path: Path, task_kind: str = "extraction") -> None:
        """Name the file, and the kind of the task, by which the column of a `.csv` is called.

        Raises:
            DataError: an unknown kind of file.
        """
        kind = _KINDS.get(path.suffix.lower())
        if kind is None:
            raise DataError(
                f"unknown kind of file {path.suffix!r}",
                where=str(path),
                expected="one of " + ", ".join(_KINDS),
                fix="choose another name for the output",
            )
        self._path, self._kind = path, kind
        self._header = _csv_line("id", "text", ANSWER_KEYS[task_kind], "problems") if kind.is_quoted else ""
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        """Open the file, cut off a torn row, and note what is there.

        Raises:
            DataError: the file holds something else than predictions.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("ab")
        try:
            self._resume(self._file)
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def write(self, prediction: Prediction, text: str) -> None:
        """Append one row and hand it to the operating system."""
        if self._file is None:
            raise ValueError("a PredictionWriter is opened by `with`")
        _append(self._file, self._kind.render(prediction, text))

    def _resume(self, file: BinaryIO) -> None:
        size, whole, ids = self._path.stat().st_size, 0, []
        with self._path.open("rb") as old:
            for number, record in enumerate(_iter_records(old, self._kind.is_quoted), 1):
                whole += len(record)
                if number > 1 or not self._header:
                    ids.append(self._read_id(record, number))
                elif record != self._header.encode():
                    raise self._foreign(number)
        file.truncate(whole)
        self.done, self.repaired = tuple(ids), size - whole
        if not whole and self._header:
            _append(file, self._header)

    def _read_id(self, record: bytes, number: int) -> str:
        try:
            return self._kind.read_id(record.decode())
        except (ValueError, KeyError, TypeError):
            raise self._foreign(number) from None

    def _foreign(self, number: int) -> DataError:
        return DataError(
            f"row {number} is no prediction",
            where=str(self._path),
            expected="a new file, or predictions of an interrupted run to go on with",
            fix="choose another name for the output, or remove the file",
        )


def read_predictions(path: Path) -> dict[str, Prediction]:
    """The predictions of a `.jsonl` by id, in file order; only `id`, `text` and the annotation are needed.

    Raises:
        DataError: the file is missing, empty or not text, or has a wrong row.
    """
    predictions: dict[str, Prediction] = {}
    lines_by_id: dict[str, int] = {}
    for number, line in numbered_lines(read_text(path)):
        if line.strip():
            prediction = _parse_prediction(line, lines_by_id, Source(str(path), number))
            predictions[prediction.example_id] = prediction
    if not predictions:
        raise DataError("holds no predictions", where=str(path), expected="at least one", fix="check the path")
    return predictions


def _parse_prediction(line: str, lines_by_id: dict[str, int], source: Source) -> Prediction:
    row = parse_object(line, source)
    key = next((key for key in ANSWER_KEYS.values() if key in row), "entities")
    missing = [name for name in ("id", "text", key) if name not in row]
    if missing:
        raise RowError(
            f"key {missing[0]!r} is missing",
            source=source,
            expected=f"id, text and {key}, as `extune predict --out FILE.jsonl` writes them",
            fix="add it; ids are those of the gold file",
        )
    text = require_text(row["text"], source)
    annotation = add_confidences(parse_annotation(key, row, text, source), row, source)
    try:
        problems = tuple(Problem(ProblemKind(item["kind"]), item.get("detail", "")) for item in row.get("problems", ()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RowError(
            f"problems cannot be read: {error}",
            source=source,
            expected='a list of {"kind", "detail"}',
            fix="correct it, or remove the key",
        ) from None
    return Prediction(
        parse_id(row, "", lines_by_id, source),
        annotation,
        row.get("completion", ""),
        problems,
        row.get("decoding", {}),
        _parse_probabilities(row.get("probabilities", {}), source),
        _parse_count(row.get("left_out", 0), source),
    )


def _parse_count(value: object, source: Source) -> int:
    """What stands under `left_out`, or a RowError."""
    if type(value) is int and value >= 0:
        return value
    raise RowError(
        f'"left_out" is no number of items: {str(value)[:80]}',
        source=source,
        expected="a whole number",
        fix="correct it, or remove the key",
    )


def _parse_probabilities(value: object, source: Source) -> dict[str, float]:
    """What stands under `probabilities`, or a RowError."""
    if isinstance(value, dict) and all(type(one) in (int, float) and 0 <= one <= 1 for one in value.values()):
        return {name: float(one) for name, one in value.items()}
    raise RowError(
        f'"probabilities" is no object of probabilities: {str(value)[:80]}',
        source=source,
        expected="label names with numbers from 0 to 1",
        fix="correct it, or remove the key",
    )


def describe_annotation(annotation: Annotation) -> str:
    """The annotation on one line, for people; empty where there is nothing."""
    if isinstance(annotation, Extraction):
        return "; ".join(f"{span.type} {span.text} [{span.start}, {span.end})" for span in annotation.spans)
    if isinstance(annotation, Fields):
        values = ((name, [value] if isinstance(value, str) else value) for name, value in annotation.values.items())
        return "; ".join(f"{name}: {', '.join(parts)}" for name, parts in values if any(parts))
    return "; ".join(annotation.names) if isinstance(annotation, Labels) else annotation.text


def _annotation_to_json(annotation: Annotation) -> dict[str, Any]:
    row = write_annotation(annotation)
    return {**row, "ungrounded": row.get("ungrounded", [])} if isinstance(annotation, Extraction) else row


def _problems_to_json(prediction: Prediction) -> list[dict[str, str]]:
    return [{"kind": problem.kind.value, "detail": problem.detail} for problem in prediction.problems]


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _append(file: BinaryIO, row: str) -> None:
    # A lone surrogate, which UTF-8 cannot hold, becomes its JSON escape.
    file.write(row.encode("utf-8", "backslashreplace"))
    file.flush()


def _iter_records(file: BinaryIO, is_quoted: bool) -> Iterator[bytes]:
    """Complete records with their line end; a quoted record ends at the first line end outside quotation marks."""
    record, marks = b"", 0
    for line in file:
        record += line
        marks += line.count(b'"')
        if line.endswith(b"\n") and not (is_quoted and marks % 2):
            yield record
            record, marks = b"", 0


class _Kind(NamedTuple):
    is_quoted: bool
    render: Callable[[Prediction, str], str]
    read_id: Callable[[str], str]  # raises ValueError, KeyError or TypeError where the record is no prediction


def _render_jsonl(prediction: Prediction, text: str) -> str:
    return _dump(prediction_to_row(prediction, text)) + "\n"


def _read_jsonl_id(record: str) -> str:
    return str(json.loads(record)["id"])


def _render_csv(prediction: Prediction, text: str) -> str:
    content = next(iter(_annotation_to_json(prediction.annotation).values()))
    return _csv_line(prediction.example_id, text, _dump(content), _dump(_problems_to_json(prediction)))


def _csv_line(*cells: str) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()


def _read_csv_id(record: str) -> str:
    match = _CSV_ID.match(record)
    if not match:
        raise ValueError("no CSV")
    return match[2] if match[1] is None else match[1].replace('""', '"')


def _render_txt(prediction: Prediction, text: str) -> str:
    entities = describe_annotation(prediction.annotation) or "-"
    problems = ", ".join(problem.kind.value for problem in prediction.problems)
    cells = [text, entities, problems] if problems else [text, entities]
    # The id is read back when a run goes on, so it alone is escaped losslessly.
    return "\t".join([_dump(prediction.example_id)[1:-1], *(_TABLE_MARKS.sub(" ", cell) for cell in cells)]) + "\n"


def _read_txt_id(record: str) -> str:
    escaped, tab, _ = record.partition("\t")
    if not tab:
        raise ValueError("no tab")
    return str(json.loads(f'"{escaped}"'))


_KINDS = {
    ".jsonl": _Kind(False, _render_jsonl, _read_jsonl_id),
    ".csv": _Kind(True, _render_csv, _read_csv_id),
    ".txt": _Kind(False, _render_txt, _read_txt_id),
}
