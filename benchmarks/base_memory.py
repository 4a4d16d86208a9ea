"""Memory of published bases, computed from their `config.json`: `python -m benchmarks.base_memory` writes the tables.

In: the shapes below. Out: the blocks `<!-- memory -->`, `<!-- cards -->` and `<!-- shapes -->` of the pages, where the formulas
stand too. It measures nothing, and knows nothing about activations but what gradient checkpointing keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.pages import read_page, replace_block, write_pages

PAGES = ("docs/choosing-a-base.md", "docs/choosing-a-base.zh-CN.md")
RANK = 16
_NF4_BITS = 4 + 8 / 64 + 32 / (64 * 256)  # a weight, its share of an 8-bit scale per 64, and of a 32-bit one per 256 scales
_TRAINED_BYTES = 16  # float32 weight and gradient, two float32 moments of AdamW
_BF16_BYTES = 2
_CARDS = (8, 12, 16, 24, 40)
_FOR_ACTIVATIONS = 4  # GiB of a card
_GIB = 2**30


@dataclass(frozen=True)
class Shape:
    """Sizes of a Llama-like decoder, as its `config.json` says.

    Attributes:
        layers, hidden, mlp: `num_hidden_layers`, `hidden_size`, `intermediate_size`.
        heads, kv_heads, head_size: of the attention.
        vocabulary: rows of the embeddings.
        tied: the layer that writes logits is the embeddings.
        qkv_bias: query, key and value have biases.
        head_norms: queries and keys are normalised by head (Qwen3).
        fused_mlp: gate and up are one linear layer (GLM), which LoRA updates as one.
    """

    name: str
    layers: int
    hidden: int
    mlp: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    tied: bool = False
    qkv_bias: bool = False
    head_norms: bool = False
    fused_mlp: bool = False

    @property
    def linear(self) -> int:
        """Weights of all linear layers but the one that writes logits: what is held in 4 bits."""
        attention = 2 * self.hidden * self.head_size * (self.heads + self.kv_heads)
        return self.layers * (attention + 3 * self.hidden * self.mlp)

    @property
    def parameters(self) -> int:
        """All of them."""
        biases = self.head_size * (self.heads + 2 * self.kv_heads) if self.qkv_bias else 0
        norms = 2 * self.hidden + (2 * self.head_size if self.head_norms else 0)
        embeddings = self.vocabulary * self.hidden * (1 if self.tied else 2)
        return embeddings + self.linear + self.layers * (biases + norms) + self.hidden

    def lora(self, rank: int) -> int:
        """Parameters of LoRA on all linear layers."""
        width, cache = self.heads * self.head_size, self.kv_heads * self.head_size
        attention = 2 * (self.hidden + width) + 2 * (self.hidden + cache)
        mlp = 2 * self.hidden + 3 * self.mlp if self.fused_mlp else 3 * (self.hidden + self.mlp)
        return rank * self.layers * (attention + mlp)

    @property
    def bf16_bytes(self) -> int:
        """Weights in bfloat16."""
        return _BF16_BYTES * self.parameters

    @property
    def nf4_bytes(self) -> float:
        """Weights with the linear layers in nf4 with double quantisation, all else in bfloat16."""
        return self.linear * _NF4_BITS / 8 + _BF16_BYTES * (self.parameters - self.linear)

    @property
    def lora_floor(self) -> int:
        """Weights in bfloat16 and a LoRA of rank `RANK` in training."""
        return self.bf16_bytes + _TRAINED_BYTES * self.lora(RANK)

    @property
    def qlora_floor(self) -> float:
        """The same with nf4."""
        return self.nf4_bytes + _TRAINED_BYTES * self.lora(RANK)

    @property
    def cache_bytes(self) -> int:
        """Keys and values of one token in bfloat16."""
        return 2 * _BF16_BYTES * self.layers * self.kv_heads * self.head_size

    @property
    def checkpoint_bytes(self) -> int:
        """What gradient checkpointing keeps of one token: the input of each layer, in bfloat16."""
        return _BF16_BYTES * self.layers * self.hidden


# As published, read in stored copies of each `config.json` (Qwen2.5, Qwen3, Llama, Mistral also in litgpt's list of configs).
SHAPES = (
    Shape("Qwen3-0.6B", 28, 1024, 3072, 16, 8, 128, 151936, tied=True, head_norms=True),
    Shape("Qwen3-1.7B", 28, 2048, 6144, 16, 8, 128, 151936, tied=True, head_norms=True),
    Shape("Qwen3-4B", 36, 2560, 9728, 32, 8, 128, 151936, tied=True, head_norms=True),
    Shape("Qwen3-8B", 36, 4096, 12288, 32, 8, 128, 151936, head_norms=True),
    Shape("Qwen3-14B", 40, 5120, 17408, 40, 8, 128, 151936, head_norms=True),
    Shape("Qwen2.5-0.5B", 24, 896, 4864, 14, 2, 64, 151936, tied=True, qkv_bias=True),
    Shape("Qwen2.5-1.5B", 28, 1536, 8960, 12, 2, 128, 151936, tied=True, qkv_bias=True),
    Shape("Qwen2.5-7B", 28, 3584, 18944, 28, 4, 128, 152064, qkv_bias=True),
    Shape("Qwen2.5-14B", 48, 5120, 13824, 40, 8, 128, 152064, qkv_bias=True),
    Shape("Qwen1.5-0.5B", 24, 1024, 2816, 16, 16, 64, 151936, tied=True, qkv_bias=True),
    Shape("Qwen1.5-7B", 32, 4096, 11008, 32, 32, 128, 151936, qkv_bias=True),
    Shape("Llama-3.2-1B", 16, 2048, 8192, 32, 8, 64, 128256, tied=True),
    Shape("Llama-3.2-3B", 28, 3072, 8192, 24, 8, 128, 128256, tied=True),
    Shape("Llama-3.1-8B", 32, 4096, 14336, 32, 8, 128, 128256),
    Shape("Mistral-7B-v0.3", 32, 4096, 14336, 32, 8, 128, 32768),
    Shape("Yi-1.5-6B", 32, 4096, 11008, 32, 4, 128, 64000),
    Shape("Yi-1.5-9B", 48, 4096, 11008, 32, 4, 128, 64000),
    Shape("GLM-4-9B-Chat-HF", 40, 4096, 13696, 32, 2, 128, 151552, qkv_bias=True, fused_mlp=True),
    Shape("ChatGLM3-6B", 28, 4096, 13696, 32, 2, 128, 65024, qkv_bias=True, fused_mlp=True),
    Shape("Qwen-1.8B", 24, 2048, 5504, 16, 16, 128, 151936, qkv_bias=True),
    Shape("Baichuan-7B", 32, 4096, 11008, 32, 32, 128, 64000),
    Shape("Baichuan2-7B", 32, 4096, 11008, 32, 32, 128, 125696),
)

_HEADS: dict[str, dict[str, Sequence[str]]] = {
    "docs/choosing-a-base.md": {
        "cards": ("card", "`lora`", "`qlora`"),
        "shapes": ("base", "L", "h", "f", "a / k × d", "V", "parameters"),
        "memory": ("base", "bf16", "nf4", "adapter", "`lora`", "`qlora`", "`full`", "per token kept", "per token cached"),
    },
    "docs/choosing-a-base.zh-CN.md": {
        "cards": ("显存", "`lora`", "`qlora`"),
        "shapes": ("底座", "L", "h", "f", "a / k × d", "V", "参数量"),
        "memory": ("底座", "bf16", "nf4", "适配器", "`lora`", "`qlora`", "`full`", "每词元保留", "每词元缓存"),
    },
}


def _shape_row(shape: Shape) -> tuple[str, ...]:
    heads = f"{shape.heads} / {shape.kv_heads} × {shape.head_size}"
    sizes = (shape.layers, shape.hidden, shape.mlp, heads, shape.vocabulary)
    return (shape.name, *map(str, sizes), f"{shape.parameters:,}")


def _memory_row(shape: Shape) -> tuple[str, ...]:
    trained, whole = _TRAINED_BYTES * shape.lora(RANK), _TRAINED_BYTES * shape.parameters
    sizes = (shape.bf16_bytes, shape.nf4_bytes, trained, shape.lora_floor, shape.qlora_floor, whole)
    per_token = (shape.checkpoint_bytes, shape.cache_bytes)
    return (shape.name, *(f"{size / _GIB:.1f}" for size in sizes), *(f"{size / 2**10:.0f} KiB" for size in per_token))


def _card_row(card: int) -> tuple[str, ...]:
    """The base with the highest floor that leaves room for activations; those with lower floors fit too."""
    cells = []
    for floor_of in (lambda shape: shape.lora_floor, lambda shape: shape.qlora_floor):
        floors = [(floor_of(shape), shape.name) for shape in SHAPES]
        floor, name = max(pair for pair in floors if pair[0] <= (card - _FOR_ACTIVATIONS) * _GIB)
        cells.append(f"{name} ({floor / _GIB:.1f})")
    return (f"{card} GiB", *cells)


def _rows(block: str) -> list[tuple[str, ...]]:
    if block == "cards":
        return [_card_row(card) for card in _CARDS]
    return [(_shape_row if block == "shapes" else _memory_row)(shape) for shape in SHAPES]


def render_table(page: str, block: str) -> str:
    """One block of a page as Markdown."""
    head = _HEADS[page][block]
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in _rows(block))]) + "\n"


def update(page: str) -> tuple[str, str]:
    """The page's text as it is and as it should be."""
    before = after = read_page(page)
    for block in _HEADS[page]:
        after = replace_block(after, block, partial(render_table, page, block))
    return before, after


def main() -> None:
    """Rewrite the pages, or with `--check` fail where one is out of date."""
    write_pages(__doc__, "benchmarks.base_memory", PAGES, update)


if __name__ == "__main__":
    main()
