"""A conversion is strict and atomic: every tensor accounted for, everything checked before writing, no half-done folder."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.models.legacy.made_checkpoints import (
    CONFIGS,
    HIDDEN,
    UNUSED,
    USER_DEFINED,
    make_tensors,
    sentencepiece_bytes,
    write_checkpoint,
    write_json,
    write_weights,
)

from extune.errors import ModelError
from extune.models.base_model import load_base, load_tokenizer
from extune.models.legacy import convert
from extune.models.legacy.convert import convert_base


def native_tensors(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "legacy", "qwen1")


def require_refusal(source: Path, match: str) -> ModelError:
    """Nothing may be left of a refused conversion."""
    before = sorted(source.parent.iterdir())
    with pytest.raises(ModelError, match=match) as caught:
        convert_base(source, source.parent / "out")
    assert sorted(source.parent.iterdir()) == before
    assert caught.value.where
    assert caught.value.expected
    assert caught.value.fix
    return caught.value


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("kind", ["bin", "safetensors"])
@pytest.mark.parametrize("family", CONFIGS)
def test_the_result_loads_without_foreign_code(family: str, kind: str, shards: int, tmp_path: Path) -> None:
    out = tmp_path / "native"
    conversion = convert_base(write_checkpoint(tmp_path / "legacy", family, kind=kind, shards=shards), out)
    tokenizer, model = load_tokenizer(out), load_base(out, "float32", "cpu")
    assert conversion.architecture == type(model).__name__
    assert conversion.tensors == len(model.state_dict())
    assert len(tokenizer) <= model.config.vocab_size
    assert len(list(out.glob("*.safetensors"))) == shards
    assert "auto_map" not in (out / "config.json").read_text(encoding="utf-8")
    note = json.loads((out / "conversion.json").read_text(encoding="utf-8"))
    assert note["family"] == family
    assert note["limits"]


def test_fused_rows_are_queries_keys_values_in_this_order(tmp_path: Path) -> None:
    for family, fused, layer in (
        ("qwen1", "transformer.h.1.attn.c_attn", "model.layers.1."),
        ("baichuan2", "model.layers.1.self_attn.W_pack", "model.layers.1."),
        ("chatglm3", "transformer.encoder.layers.1.self_attention.query_key_value", "model.layers.1."),
    ):
        convert_base(write_checkpoint(tmp_path / family, family), tmp_path / f"{family}-native")
        legacy, native = make_tensors(family), native_tensors(tmp_path / f"{family}-native")
        for kind in ("weight", "bias")[: 1 + (f"{fused}.bias" in legacy)]:
            parts = [native[f"{layer}self_attn.{part}_proj.{kind}"] for part in "qkv"]
            assert torch.equal(torch.cat(parts), legacy[f"{fused}.{kind}"])
            assert len(parts[0]) == HIDDEN


def test_the_dtype_is_that_of_the_tensors(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "legacy", "baichuan2")
    write_weights(source, {name: tensor.bfloat16() for name, tensor in make_tensors("baichuan2").items()})
    convert_base(source, tmp_path / "out")
    assert {tensor.dtype for tensor in native_tensors(tmp_path / "out").values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))["dtype"] == "bfloat16"


def test_a_unit_head_is_stored_divided_once(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "legacy", "baichuan2")
    convert_base(source, tmp_path / "once")
    head = native_tensors(tmp_path / "once")["lm_head.weight"]
    assert torch.allclose(head.norm(dim=1), torch.ones(len(head)), atol=1e-6)
    write_weights(source, make_tensors("baichuan2") | {"lm_head.weight": head})
    convert_base(source, tmp_path / "twice")
    assert torch.allclose(native_tensors(tmp_path / "twice")["lm_head.weight"], head, atol=1e-6)


def test_converting_again_gives_the_same_files(source: Path, tmp_path: Path) -> None:
    for out in ("one", "two"):
        convert_base(source, tmp_path / out)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "two").iterdir())
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def without(*names: str) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in make_tensors("qwen1").items() if name not in names}


WRONG_TENSORS: list[tuple[dict[str, torch.Tensor], str]] = [
    (without("lm_head.weight"), "1 missing: lm_head.weight"),
    (without("transformer.h.0.attn.c_attn.bias"), "3 missing: .*q_proj.bias"),
    (make_tensors("qwen1") | {"transformer.h.0.attn.c_attn.qweight": torch.zeros(2)}, "not part of Qwen-1: .*qweight"),
    (make_tensors("qwen1") | {"transformer.h.2.ln_1.weight": torch.zeros(HIDDEN)}, "too many: model.layers.2"),
    (make_tensors("qwen1") | {"transformer.visual.proj": torch.zeros(2)}, "not part of Qwen-1: transformer.visual.proj"),
    (make_tensors("qwen1") | {"lm_head.weight": torch.zeros(512, HIDDEN + 1)}, r"\[512, 17\] instead of \[512, 16\]"),
    (make_tensors("qwen1") | {"transformer.h.0.attn.c_attn.weight": torch.zeros(32, HIDDEN)}, "the config says 48 rows"),
    (make_tensors("qwen1") | {"lm_head.weight": torch.zeros(512, HIDDEN, dtype=torch.int8)}, "quantised"),
]  # fmt: skip


@pytest.mark.parametrize(("tensors", "reason"), WRONG_TENSORS)
def test_a_tensor_that_does_not_belong_is_refused(tensors: dict[str, torch.Tensor], reason: str, source: Path) -> None:
    write_weights(source, tensors)
    require_refusal(source, reason)


def test_a_tensor_that_is_stored_twice_is_refused(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "legacy", "qwen1", kind="safetensors")
    (source / "model.safetensors.index.json").unlink()
    save_file({"lm_head.weight": torch.zeros(512, HIDDEN)}, source / "model-extra.safetensors")
    require_refusal(source, "stored twice: lm_head.weight")


def test_shards_without_index_are_taken_as_they_are(source: Path, tmp_path: Path) -> None:
    (source / "pytorch_model.bin.index.json").unlink()
    convert_base(source, tmp_path / "out")
    (source / "pytorch_model-00002-of-00002.bin").unlink()
    with pytest.raises(ModelError, match="missing"):
        convert_base(source, tmp_path / "other")


def test_missing_and_damaged_files_are_named(source: Path) -> None:
    shard = source / "pytorch_model-00002-of-00002.bin"
    content = shard.read_bytes()
    for damaged in (content[: len(content) // 2], b"version https://git-lfs.github.com/spec/v1\n", b""):
        shard.write_bytes(damaged)
        assert require_refusal(source, "cannot be read").where == str(shard)
    shard.unlink()
    require_refusal(source, "1 of 2 weight files are missing: pytorch_model-00002-of-00002.bin")
    (source / "pytorch_model.bin.index.json").write_text("{}", encoding="utf-8")
    require_refusal(source, "no index")
    for path in source.glob("pytorch_model*"):
        path.unlink()
    require_refusal(source, "no weights")


def test_an_index_cannot_lead_out_of_the_folder(source: Path) -> None:
    outside = source.parent / "stranger.bin"
    torch.save({}, outside)
    write_json(source / "pytorch_model.bin.index.json", {"weight_map": {"lm_head.weight": "../stranger.bin"}})
    require_refusal(source, "weight files are missing")


class Payload:
    """A pickle that would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_that_runs_code_is_refused_and_not_run(source: Path) -> None:
    marker = source / "was-run"
    torch.save({"lm_head.weight": Payload(marker)}, source / "pytorch_model-00002-of-00002.bin")
    require_refusal(source, "cannot be read")
    assert not marker.exists()


