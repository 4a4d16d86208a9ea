"""Stands in for the Python of an environment with llm-compressor: same command line, same files, weights rounded to 8 bits.

Run as a program it does as it is told: works, doubles (its scales are off by two), fails, pins, silent (no report), whole.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

VERSION = "0.0-fake"
WEIGHTS = {"num_bits": 8, "type": "int", "symmetric": True, "dynamic": False, "strategy": "channel"}
CONFIG = {
    "quant_method": "compressed-tensors",
    "format": "int-quantized",
    "quantization_status": "compressed",
    "ignore": ["lm_head"],
    "config_groups": {"group_0": {"targets": ["Linear"], "weights": WEIGHTS, "format": "int-quantized"}},
}


def install(folder: Path, does: str = "works") -> Path:
    """An interpreter, as far as `models/compress.py` can see."""
    if sys.platform == "win32":
        import pytest  # not for the program, which starts often

        pytest.skip("the fake interpreter is a shell script")
    path = folder / f"python-that-{does}"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" {does} "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return path


def round_rows(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Whole numbers and one scale a row."""
    scale = np.abs(weight).max(axis=1, keepdims=True) / 127
    return np.round(weight / scale).astype(np.int8), scale.astype(np.float32)


def main(does: str, words: list[str]) -> int:
    assert words.pop(0) == "-I"
    if words.pop(0) == "-c":
        print(VERSION)  # noqa: T201
        return 0
    parser = argparse.ArgumentParser()
    for option in ("model", "rows", "method", "dtype", "out", "report"):
        parser.add_argument(f"--{option}", required=True)
    asked = parser.parse_args(words)
    if does in ("fails", "pins"):
        said = "no layers" if does == "fails" else "Cannot access accelerator device when none is available."
        print(f"calibrating\nRuntimeError: {said}", file=sys.stderr)  # noqa: T201
        return 1
    model, out = Path(asked.model), Path(asked.out)
    shutil.copytree(model, out)
    if does != "whole":
        compress(out, 2.0 if does == "doubles" else 1.0)
    if does != "silent":
        rows = [json.loads(line) for line in Path(asked.rows).read_text(encoding="utf-8").splitlines()]
        report = {"seen": rows, "method_asked": asked.method, "versions": {"llmcompressor": VERSION}}
        Path(asked.report).write_text(json.dumps(report), encoding="utf-8")
    return 0


def compress(folder: Path, factor: float) -> None:
    path = folder / "model.safetensors"
    tensors = {}
    for name, weight in load_file(path).items():
        if name.endswith("_proj.weight"):
            numbers, scale = round_rows(weight)
            tensors |= {name: numbers, name + "_scale": factor * scale}
        else:
            tensors[name] = weight
    save_file(tensors, path, metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": CONFIG}), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
