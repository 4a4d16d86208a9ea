"""What stands in the file is the model, as the format's own reader and that of transformers find it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import ContractMaker
from tests.models.gguf.made_tokenizers import pieces
from tests.models.tiny_bases import FAMILIES as TINY
from tests.models.tiny_bases import SMALL
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from extune.errors import ModelError, RecipeError
from extune.models.gguf import refusal
from extune.models.gguf.architecture import FAMILIES, read_architecture
from extune.models.gguf.file import interleave, write_gguf
from extune.models.gguf.vocabulary import read_vocabulary

gguf = pytest.importorskip("gguf", reason="the extra gguf is not installed")

ROWS = 400
ROPE = {"rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 64}
LLAMA3 = {"rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0}


def build_config(family: str, **changes: Any) -> PretrainedConfig:
    entries = SMALL | {"sliding_window": None, "vocab_size": ROWS} | TINY[family] | changes
    return AutoConfig.for_model(**{key: value for key, value in entries.items() if value is not None or key != "head_dim"})


def build_model(config: PretrainedConfig) -> PreTrainedModel:
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # so large that attention and norms tell positions and rows apart
            parameter.normal_(float(parameter.dim() == 1), 0.3)
    return model


@pytest.fixture
def write(make_contract: ContractMaker, tmp_path: Path) -> Any:
    tokenizer = pieces("replaced")

    def write_one(model: PreTrainedModel, dtype: str = "float32", name: str = "model.gguf", **changes: Any) -> Path:
        architecture = read_architecture(model.config, 512, "here")
        vocabulary = read_vocabulary(tokenizer, architecture.rows, "", "<TEXT>")
        path = tmp_path / name
        write_gguf(path, model, tokenizer, make_contract(**changes), (architecture, vocabulary), dtype)
        return path

    return write_one


def read_values(path: Path) -> dict[str, Any]:
    return {name: field.contents() for name, field in gguf.GGUFReader(path).fields.items()}


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    return {
        one.name: torch.from_numpy(gguf.quants.dequantize(one.data, one.tensor_type).copy())
        for one in gguf.GGUFReader(path).tensors
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_another_reader_finds_the_same_model(family: str, write: Any) -> None:
    qwen3 = {"tie_word_embeddings": True, "head_dim": 128}  # transformers reads no other size of a head for this family
    model = build_model(build_config(family, **(qwen3 if family == "qwen3" else {})))
    path = write(model)
    found = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()
    ids = torch.arange(300, 360)[None]
    with torch.no_grad():
        expected, logits = model(input_ids=ids).logits, found(input_ids=ids).logits
    assert (logits - expected).norm() <= 1e-5 * expected.norm()


@pytest.mark.parametrize("family", FAMILIES)
def test_shape_and_special_tokens(family: str, write: Any, make_contract: ContractMaker) -> None:
    config = build_config(family)
    path = write(build_model(config), stop_token_ids=(2, 0))
    values, name = read_values(path), FAMILIES[family].name
    head_size = config.hidden_size // config.num_attention_heads
    assert values["general.architecture"] == name
    assert {key.removeprefix(name + "."): value for key, value in values.items() if key.startswith(name + ".")} == {
        "context_length": 1024, "embedding_length": 32, "block_count": 2, "feed_forward_length": 48, "vocab_size": ROWS,
        "attention.head_count": 4, "attention.head_count_kv": 2, "attention.key_length": head_size,
        "attention.value_length": head_size, "attention.layer_norm_rms_epsilon": pytest.approx(config.rms_norm_eps),
        "rope.dimension_count": head_size, "rope.freq_base": config.rope_parameters["rope_theta"],
    }  # fmt: skip
    assert values["tokenizer.chat_template"] == make_contract().chat_template
    special = {key.removeprefix("tokenizer.ggml."): value for key, value in values.items() if key.endswith("token_id")}
    assert special == {"eos_token_id": 2, "eot_token_id": 0, "padding_token_id": 1}
    assert (values["tokenizer.ggml.add_bos_token"], values["tokenizer.ggml.add_eos_token"]) == (False, False)
    assert {len(values[f"tokenizer.ggml.{part}"]) for part in ("tokens", "token_type", "scores")} == {ROWS}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_matrices_are_rounded_once_and_vectors_never(dtype: str, write: Any) -> None:
    model = build_model(build_config("qwen3"))
    tensors = read_tensors(write(model, dtype))
    matrix, norm = model.model.layers[1].mlp.down_proj.weight, model.model.layers[1].self_attn.q_norm.weight
    assert torch.equal(tensors["blk.1.ffn_down.weight"], matrix.to(getattr(torch, dtype)).float())
    assert torch.equal(tensors["blk.1.attn_q_norm.weight"], norm)
    assert len(tensors) == len(model.state_dict())


def test_a_tied_head_is_written_once(write: Any) -> None:
    tied, apart = (
        read_tensors(write(build_model(build_config("qwen3", tie_word_embeddings=tie)), name=f"{tie}.gguf"))
        for tie in (True, False)
    )
    assert apart.keys() - tied.keys() == {"output.weight"}


def test_the_same_model_gives_the_same_bytes(write: Any) -> None:
    model = build_model(build_config("llama"))
    assert write(model, name="a.gguf").read_bytes() == write(model, name="b.gguf").read_bytes()


def test_rotating_neighbours_of_interleaved_rows_is_rotating_halves_of_the_original() -> None:
    heads, size, width = 3, 8, 5
    torch.manual_seed(1)
    queries, keys, states = torch.randn(heads * size, width), torch.randn(heads * size, width), torch.randn(2, width)
    angles = torch.randn(2, size // 2)

    def rotate(rows: torch.Tensor, at: int, neighbours: bool) -> torch.Tensor:
        halves = (rows @ states[at]).view(heads, size // 2, 2) if neighbours else (rows @ states[at]).view(heads, 2, -1).mT
        first, second = halves.unbind(-1)
        cos, sin = angles[at].cos(), angles[at].sin()
        return torch.stack((first * cos - second * sin, first * sin + second * cos), -1).flatten(1)

    expected = (rotate(queries, 0, False) * rotate(keys, 1, False)).sum(-1)
    found = rotate(interleave(queries, heads), 0, True) * rotate(interleave(keys, heads), 1, True)
    assert torch.allclose(found.sum(-1), expected, atol=1e-5)
    bias = torch.arange(heads * size)
    assert interleave(bias, heads)[:4].tolist() == [0, size // 2, 1, size // 2 + 1]


def test_biases_of_llama_are_permuted_with_their_rows(write: Any) -> None:
    model = build_model(build_config("llama", attention_bias=True))
    tensors = read_tensors(write(model))
    layer = model.model.layers[0].self_attn.k_proj
    assert torch.equal(tensors["blk.0.attn_k.bias"], interleave(layer.bias, 2))
    assert torch.equal(tensors["blk.0.attn_k.weight"], interleave(layer.weight, 2))
    assert torch.equal(tensors["blk.0.attn_v.bias"], model.model.layers[0].self_attn.v_proj.bias)


def test_scaled_positions(write: Any) -> None:
    linear = read_values(write(build_model(build_config("llama", rope_parameters={"rope_type": "linear"} | ROPE))))
    assert (linear["llama.rope.scaling.type"], linear["llama.rope.scaling.factor"]) == ("linear", 4.0)
    yarn = read_values(write(build_model(build_config("qwen2", rope_parameters={"rope_type": "yarn"} | ROPE)), name="y.gguf"))
    assert (yarn["qwen2.rope.scaling.type"], yarn["qwen2.rope.scaling.original_context_length"]) == ("yarn", 64)
    model = build_model(build_config("llama", head_dim=16, rope_parameters=LLAMA3 | ROPE))
    factors = read_tensors(write(model, name="l.gguf"))["rope_freqs.weight"]
    plain = 1.0 / 10000.0 ** (torch.arange(0, 16, 2) / 16)
    assert torch.allclose(plain / factors, model.model.rotary_emb.inv_freq)
    assert factors[0] == 1
    assert factors[-1] == 4


def test_a_window_bounds_the_context() -> None:
    config = build_config("mistral", sliding_window=600)
    assert read_architecture(config, 600, "here").context == 600
    with pytest.raises(ModelError, match="see 600 tokens"):
        read_architecture(config, 601, "here")
    qwen = build_config("qwen2", sliding_window=600, use_sliding_window=True, max_window_layers=1)
    assert read_architecture(qwen, 600, "here").context == 600
    assert read_architecture(build_config("qwen2", sliding_window=600, use_sliding_window=False), 601, "here").context == 1024


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "family": ("phi3", {}, "architecture 'phi3'"),
    "quantised": ("qwen2", {"quantization_config": {"quant_method": "awq", "bits": 4}}, "quantised already"),
    "activation": ("llama", {"hidden_act": "gelu"}, "hidden_act 'gelu'"),
    "dynamic scaling": ("llama", {"rope_parameters": {"rope_type": "dynamic"} | ROPE}, "rotary scaling 'dynamic'"),
    "a yarn of its own": ("qwen3", {"rope_parameters": {"rope_type": "yarn", "beta_fast": 16.0} | ROPE}, "with beta_fast"),
    "half-rotated heads": (
        "llama",
        {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}},
        "partial_rotary_factor",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_llama_cpp_would_compute_otherwise_is_refused(case: str) -> None:
    family, changes, reason = REFUSED[case]
    with pytest.raises(ModelError, match=reason) as caught:
        read_architecture(build_config(family, **changes), 512, "here")
    assert "cannot be written as GGUF" in caught.value.what
    assert caught.value.fix


def test_tensors_numbers_and_stop_tokens_without_a_place_are_refused(write: Any) -> None:
    with pytest.raises(ModelError, match=r"layers\.0\.self_attn\.q_proj\.bias"):
        write(build_model(build_config("qwen3", attention_bias=True)))
    with pytest.raises(ModelError, match=r"mlp\.gate_proj\.bias"):
        write(build_model(build_config("llama", mlp_bias=True)))
    model = build_model(build_config("qwen2"))
    with pytest.raises(ModelError, match="4 stop tokens"):
        write(model, stop_token_ids=(2, 1, 0, 5))
    model.model.layers[0].mlp.up_proj.weight.data[0, 0] = 1e6
    with pytest.raises(ModelError, match="beyond torch"):
        write(model, "float16")


def test_the_missing_package_is_named_with_its_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusal, "find_spec", lambda _: None)
    with pytest.raises(RecipeError, match=r"extune\[gguf\]"):
        refusal.require_gguf()