def test_a_file_of_something_else_is_refused(source: Path) -> None:
    for content, reason in (([torch.zeros(1)], "a list"), ({"a": 1}, "'a' is a int")):
        torch.save(content, source / "pytorch_model-00002-of-00002.bin")
        require_refusal(source, reason)


def test_code_beside_the_weights_is_neither_run_nor_copied(source: Path, tmp_path: Path) -> None:
    (source / "configuration_qwen.py").write_text("raise SystemExit('run')", encoding="utf-8")
    convert_base(source, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.py"))


def test_files_of_old_pytorch_are_read(source: Path, tmp_path: Path) -> None:
    shard = source / "pytorch_model-00002-of-00002.bin"
    torch.save(torch.load(shard, weights_only=True), shard, _use_new_zipfile_serialization=False)
    convert_base(source, tmp_path / "out")
    assert torch.equal(native_tensors(tmp_path / "out")["lm_head.weight"], make_tensors("qwen1")["lm_head.weight"])


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError])
def test_an_interrupted_conversion_leaves_nothing(
    interruption: type[BaseException], source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Path] = []

    def save_once(tensors: dict[str, torch.Tensor], path: Path, **settings: Any) -> None:
        calls.append(path)
        if len(calls) > 1:
            raise interruption
        save_file(tensors, path, **settings)

    monkeypatch.setattr(convert, "save_file", save_once)
    with pytest.raises(interruption):
        convert_base(source, tmp_path / "out")
    assert len(calls) == 2
    assert sorted(tmp_path.iterdir()) == [source]


