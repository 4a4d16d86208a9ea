"""Encoded in several processes or in one: the same batches, the same errors, and nothing left running."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psutil
import pytest

from extune.domain.example import Example
from extune.errors import DataError, TrainingError
from extune.tokens import encoding_processes
from extune.tokens.encoding_processes import encode_batches

EXAMPLES = [Example(str(number), f"text {number}") for number in range(23)]


@dataclass(frozen=True)
class Upper:
    """Encodes by writing in capitals; texts in `wrong` are errors, and "die" ends the process."""

    wrong: tuple[str, ...] = ()

    def __call__(self, examples: Sequence[Example]) -> list[str]:
        for example in examples:
            if example.text == "die":
                raise SystemExit(3)
            if example.text in self.wrong:
                raise DataError("is wrong", where=f"rows.jsonl:{example.id}", expected="a right one", fix="correct it")
        return [example.text.upper() for example in examples]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(encoding_processes, "EXAMPLES", 4)
    yield
    assert not psutil.Process().children()


def test_batches_are_those_of_one_process() -> None:
    alone = list(encode_batches(EXAMPLES, Upper(), processes=1))
    assert [len(batch) for batch in alone] == [4, 4, 4, 4, 4, 3]
    assert list(encode_batches(iter(EXAMPLES), Upper(), processes=2, alone=0)) == alone
    assert list(encode_batches(EXAMPLES, Upper(), processes=3, alone=20)) == alone


@pytest.mark.parametrize("alone", [0, 1 << 30])
def test_the_first_error_in_the_file_is_raised_with_its_place(alone: int) -> None:
    def read() -> Iterator[Example]:
        yield from EXAMPLES[:14]
        raise DataError("cannot be read", where="rows.jsonl:15")

    wrong = Upper(wrong=("text 9", "text 5"))
    done = encode_batches(read(), wrong, processes=2, alone=alone)
    assert next(done) == [f"TEXT {number}" for number in range(4)]
    with pytest.raises(DataError) as caught:
        list(done)
    assert (caught.value.where, caught.value.what, caught.value.fix) == ("rows.jsonl:5", "is wrong", "correct it")
    with pytest.raises(DataError, match=r"rows.jsonl:15"):
        list(encode_batches(read(), Upper(), processes=2, alone=alone))


def test_a_process_that_is_gone_is_an_error() -> None:
    with pytest.raises(TrainingError, match="ended with exit code 3"):
        list(encode_batches([*EXAMPLES, Example("last", "die")], Upper(), processes=2, alone=0))


def test_ctrl_c_ends_the_processes() -> None:
    done = encode_batches(iter(EXAMPLES), Upper(), processes=2, alone=0)
    next(done)
    assert len(psutil.Process().children()) == 2
    with pytest.raises(KeyboardInterrupt):
        done.throw(KeyboardInterrupt)  # type: ignore[attr-defined]
