"""`calibration.json`: how a run's confidences are corrected, and what was measured when that was found out.

In: a run directory. Out: the calibration of its predictor. It changes no answer, only confidences, and belongs to one contract:
weights that were trained again are calibrated again.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from extune.errors import RunError
from extune.evaluation.calibration import Calibrator, RiskPoint, Selection
from extune.files import hash_file, write_json
from extune.predicting.predictor import Predictor
from extune.runs.run_dir import read_json

CALIBRATION = "calibration.json"
_VERSION = 1
_SAMPLING = ("temperature", "top_p", "repetition_penalty")


class Calibration(BaseModel):
    """What `extune calibrate` found.

    Attributes:
        contract_hash: SHA-256 of the `contract.json` that it was found with.
        engine, decoding: that produced the predictions; others have confidences of their own.
        file, file_hash: of the dev split.
        seed: of the halves.
        fitted, held: items of the half that the calibrator was fitted on, and of the other.
        before, after: reliability of raw and of calibrated confidences, on the held half.
        curve: risk over coverage, on the held half.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = _VERSION
    extune_version: str
    contract_hash: str
    engine: str
    decoding: dict[str, Any]
    file: str
    file_hash: str
    seed: int
    fitted: int
    held: int
    calibrator: Calibrator
    selection: Selection
    before: dict[str, Any]
    after: dict[str, Any]
    curve: tuple[RiskPoint, ...]

    def fits(self, predictor: Predictor) -> bool:
        """Whether the predictor's answers come about as those that were calibrated."""
        options = predictor.options.to_json()
        same = all(self.decoding.get(name) == options[name] for name in _SAMPLING)
        return same and predictor.engine.name == self.engine

    def apply_to(self, predictor: Predictor) -> Predictor:
        """The predictor with calibrated confidences, or as it is where they were found with another engine or decoding."""
        return replace(predictor, calibrate=self.calibrator) if self.fits(predictor) else predictor


def write_calibration(run: Path, calibration: Calibration) -> None:
    """Write `run/calibration.json` atomically."""
    write_json(run / CALIBRATION, calibration.model_dump(mode="json"))


def hash_contract(run: Path) -> str:
    """What a calibration of this run belongs to."""
    return hash_file(run / "contract.json")


def read_calibration(run: Path) -> Calibration | None:
    """The run's calibration, or None where it was never calibrated.

    Raises:
        RunError: the file is corrupted, or belongs to another contract.
    """
    path = run / CALIBRATION
    if not path.is_file():
        return None
    try:
        calibration = Calibration.model_validate(read_json(path))
    except ValidationError as error:
        raise RunError(
            f"cannot be read: {str(error).splitlines()[0]}",
            where=str(path),
            expected=f"a calibration of version {_VERSION}",
            fix=f"extune calibrate {run}",
        ) from None
    found = hash_contract(run)
    if calibration.contract_hash != found:
        raise RunError(
            f"belongs to contract {calibration.contract_hash[:12]}, the run has contract {found[:12]}",
            where=str(path),
            expected="a calibration of this run's weights and contract",
            fix=f"extune calibrate {run} writes it anew, or remove the file: confidences are raw then",
        )
    return calibration
