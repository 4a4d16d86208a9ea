"""extune: labelled text in, a fine-tuned extractor with an honest score out.

The public names, resolved when first used: importing extune loads neither torch nor transformers.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from extune.data.examples import read_examples as read_examples
    from extune.domain.annotation import Answer as Answer
    from extune.domain.annotation import Extraction as Extraction
    from extune.domain.annotation import Fields as Fields
    from extune.domain.annotation import Labels as Labels
    from extune.domain.annotation import Mention as Mention
    from extune.domain.annotation import Span as Span
    from extune.domain.example import Example as Example
    from extune.domain.prediction import Prediction as Prediction
    from extune.domain.prediction import Problem as Problem
    from extune.engines.engine import DecodingOptions as DecodingOptions
    from extune.errors import ExtuneError as ExtuneError
    from extune.predicting.open import load_predictor as load_predictor
    from extune.predicting.predictor import Predictor as Predictor
    from extune.recipe.load import dump_recipe as dump_recipe
    from extune.recipe.load import load_recipe as load_recipe
    from extune.recipe.sections import Recipe as Recipe
    from extune.runs.run_dir import RunDir as RunDir
    from extune.stages.check import check as check
    from extune.stages.evaluate import evaluate as evaluate
    from extune.stages.train import train as train

_HOMES = {
    "Answer": "domain.annotation",
    "DecodingOptions": "engines.engine",
    "Example": "domain.example",
    "Extraction": "domain.annotation",
    "ExtuneError": "errors",
    "Fields": "domain.annotation",
    "Labels": "domain.annotation",
    "Mention": "domain.annotation",
    "Prediction": "domain.prediction",
    "Predictor": "predicting.predictor",
    "Problem": "domain.prediction",
    "Recipe": "recipe.sections",
    "RunDir": "runs.run_dir",
    "Span": "domain.annotation",
    "check": "stages.check",
    "dump_recipe": "recipe.load",
    "evaluate": "stages.evaluate",
    "load_predictor": "predicting.open",
    "load_recipe": "recipe.load",
    "read_examples": "data.examples",
    "train": "stages.train",
}

try:
    __version__ = version("extune")
except PackageNotFoundError:  # run from a source folder that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__", *sorted(_HOMES)]  # noqa: PLE0604  (all of them are strings)


def __getattr__(name: str) -> Any:
    """Import a public name from its room."""
    if name not in _HOMES:
        raise AttributeError(f"module 'extune' has no attribute {name!r}")
    return getattr(import_module(f"extune.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
