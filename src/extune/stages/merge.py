"""`extune merge`: a run with an adapter becomes a run with whole weights, once both are shown to do the same.

In: a run. Out: `variants/merged/`, a run of its own whose `model/` loads in plain transformers. The files are compared as they
were written, before they take their place.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import yaml
from transformers import PreTrainedTokenizerBase

from extune.data.splits import find_split, read_split
from extune.domain.example import Example
from extune.errors import ModelError, RecipeError, RunError
from extune.files import atomic_folder, write_json, write_text
from extune.models.base_model import choose_device
from extune.models.checkpoint import (
    hash_weights,
    load_run_tokenizer,
    load_weights,
    save_tokenizer,
    save_weights,
)
from extune.models.merge import (
    MOST_DIFFERENCE,
    SHARE_OF_EFFECT,
    Agreement,
    compare_logits,
    last_logits,
    merge_weights,
    require_mergeable,
)
from extune.predicting.open import build_encoder, build_predictor
from extune.predicting.snippet import write_snippet
from extune.recipe.hub_name import parse_hub_model
from extune.runs.contract import Contract, write_contract
from extune.runs.manifest import installed_version, now
from extune.runs.run_dir import RunDir
from extune.tokens.encode import Encoder

_COMPARED = 8
_MADE = ("黄芪30克，补气固表，每日一剂，连服七天。", "On 3 May she took 20 mg of aspirin for a headache.", "无")


@dataclass(frozen=True)
class MergedRun:
    """What was written and how it was checked.

    Attributes:
        examples: whose predictions are equal.
        made: True where they are made sentences, because the recipe's dev file is not here.
    """

    run: RunDir
    dtype: str
    agreement: Agreement
    examples: int
    made: bool


def merge(
    run: RunDir | Path | str, out: Path | str | None = None, *, dtype: str | None = None, device: str | None = None
) -> MergedRun:
    """Merge the adapter of a run into its base.

    Args:
        run: a finished run of `lora`, `qlora` or `ia3`.
        out: the new run; None: `variants/merged` inside `run`.
        dtype: of the merged weights; None takes the run's own.
        device: None takes the fastest one here.

    Raises:
        RunError: the run cannot be merged, or `out` exists.
        ModelError: the merged weights answer differently; nothing is written then.
    """
    source = run if isinstance(run, RunDir) else RunDir(Path(run))
    contract = source.contract()
    require_mergeable(source.path, contract)
    place = RunDir(Path(out)) if out is not None else RunDir(source.path / "variants" / "merged")
    _require_free(place.path)
    kind, chosen = _choose_kind(dtype, contract), choose_device(device)
    tokenizer = load_run_tokenizer(source.path, contract)
    examples, made = _choose_examples(source, build_encoder(tokenizer, contract))
    check = _Check(tokenizer, contract, examples, source.path, chosen)
    with atomic_folder(place.path) as folder:
        save_weights(merge_weights(source.path, contract, kind, chosen), folder)
        save_tokenizer(tokenizer, folder)
        merged = contract.model_copy(
            update={
                "weights": "model",
                "weights_hash": hash_weights(folder, "model"),
                "dtype": kind,
                "quantization": None,
                "extune_version": installed_version("extune") or contract.extune_version,
            }
        )
        agreement = check.require_same(folder, merged)
        if source.recipe_file.is_file():
            shutil.copyfile(source.recipe_file, folder / source.recipe_file.name)
        origin = {"merged_from": contract.weights_hash, "finished": now(), "dtype": kind}
        write_json(folder / "manifest.json", origin | {"check": asdict(agreement), "examples": len(examples), "made": made})
        _write_card(folder, merged, tokenizer)
        write_contract(folder, merged)
    return MergedRun(place, kind, agreement, len(examples), made)


class _Check:
    """What the unmerged run answers, kept to compare with; the model itself is let go, so that one fits in memory."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, contract: Contract, examples: Sequence[Example], run: Path, device: str
    ) -> None:
        self._tokenizer, self._examples, self._device = tokenizer, examples, device
        self._contract = contract
        model = load_weights(run, contract, device)
        predictor = build_predictor(model, tokenizer, contract)
        self._prompts = [prompt.ids for example in examples for prompt in predictor.encoder.encode_prompts(example)]
        self._predictions = list(predictor.predict_many(examples))
        self._logits = last_logits(model, self._prompts)
        self._bare = last_logits(model, self._prompts, bare=True)

    def require_same(self, folder: Path, merged: Contract) -> Agreement:
        """Raise a ModelError where the merged run in `folder` does not answer as the unmerged one does."""
        model = load_weights(folder, merged, self._device)
        logits = last_logits(model, self._prompts)
        agreement = compare_logits(logits, self._logits, self._bare, (merged.dtype, self._contract.dtype))
        if not agreement.holds:
            raise self._differs(
                f"its logits differ by {agreement.difference:.2g} (relative)",
                f"at most {agreement.tolerance:g}, and {SHARE_OF_EFFECT:g} of the adapter's effect of {agreement.effect:.2g}",
            )
        predictions = list(build_predictor(model, self._tokenizer, merged).predict_many(self._examples))
        differing = [now.example_id for now, then in zip(predictions, self._predictions, strict=True) if now != then]
        if differing:
            raise self._differs(
                f"{len(differing)} of {len(self._examples)} predictions differ, the first is of example {differing[0]!r}",
                "equal predictions",
            )
        return agreement

    @staticmethod
    def _differs(what: str, expected: str) -> ModelError:
        return ModelError(
            f"the merged model is not the run's: {what}", where="merge", expected=expected, fix="--dtype float32 rounds least"
        )