class TestTokenizers:
    """A tokenizer whose equality was not shown is refused."""

    def test_qwens_file_is_missing_or_damaged(self, source: Path) -> None:
        path = source / "qwen.tiktoken"
        content = path.read_bytes()
        lines = content.splitlines()
        orphan = base64.b64encode("芪黄".encode()) + b" %d" % len(lines)
        for damaged, reason in (
            (b"not base64!", "0 tokens are readable"),
            (b"\n".join(lines[1:]), "ranks are not"),
            (content + orphan, "not made of two earlier ones"),
        ):
            path.write_bytes(damaged)
            assert require_refusal(source, reason).where == str(path)
        path.unlink()
        require_refusal(source, "qwen.tiktoken is missing")

    @pytest.mark.parametrize(
        ("settings", "reason"),
        [
            ({"trainer": {3: 1}}, "model type 1"),
            ({"trainer": {35: 0}}, "no byte fallback"),
            ({"trainer": {24: 1}}, "treat_whitespace_as_suffix"),
            ({"normalizer": {2: b"map"}}, "precompiled_charsmap"),
            ({"normalizer": {4: 1}}, "remove_extra_whitespaces"),
            ({"normalizer": {5: 0}}, "escape_whitespaces"),
            ({"pieces": (("<sep>", 0.0, USER_DEFINED),)}, "dummy prefix together with user-defined"),
            ({"pieces": (("x", 0.0, UNUSED),)}, "unused pieces"),
            ({"pieces": (("a", 0.0, 1),)}, "twice"),
        ],
    )
    def test_settings_of_sentencepiece(self, settings: dict[str, Any], reason: str, tmp_path: Path) -> None:
        source = write_checkpoint(tmp_path / "legacy", "chatglm3")
        (source / "tokenizer.model").write_bytes(sentencepiece_bytes(dummy_prefix=True, **settings))
        require_refusal(source, reason)

    def test_sentencepiece_files_that_are_none(self, tmp_path: Path) -> None:
        source = write_checkpoint(tmp_path / "legacy", "chatglm3")
        content = (source / "tokenizer.model").read_bytes()
        for damaged in (b"version https://git-lfs.github.com/spec/v1\n", content[:-3], b"", b"\x0b\x0b"):
            (source / "tokenizer.model").write_bytes(damaged)
            require_refusal(source, "no sentencepiece model")
        (source / "tokenizer.model").unlink()
        require_refusal(source, "tokenizer.model is missing")

    def test_tokens_beyond_the_embedding(self, tmp_path: Path) -> None:
        extra = tuple((chr(0x4E00 + number), -9.0, 1) for number in range(300))
        source = write_checkpoint(tmp_path / "legacy", "chatglm3")
        (source / "tokenizer.model").write_bytes(sentencepiece_bytes(dummy_prefix=True, pieces=extra))
        require_refusal(source, "the tokenizer has 5.. tokens, the model 400")

    def test_added_tokens(self, source: Path, tmp_path: Path) -> None:
        write_json(source / "added_tokens.json", {"<|im_end|>": 263})
        convert_base(source, tmp_path / "out")
        write_json(source / "added_tokens.json", {"<drug>": 500})
        shutil.rmtree(tmp_path / "out")
        require_refusal(source, "1 added tokens.*<drug>")

    def test_role_tokens_of_another_tokenizer(self, tmp_path: Path) -> None:
        source = write_checkpoint(tmp_path / "legacy", "baichuan2")
        write_json(source / "generation_config.json", {"user_token_id": 195, "assistant_token_id": 196})
        require_refusal(source, "user_token_id is 195")


