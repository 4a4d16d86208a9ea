"""What a training tells other tools: TensorBoard, W&B, SwanLab and MLflow, through transformers' own callbacks.

In: the section `tracking` and the run directory. Out: callbacks, of which none can stop a training. What they are given is
the Trainer's log (loss, learning rate, dev scores, speeds), its arguments and the model's configuration: never a text.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from extune.errors import RecipeError
from extune.recipe.sections import TrackingSection

_LOG = logging.getLogger(__name__)


class Tracker(TrainerCallback):  # type: ignore[misc]
    """A tracker that is opened when training begins, and left alone after its first failure, which is reported.

    Args:
        name: as in `tracking.report_to`.
        start: opens it and returns transformers' callback for it; called in the first process only.
        finish: closes what `start` opened, also after an error of the training.
    """

    def __init__(self, name: str, start: Callable[[], TrainerCallback], finish: Callable[[], object]) -> None:
        self.name, self._start, self._finish = name, start, finish
        self.inner: TrainerCallback | None = None

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        """Open the tracker."""
        if state.is_world_process_zero and (inner := self._guarded(self._start)) is not None:
            self.inner = inner
            self._guarded(lambda: inner.on_train_begin(args, state, control, **given))

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        """Pass on what was measured."""
        inner = self.inner
        if inner is not None:
            self._guarded(lambda: inner.on_log(args, state, control, **given))

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        """Let the tracker add what it adds at the end."""
        inner = self.inner
        if inner is not None:
            self._guarded(lambda: inner.on_train_end(args, state, control, **given))

    def close(self) -> None:
        """Close the tracker if it is still open; after this it does nothing."""
        if self.inner is not None:
            self._guarded(self._finish)
        self.inner = None

    def _guarded(self, call: Callable[[], Any]) -> Any:
        """What the call returns; None, a report and no further calls where it fails, whatever a foreign library raises."""
        try:
            return call()
        except Exception as error:
            self.inner = None
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            _LOG.warning("tracking.report_to: %s failed and is left out of this training: %s", self.name, reason)
            return None


def require_trackers(section: TrackingSection) -> None:
    """Raise a RecipeError where a tracker is not installed, before anything is read or trained."""
    for name in section.report_to:
        if find_spec(name) is None:
            raise RecipeError(
                f"{name} is not installed",
                where="tracking.report_to",
                expected=f"the package {name}",
                fix=f"pip install {name}, or leave {name} out: log.jsonl and curves.svg are written in any case",
            )


def build_trackers(section: TrackingSection, run: Path, run_name: str) -> list[Tracker]:
    """A callback for each tracker, none of them opened yet.

    Args:
        section: from the recipe.
        run: the run directory; what trackers keep on this machine lies in `tracking/` there.
        run_name: where the section names none.
    """
    builders = {"tensorboard": _tensorboard, "wandb": _wandb, "swanlab": _swanlab, "mlflow": _mlflow}
    name = section.run_name or run_name
    return [builders[tracker](section, run / "tracking" / tracker, name) for tracker in section.report_to]


def _tensorboard(_section: TrackingSection, folder: Path, _name: str) -> Tracker:
    opened: list[Any] = []

    def start() -> TrainerCallback:
        from torch.utils.tensorboard import SummaryWriter
        from transformers.integrations import TensorBoardCallback

        opened.append(SummaryWriter(str(folder)))
        return TensorBoardCallback(opened[0])

    def finish() -> None:
        opened[0].close()

    return Tracker("tensorboard", start, finish)


def _wandb(section: TrackingSection, folder: Path, name: str) -> Tracker:
    def start() -> TrainerCallback:
        from transformers.integrations import WandbCallback

        folder.mkdir(parents=True, exist_ok=True)
        wandb = import_module("wandb")
        wandb.init(
            project=section.project,
            name=name,
            dir=str(folder),
            mode="offline" if section.offline else "online",
            settings=wandb.Settings(console="off", disable_code=True, disable_git=True, save_code=False, silent=True),
        )
        return WandbCallback()

    return Tracker("wandb", start, lambda: import_module("wandb").finish())


def _swanlab(section: TrackingSection, folder: Path, name: str) -> Tracker:
    def start() -> TrainerCallback:
        from transformers.integrations import SwanLabCallback

        folder.mkdir(parents=True, exist_ok=True)
        swanlab = import_module("swanlab")
        mode = "offline" if section.offline else "online"
        swanlab.init(project=section.project, name=name, log_dir=str(folder), mode=mode)
        return SwanLabCallback()

    return Tracker("swanlab", start, lambda: import_module("swanlab").finish())


def _mlflow(section: TrackingSection, folder: Path, name: str) -> Tracker:
    def start() -> TrainerCallback:
        from transformers.integrations import MLflowCallback

        mlflow = import_module("mlflow")
        if section.offline:
            folder.mkdir(parents=True, exist_ok=True)
            mlflow.set_tracking_uri(f"sqlite:///{folder.resolve() / 'mlflow.db'}")
            if mlflow.get_experiment_by_name(section.project) is None:
                mlflow.create_experiment(section.project, (folder / "artifacts").resolve().as_uri())
        mlflow.set_experiment(section.project)
        mlflow.start_run(run_name=name)
        return MLflowCallback()

    return Tracker("mlflow", start, lambda: import_module("mlflow").end_run())
