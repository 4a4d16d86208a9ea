"""`extune export`: a run for other programs. In: a run. Out: a program as text, or a folder with the weights as GGUF."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from extune.errors import ModelError, RecipeError, RunError
from extune.files import atomic_folder, write_json, write_text
from extune.models.base_config import find_config
from extune.models.checkpoint import load_run_tokenizer, load_weights
from extune.models.gguf.architecture import Architecture, read_architecture
from extune.models.gguf.file import write_gguf
from extune.models.gguf.refusal import require_gguf
from extune.models.gguf.vocabulary import Vocabulary, read_vocabulary
from extune.models.merge import MOST_DIFFERENCE, require_mergeable
from extune.predicting.exported_prompt import (
    describe_prompt,
    request_llama_server,
    request_ollama,
    stop_texts,
    write_modelfile,
)
from extune.predicting.prompt_layout import PromptLayout, render_layout
from extune.predicting.snippet import write_snippet
from extune.runs.contract import Contract
from extune.runs.run_dir import RunDir, read_json

FOLDERS = ("gguf", "ollama")
TARGETS = ("snippet", *FOLDERS)
_WEIGHTS = "model.gguf"


@dataclass(frozen=True)
class ExportedFolder:
    """What was written.

    Attributes:
        path: the folder.
        dtype: of the matrices in the file.
        bytes: size of the GGUF file.
        limits: what the file does not do as the run's tokenizer does, one sentence each.
    """

    path: Path
    dtype: str
    bytes: int
    limits: tuple[str, ...]


def require_target(to: str) -> None:
    """Raise a RecipeError where `to` is none of `TARGETS`."""
    if to not in TARGETS:
        raise RecipeError(
            f"unknown target {to!r}", where="--to", expected="one of " + ", ".join(TARGETS), fix=f"--to {TARGETS[0]}"
        )


def export_snippet(run: Path) -> str:
    """A program for transformers (and peft) that asks the model as extune does.

    Args:
        run: finished; a path of the program's own is as this one.

    Raises:
        RunError: the run cannot be used in this way, or is not whole.
    """
    contract = RunDir(run).contract()
    return write_snippet(load_run_tokenizer(run, contract), contract, str(run))


def export_folder(
    run: Path, to: str, merge: Callable[[Path], RunDir], *, out: Path | None = None, dtype: str | None = None
) -> ExportedFolder:
    """Write the weights of a run as GGUF, with what asks them as extune does.

    Args:
        run: finished.
        to: `gguf`: the weights, `prompt.json`, and `request.json` for llama.cpp's server; `ollama`: the same with a request for
            Ollama, and `Modelfile`.
        merge: makes a run with whole weights of one with an adapter, inside `run`; called where that is not there yet, after
            everything that does not need weights has been checked.
        out: the new folder; None: `exports/<to>` inside `run`.
        dtype: of the matrices in the file; None takes the run's own.

    Raises:
        RecipeError: an unknown `dtype`, or the package `gguf` is not installed.
        RunError: the run is not whole, cannot be merged or has no single prompt; `out` exists.
        ModelError: llama.cpp, or Ollama, would compute or cut something else.
    """
    contract = RunDir(run).contract()
    kind = _choose_kind(dtype, contract)
    require_gguf()
    place = out if out is not None else run / "exports" / to
    if place.exists():
        raise RunError(
            "exists already", where=str(place), expected="a folder that does not exist yet", fix="--out DIR, or remove it first"
        )
    tokenizer = load_run_tokenizer(run, contract)
    layout = render_layout(tokenizer, contract, str(run))
    shape = _read_shape(run, contract, tokenizer, layout)
    if to == "ollama":
        _require_ollama(*shape)
    source = run if contract.weights == "model" else _find_merged(run, contract, merge)
    with atomic_folder(place) as folder:
        model = load_weights(source, RunDir(source).contract(), "cpu")
        write_gguf(folder / _WEIGHTS, model, tokenizer, contract, shape, kind)
        write_json(folder / "prompt.json", describe_prompt(tokenizer, contract, layout, shape[1].limits))
        stops = stop_texts(tokenizer, contract)
        if to == "ollama":
            write_text(folder / "Modelfile", write_modelfile(contract, layout, stops, _WEIGHTS))
        request = request_ollama if to == "ollama" else request_llama_server
        write_json(folder / "request.json", request(contract, layout, stops))
    return ExportedFolder(place, kind, (place / _WEIGHTS).stat().st_size, shape[1].limits)


def _read_shape(
    run: Path, contract: Contract, tokenizer: PreTrainedTokenizerBase, layout: PromptLayout
) -> tuple[Architecture, Vocabulary]:
    """Of the weights that the file will hold; an adapter changes neither its base's shape nor its vocabulary."""
    if contract.weights == "adapter":
        require_mergeable(run, contract)
        found = find_config(contract.base, contract.base_revision)
    else:
        found = find_config(str(run / "model"))
    needed = contract.max_input_tokens + contract.max_answer_tokens
    architecture = read_architecture(found.config, needed, str(run))
    return architecture, read_vocabulary(tokenizer, architecture.rows, layout.prompt, layout.mark)


def _require_ollama(architecture: Architecture, vocabulary: Vocabulary) -> None:
    """Ollama runs files of the architecture qwen3 in an engine of its own, which knows one vocabulary and no rotary scaling."""
    if architecture.family.name == "qwen3" and (vocabulary.cut != "qwen2" or architecture.scaling is not None):
        scales = "Ollama's engine for qwen3 ignores rotary scaling, which this model has"
        cuts = "Ollama's engine for qwen3 cuts every text as Qwen's tokenizer does, which is not this model's"
        raise ModelError(
            f"cannot be written for Ollama: {scales if vocabulary.cut == 'qwen2' else cuts}",
            where="--to ollama",
            expected="a Qwen3 base with its own tokenizer, or a base of another architecture",
            fix="--to gguf: llama.cpp and programs that run it (llama-server, LM Studio) read this model exactly",
        )


def _find_merged(run: Path, contract: Contract, merge: Callable[[Path], RunDir]) -> Path:
    merged = RunDir(run / "variants" / "merged")
    if not merged.path.exists():
        return merge(run).path
    if read_json(merged.manifest_file).get("merged_from") != contract.weights_hash:
        raise RunError(
            "was not merged from the adapter that this run holds now",
            where=str(merged.path),
            expected="weights of this adapter",
            fix=f"remove it and merge again: extune merge {run}",
        )
    return merged.path


def _choose_kind(dtype: str | None, contract: Contract) -> str:
    kind = contract.dtype if dtype is None else dtype
    if kind not in MOST_DIFFERENCE:
        raise RecipeError(
            f"unknown dtype {kind!r}", where="--dtype", expected="one of " + ", ".join(MOST_DIFFERENCE), fix="--dtype float16"
        )
    return kind