_MEASURE = """
import sys
from pathlib import Path
from extune.models.legacy import convert


def kilobytes(name):
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))


convert.convert_base(Path(sys.argv[1]), Path(sys.argv[2]))  # small: what the libraries need once
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
before = kilobytes("VmRSS")
convert.convert_base(Path(sys.argv[3]), Path(sys.argv[4]))
print((kilobytes("VmHWM") - before) * 1024)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc tells the peak memory on Linux only")
@pytest.mark.parametrize("kind", ["bin", "safetensors"])
def test_memory_stays_below_two_files(kind: str, tmp_path: Path) -> None:
    """Six files of 36 MB and two of 12: the process may grow by less than two of them, file pages included."""
    small = write_checkpoint(tmp_path / "small", "baichuan2", kind=kind)
    big = write_checkpoint(
        tmp_path / "big",
        "baichuan2",
        kind=kind,
        num_hidden_layers=6,
        hidden_size=512,
        intermediate_size=10240,
        vocab_size=6000,
    )
    for path in big.glob("*model*.*"):
        if path.name != "tokenizer.model":
            path.unlink()
    largest = write_layers(big, kind)
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, small, tmp_path / "a", big, tmp_path / "b"], capture_output=True, text=True, check=True
    )
    grown = int(done.stdout.split()[-1])
    assert grown < 2 * largest, (grown / largest, largest)


def write_layers(folder: Path, kind: str) -> int:
    """One file for each of 6 layers and 2 for the embeddings; returns the size of the largest."""
    hidden, ffn, vocabulary = 512, 10240, 6000
    groups = [
        {"model.embed_tokens.weight": torch.ones(vocabulary, hidden), "model.norm.weight": torch.ones(hidden)},
        {"lm_head.weight": torch.ones(vocabulary, hidden)},
    ]
    for layer in range(6):
        at = f"model.layers.{layer}."
        groups.append(
            {
                **{f"{at}{name}.weight": torch.ones(hidden) for name in ("input_layernorm", "post_attention_layernorm")},
                f"{at}self_attn.W_pack.weight": torch.ones(3 * hidden, hidden),
                f"{at}self_attn.o_proj.weight": torch.ones(hidden, hidden),
                f"{at}mlp.gate_proj.weight": torch.ones(ffn, hidden, dtype=torch.float16),
                f"{at}mlp.up_proj.weight": torch.ones(ffn, hidden, dtype=torch.float16),
                f"{at}mlp.down_proj.weight": torch.ones(hidden, ffn, dtype=torch.float16),
            }
        )
    stem = "pytorch_model" if kind == "bin" else "model"
    files = [folder / f"{stem}-{number:05d}-of-00008.{kind}" for number in range(1, 9)]
    for file, group in zip(files, groups, strict=True):
        torch.save(group, file) if kind == "bin" else save_file(group, file)
    return max(file.stat().st_size for file in files)