def _choose_examples(run: RunDir, encoder: Encoder) -> tuple[tuple[Example, ...], bool]:
    """The first dev examples of the recipe that fit, or, and then True, made sentences where their file is not here."""
    if run.recipe_file.is_file():
        recipe = run.recipe()
        path = find_split(recipe.data, "dev")
        if path is not None and path.is_file():
            fitting = (one for one in read_split(recipe.data, "dev", recipe.task).examples if encoder.encode_prompts(one))
            if chosen := tuple(islice(fitting, _COMPARED)):
                return chosen, False
    return tuple(Example(f"made-{number}", text) for number, text in enumerate(_MADE, 1)), True


def _choose_kind(dtype: str | None, contract: Contract) -> str:
    kind = contract.dtype if dtype is None else dtype
    if kind not in MOST_DIFFERENCE:
        raise RecipeError(
            f"unknown dtype {kind!r}", where="--dtype", expected="one of " + ", ".join(MOST_DIFFERENCE), fix="--dtype float32"
        )
    return kind


def _write_card(folder: Path, contract: Contract, tokenizer: PreTrainedTokenizerBase) -> None:
    """What the weights are and how plain transformers asks them, beside them: `model/README.md`."""
    base = parse_hub_model(contract.base)
    about = {"library_name": "transformers", "tags": ["extune", contract.task.kind]}
    about |= {"base_model": base.repository} if base is not None else {}
    try:
        use = "```python\n" + write_snippet(tokenizer, contract, "..") + "```\n"
    except RunError as error:
        use = f"With extune only: the run {error.what}.\n"
    names = ", ".join(contract.task.names)
    write_text(
        folder / "model" / "README.md",
        f"---\n{yaml.safe_dump(about, allow_unicode=True)}---\n\n# {contract.name}\n\n"
        f"`{contract.base}` with a trained adapter in its weights ({contract.dtype}), by extune {contract.extune_version}."
        f"\n\n* task: {contract.task.kind}" + (f" of {names}" if names else "") + "\n"
        f"* answers: format `{contract.format}`, at most {contract.max_answer_tokens} tokens; prompts at most "
        f"{contract.max_input_tokens}\n* scores: in the reports of the run; the licence is that of the base\n\n{use}",
    )


def _require_free(place: Path) -> None:
    if place.exists():
        raise RunError(
            "exists already",
            where=str(place),
            expected="a directory that does not exist yet",
            fix="--out DIR makes another, or remove it first",
        )
