"""Weights quantised by llm-compressor, in a process of another environment.

In: a model folder, rows of token ids, a method. Out: a folder of compressed-tensors. It knows nothing about runs and text.
llm-compressor asks for other versions of torch and transformers than extune, so only files pass between the two.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from extune.errors import ModelError, RecipeError
from extune.models.base_model import require_safetensors
from extune.models.quantize import COMPRESSED_TENSORS, stored_quantization

_SCRIPT = Path(__file__).with_name("compress_script.py")
_TESTED = "0.12.0.2"
_INSTALL = (
    f"python3 -m venv .venv-compress && .venv-compress/bin/pip install llmcompressor=={_TESTED}, then "
    "--python .venv-compress/bin/python (without a GPU: see docs/quantize.md); or --method nf4, which needs none of it"
)
_ASK_VERSION = "from importlib.metadata import version; print(version('llmcompressor'))"


@dataclass(frozen=True)
class Compressor:
    """A Python that has llm-compressor, and which release."""

    python: str
    version: str


def find_compressor(python: Path | str | None) -> Compressor:
    """The interpreter that quantises; None: extune's own, where it has llm-compressor.

    Raises:
        RecipeError: there is no such interpreter, or no llm-compressor in it.
    """
    if python is None and find_spec("llmcompressor") is None:
        raise RecipeError(
            "llm-compressor is not in extune's environment",
            where="--python",
            expected="the interpreter of an environment that has it",
            fix=_INSTALL,
        )
    chosen = sys.executable if python is None else str(python)
    try:
        done = _run(chosen, "-c", _ASK_VERSION)
    except OSError as error:
        raise RecipeError(
            f"{chosen!r} cannot be run: {error.strerror}",
            where="--python",
            expected="a Python interpreter, such as .venv-compress/bin/python",
            fix=_INSTALL,
        ) from error
    if done.returncode or not done.stdout.strip():
        raise RecipeError(
            f"there is no llm-compressor in the environment of {chosen}: {_last_line(done.stderr)}",
            where="--python",
            expected="an environment with the package llmcompressor",
            fix=_INSTALL,
        )
    return Compressor(chosen, done.stdout.strip())


@dataclass(frozen=True)
class Job:
    """What is to be quantised.

    Attributes:
        model: folder in Hugging Face layout, tokenizer included.
        rows: token ids, prompts with their answers, that ranges and errors are measured on.
        method: `awq`, `gptq` or `int8`.
        dtype: of everything that stays whole, of scales and of the computation.
    """

    model: Path
    rows: Sequence[Sequence[int]]
    method: str
    dtype: str


def compress(compressor: Compressor, job: Job, out: Path, log: Path) -> dict[str, Any]:
    """Write the quantised model into `out` and return what the script says of it: group size and versions.

    Args:
        compressor: from `find_compressor`.
        job: what is to be done.
        out: a folder that does not exist yet.
        log: what llm-compressor prints; it stays where something goes wrong.

    Raises:
        ModelError: llm-compressor failed, or wrote something else than compressed-tensors.
    """
    with TemporaryDirectory() as name:
        rows, report = Path(name) / "rows.jsonl", Path(name) / "report.json"
        rows.write_text("".join(json.dumps(list(ids)) + "\n" for ids in job.rows), encoding="utf-8")
        told = {"model": job.model, "rows": rows, "method": job.method, "dtype": job.dtype, "out": out, "report": report}
        done = _run(
            compressor.python, str(_SCRIPT), *(word for key, value in told.items() for word in (f"--{key}", str(value)))
        )
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(done.stdout + done.stderr, encoding="utf-8")
        if done.returncode:
            raise _failed(f"ended with code {done.returncode}: {_last_line(done.stderr)}", compressor, job, log)
        if not report.is_file():
            raise _failed("wrote no report", compressor, job, log)
        said: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    require_safetensors(out)
    stored = stored_quantization(out)
    if stored != COMPRESSED_TENSORS:
        raise _failed(f"wrote weights of kind {stored or 'whole'!r}", compressor, job, log)
    return said


def _run(python: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Isolated: neither the folder of the script nor this process's PYTHONPATH decides what it imports."""
    return subprocess.run([python, "-I", *words], capture_output=True, encoding="utf-8", errors="replace", check=False)


def _failed(what: str, compressor: Compressor, job: Job, log: Path) -> ModelError:
    other = "gptq" if job.method == "awq" else "nf4"
    fix = f"read {log}; --method {other} goes another way"
    if "pin_memory" in what or "accelerator" in what:
        fix = f"AWQ of llm-compressor 0.13 and later wants a GPU: install llmcompressor=={_TESTED} there, or --method gptq"
    return ModelError(
        f"llm-compressor {compressor.version} {what}",
        where=f"--method {job.method}",
        expected=f"a folder of compressed-tensors, as release {_TESTED} writes it",
        fix=fix,
    )


def _last_line(text: str) -> str:
    return (text.strip() or "nothing was printed").splitlines()[-1][:200]
