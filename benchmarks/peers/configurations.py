"""Who is measured, and how set. It knows nothing about rows."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from benchmarks.peers.environments import ENVIRONMENTS, find_environment, list_versions, make_environment
from extune.recipe.sections import TrainingSection

EXTUNE = "extune"
# a switch while it is a bool, and one of several ways where it is more
_PACKING = get_args(TrainingSection.model_fields["packing"].annotation) or ("true", "false")


@dataclass(frozen=True)
class Configuration:
    """One way to train.

    Attributes:
        what: for the table.
        script: in this folder.
        environment: in `ENVIRONMENTS`; None: the Python that runs the benchmark.
        checkpointing: with gradient checkpointing; None: as the workload says. One that has it off is left out where the
            workload wants it.
        settings: for the script.
        overrides: of extune's recipe.
        same_order: its steps train the rows of extune's steps; else all rows in another order.
    """

    what: str
    script: str
    environment: str | None = None
    checkpointing: bool | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    same_order: bool = True

    @property
    def is_extune(self) -> bool:
        """Not a peer."""
        return self.script == "run_extune.py"

    def checkpoints(self, workload: bool) -> bool:
        """Whether it trains with gradient checkpointing on a workload that wants it or does not."""
        return workload if self.checkpointing is None else self.checkpointing

    def suits(self, checkpointing: bool) -> bool:
        """Whether it can train a workload that wants gradient checkpointing, or does not."""
        return not checkpointing or self.checkpointing is not False

    def find_python(self, cache: Path, *, make: bool) -> Path | None:
        """The Python that runs the script; where its environment is not there it is made, or None."""
        if self.environment is None:
            return Path(sys.executable)
        return make_environment(cache, self.environment) if make else find_environment(cache, self.environment)

    def list_versions(self, python: Path) -> dict[str, str]:
        """The versions that decide its speed."""
        return list_versions(python, ENVIRONMENTS[self.environment].package if self.environment else EXTUNE)


def _extune(what: str, *overrides: str, checkpointing: bool | None = None) -> Configuration:
    return Configuration(what, "run_extune.py", overrides=overrides, checkpointing=checkpointing)


CONFIGURATIONS: dict[str, Configuration] = {
    EXTUNE: _extune("extune"),
    "extune-compiled": _extune("extune, base.compile: true", "base.compile=true", checkpointing=False),
    **{f"extune-{one}": _extune(f"extune, training.packing: {one}", f"training.packing={one}") for one in _PACKING[1:]},
    "plain": Configuration("plain Trainer, padded batch", "run_plain.py"),
    "llamafactory": Configuration("LLaMA-Factory, as it comes", "run_llamafactory.py", "llamafactory", True),
    "llamafactory-off": Configuration("LLaMA-Factory, checkpointing off", "run_llamafactory.py", "llamafactory", False),
    "trl": Configuration("TRL, as it comes", "run_trl.py", "trl", True),
    "trl-off": Configuration("TRL, checkpointing off", "run_trl.py", "trl", False),
    "trl-packed": Configuration(
        "TRL, checkpointing off, packing", "run_trl.py", "trl", False, settings={"packing": True}, same_order=False
    ),
    "ms-swift": Configuration("ms-swift, as it comes", "run_swift.py", "ms-swift", True),
    "ms-swift-off": Configuration("ms-swift, checkpointing off", "run_swift.py", "ms-swift", False),
}
