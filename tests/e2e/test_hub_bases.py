"""A recipe whose base is on a hub: trained, resumed and predicted, with the hub there and gone. Against loopback only."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.models.hub.hub_server import Files, HubServer, commit_of, serve_hub
from tests.models.legacy.made_checkpoints import write_checkpoint
from tests.models.tiny_bases import build_base

from extune.errors import ModelError, RecipeError
from extune.models.base_model import hash_base, resolve_base
from extune.runs.contract import read_contract

MODEL = "someone/Tiny"
SHORT = ("adapter.r=4", "training.max_steps=2", "prompt.max_input_tokens=512")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test may write into the user's own cache."""
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    return tmp_path / "home"


def read_files(folder: Path, **changes: Any) -> Files:
    """What a hub would hold of a folder; `changes` replace entries of its config.json."""
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    return files | {"config.json": json.dumps(json.loads(files["config.json"]) | changes).encode()}


def test_a_run_of_a_hub_s_base_needs_the_hub_once(
    extune: Callable[..., Any], recipe_file: Path, tmp_path: Path, home: Path
) -> None:
    files, run = read_files(build_base(tmp_path / "made", "qwen3")), tmp_path / "run"
    with serve_hub(HubServer({MODEL: {"v1": files}})) as server:
        words = ("train", recipe_file, f"base.model=hf:{MODEL}", "base.revision=v1", f"base.endpoint={server.url}")
        done = extune(*words, "selection.metric=loss", *SHORT, "--out", run)
        assert done.code == 0, done.err
    contract = read_contract(run)
    assert (contract.base, contract.base_revision, contract.base_endpoint) == (f"hf:{MODEL}", commit_of(files), server.url)
    assert f"revision: {commit_of(files)}" in (run / "recipe.yaml").read_text(encoding="utf-8")
    peft = json.loads((run / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    assert (peft["base_model_name_or_path"], peft["revision"]) == (MODEL, commit_of(files))
    asked = len(server.asked)
    done = extune("predict", run, "--text", "患者头痛3日，服黄芪。")  # nobody listens any more
    assert done.code == 0, done.err
    assert len(server.asked) == asked
    with serve_hub(HubServer({MODEL: {"v1": {**files, "README.md": b"later"}}})) as server:
        moved = (*words[:-1], f"base.endpoint={server.url}")
        done = extune(*moved, "selection.metric=loss", *SHORT, "--out", run, "--resume")
    assert done.code == 2
    assert f"base.revision: '{commit_of(files)}' -> " in done.err
    shutil.rmtree(home)
    done = extune("predict", run, "--text", "患者头痛3日，服黄芪。")
    assert (done.code, "cannot be reached" in done.err) == (1, True)


@pytest.mark.parametrize(("hub", "kind"), [("hf", "safetensors"), ("modelscope", "bin")])
def test_a_legacy_checkpoint_of_a_hub_is_converted_once(hub: str, kind: str, tmp_path: Path, home: Path) -> None:
    source = write_checkpoint(tmp_path / "made", "qwen1", kind=kind)
    with serve_hub(HubServer({"Qwen/Qwen-tiny": {"v1": {**read_files(source), "modeling_qwen.py": b"boom"}}})) as server:
        native = resolve_base(f"{hub}:Qwen/Qwen-tiny", None, server.url)
        assert native.name.startswith("Qwen-tiny-")
        assert not list(home.rglob("*.py"))
        assert resolve_base(f"{hub}:Qwen/Qwen-tiny", None, server.url) == native
        assert len(server.asked) == len(list(source.iterdir()))
    assert hash_base(native) == hash_base(resolve_base(str(source)))


@pytest.mark.parametrize(
    ("changes", "files", "reason"),
    [
        ({"auto_map": {"AutoModel": "modeling.Model"}}, None, "auto_map asks for Python code"),
        ({"model_type": "baichuan", "hidden_size": 5120, "num_attention_heads": 40}, None, "ALiBi"),
        ({}, {"pytorch_model.bin": b"pickle"}, r"no safetensors files, found pytorch_model\.bin"),
    ],
)
def test_what_cannot_be_a_base_is_refused_before_its_weights(changes: dict[str, Any], files: Files | None, reason: str) -> None:
    held = {"config.json": json.dumps({"model_type": "llama"} | changes).encode()} | dict(files or {"model.safetensors": b"x"})
    with serve_hub(HubServer({MODEL: {"v1": held}})) as server, pytest.raises(ModelError, match=reason):
        resolve_base(f"hf:{MODEL}", None, server.url)
    assert {asked.name for asked in server.asked} == {"config.json"}


def test_a_name_that_looks_like_a_hub_s() -> None:
    with pytest.raises(RecipeError) as caught:
        resolve_base("Qwen/Qwen2-7B")
    assert caught.value.fix == "base.model=hf:Qwen/Qwen2-7B"
    with pytest.raises(RecipeError, match="not hf:ORG/NAME"):
        resolve_base("hf:Qwen")
