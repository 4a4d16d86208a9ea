"""What cannot be carried into a GGUF file exactly, said in one way."""

from __future__ import annotations

from importlib.util import find_spec

from extune.errors import ModelError, RecipeError

_ELSEWHERE = "`model/` of a run with whole weights loads in transformers and `vllm serve` as it is; see docs/leaving.md"


def refuse(what: str, *, where: str, expected: str) -> ModelError:
    """An error that says what stands in the way and what works instead."""
    return ModelError(f"cannot be written as GGUF: {what}", where=where, expected=expected, fix=_ELSEWHERE)


def require_gguf() -> None:
    """Raise a RecipeError that names the install command where the package `gguf` is absent."""
    if find_spec("gguf") is None:
        raise RecipeError(
            "gguf is not installed", where="--to", expected="the extra `gguf` of extune", fix='pip install "extune[gguf]"'
        )
