"""Names of models on a hub: `hf:ORG/NAME` and `modelscope:ORG/NAME`. In: `base.model`. Out: hub and repository, or nothing."""

from __future__ import annotations

import re
from typing import NamedTuple

_PREFIXES = ("hf:", "modelscope:")
_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_NAME = re.compile(rf"(hf|modelscope):({_PART}/{_PART})")


class HubModel(NamedTuple):
    """A model of a hub; `hub` is `hf` or `modelscope`, `repository` is `ORG/NAME`."""

    hub: str
    repository: str

    def __str__(self) -> str:
        """As in a recipe."""
        return f"{self.hub}:{self.repository}"


def parse_hub_model(value: str) -> HubModel | None:
    """Hub and repository, or None where `value` is no hub's name.

    Raises:
        ValueError: it begins like a hub's name and does not go on like one.
    """
    if not value.startswith(_PREFIXES):
        return None
    match = _NAME.fullmatch(value)
    if match is None:
        revision = "; the revision stands in base.revision" if "@" in value else ""
        raise ValueError(f"base.model: {value!r} is not hf:ORG/NAME or modelscope:ORG/NAME{revision}")
    return HubModel(*match.groups())
