"""`contract.json`: all that inference obeys. Written by training, read by every engine, changed by no flag."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from extune.domain.task import Task
from extune.errors import RunError
from extune.files import write_json
from extune.prompts.user_template import PromptTemplate

CONTRACT_VERSION = 1


class Quantization(BaseModel):
    """How a base is held in 4 bits.

    Attributes:
        double: the scales are quantised too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["nf4", "fp4"]
    double: bool


class Lookup(BaseModel):
    """Strings of the training data that prompts show where a text contains them.

    Attributes:
        types: of an extraction, the type of each string.
        strings: of a record, those of each list.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    types: dict[str, str] = {}
    strings: dict[str, tuple[str, ...]] = {}


class Contract(BaseModel):
    """Everything between a text and its prediction.

    Attributes:
        format_version, prompt_version: of the code that rendered the training data; other versions are refused.
        template: the user's own arrangement of the prompt; None: extune's.
        lookup: what prompts say about strings of their text; None: nothing.
        chat_template: the Jinja text that training used, so that a later change of the tokenizer's cannot matter.
        max_input_tokens, max_answer_tokens: budgets in tokens.
        on_too_long, window_overlap: what happens to a text beyond the budget; overlap in characters.
        min_confidence: items of which the model is less sure are left out; raw, so that a later calibration changes no answer.
        stop_token_ids: the ids that end an answer; the first is the one that was trained.
        base: as in the recipe; base_hash: SHA-256 over its weight files and config.
        base_revision: of a hub's model, the commit; None for others.
        base_endpoint: the mirror that a hub's model came from; None: the hub.
        tokenizer_hash: SHA-256 of the tokenizer's files.
        dtype: of the base's weights; where it is quantised, of the computation.
        quantization: of the base while training and predicting; None where it is whole.
        weights: `adapter` (PEFT folder beside this file), `model` (full weights beside this file) or `base` (untrained).
        weights_hash: SHA-256 over the trained weight files; empty where `weights` is `base`.
        continued_from: `weights_hash` of the run whose weights this training began with; empty where it began anew.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    contract_version: int = CONTRACT_VERSION
    extune_version: str
    name: str
    task: Task
    format: str
    format_version: int
    prompt_version: int
    language: str
    template: PromptTemplate | None = None
    lookup: Lookup | None = None
    chat_template: str
    max_input_tokens: int
    max_answer_tokens: int
    on_too_long: str
    window_overlap: int
    constrain: bool
    min_confidence: float = 0.0
    stop_token_ids: tuple[int, ...]
    base: str
    base_revision: str | None = None
    base_endpoint: str | None = None
    base_hash: str
    tokenizer_hash: str
    dtype: str
    quantization: Quantization | None = None
    weights: str
    weights_hash: str = ""
    continued_from: str = ""


def write_contract(run: Path, contract: Contract) -> None:
    """Write `run/contract.json` atomically."""
    write_json(run / "contract.json", contract.model_dump(mode="json"))


def read_contract(run: Path) -> Contract:
    """Read and check `run/contract.json`.

    Raises:
        RunError: missing, not JSON, a missing or unknown key, or written by a newer extune.
    """
    path = run / "contract.json"
    if not path.is_file():
        raise RunError(
            "contract.json is missing" if run.is_dir() else "no such run directory",
            where=str(run),
            expected="a run directory made by `extune train`",
            fix="check the path, or train again",
        )
    try:
        return Contract.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise RunError(
            f"cannot be read: {first}",
            where=str(path),
            expected=f"a contract of version {CONTRACT_VERSION}",
            fix="copy the file again from the original run, or train again",
        ) from None
