"""What the backward pass of one pack keeps: an upper estimate. In: shapes of a model and a pack. Out: bytes.

The counting follows Korthikanti et al. 2022 (arXiv:2205.05198, section 4.1) for a decoder layer with RMSNorm (computed in
float32), rotary positions, a gated MLP and attention that keeps no matrix of weights. T tokens of the pack, h hidden, a heads
of width d, i the MLP's width, w bytes of an element. It knows nothing about weights and optimizers.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PackShape:
    """Rows that are computed together.

    Attributes:
        rows: B.
        prefix: P, tokens that all rows share and that are computed once; 0 where nothing is shared.
        longest: tokens of the longest row, shared ones included.
        targets: N, positions whose logits are computed, of all rows.
        shared: whether rests stand behind each other after one prefix; else rows are padded to the longest.
    """

    rows: int
    prefix: int
    longest: int
    targets: int
    shared: bool

    @property
    def rest(self) -> int:
        """Tokens of the longest row behind the prefix."""
        return self.longest - self.prefix

    @property
    def tokens(self) -> int:
        """T, where all rows are as long as the longest."""
        return self.prefix + self.rows * self.rest if self.shared else self.rows * self.longest


@dataclass(frozen=True)
class TrainedShape:
    """What the memory of activations depends on.

    Attributes:
        mlp: width of the gated layer.
        adapter_bytes: that an adapter keeps per token and layer.
        virtual: learned tokens before every prompt.
        width: bytes of an element in the matrix products: 2 with bfloat16, 4 without.
        checkpointed: only each layer's input is kept, and one layer at a time is computed again.
        prefix_cache: the learned tokens are keys and values; else they are embeddings that run through the model.
        whole: the model's own weights are trained, its norms included.
    """

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp: int
    vocabulary: int
    adapter_bytes: float
    virtual: int
    width: int
    checkpointed: bool
    prefix_cache: bool
    whole: bool


def activation_bytes(shape: TrainedShape, pack: PackShape) -> int:
    """Everything but the logits.

    A layer keeps, per token: the inputs of both norms in float32 and their outputs, 2 (4 + w) h, and 2 * 4 h more where the
    norms are trained; in the MLP both branches, the activated branch and the product, 4 i w; what an adapter keeps, and the
    attention (`_attention_bytes`). With gradient checkpointing (Chen et al. 2016, arXiv:1604.06174) it is w h a layer, and all
    of it for one layer.
    """
    tokens = pack.tokens
    if not shape.prefix_cache:
        tokens += pack.rows * shape.virtual
    norm = 4 + shape.width + (4 if shape.whole else 0)
    per_token = 2 * norm * shape.hidden + 4 * shape.width * shape.mlp + shape.adapter_bytes
    layer = tokens * per_token + _attention_bytes(shape, pack, tokens)
    residual = shape.width * shape.hidden * tokens
    layers = shape.layers * residual + layer if shape.checkpointed else shape.layers * layer
    mask = 0 if pack.shared else shape.width * pack.rows * (pack.longest + shape.virtual) ** 2
    embeddings = (norm + shape.width) * shape.hidden * tokens  # embedded once, normed once at the end
    return int(layers + mask + embeddings + _cache_bytes(shape, pack))


def _attention_bytes(shape: TrainedShape, pack: PackShape, tokens: int) -> float:
    """Queries, keys and values repeated to all heads, output and its copy: 5 a d w a token, and 4 a for the normalisers.

    In a pack every row's line has its queries and outputs, padded to the longest rest, and keys and values of its own for
    learned tokens, prefix and rest: 2 B R a d w and 2 B (V + P + R) a d w more.
    """
    element = shape.width * shape.heads * shape.head_dim
    own = tokens * (5 * element + 4 * shape.heads)
    if not pack.shared:
        return own + 2 * element * pack.rows * shape.virtual
    lines = pack.rows * pack.rest
    keys = pack.rows * (shape.virtual + pack.prefix + pack.rest)
    return own + element * (2 * lines + 2 * keys) + 4 * shape.heads * lines + 2 * element * shape.virtual


def _cache_bytes(shape: TrainedShape, pack: PackShape) -> int:
    """The learned keys and values themselves, in float32 and as the layers take them."""
    if not shape.prefix_cache:
        return 0
    copies = 1 if pack.shared else pack.rows
    return 2 * shape.layers * shape.virtual * shape.kv_heads * shape.head_dim * (4 + shape.width * copies)


def logit_bytes(shape: TrainedShape, pack: PackShape) -> int:
    """The logits, their float32 copy, its log-softmax and the gradients of both, 2 w + 12 bytes each, and the head's input.

    Packs compute logits at the N positions that predict a target; padded batches at every position, of which the targets are
    picked afterwards.
    """
    chosen = pack.targets * shape.vocabulary * (2 * shape.width + 12)
    hidden = (4 + shape.width) * shape.hidden
    if pack.shared:
        return chosen + pack.targets * hidden
    return chosen + pack.rows * (pack.longest + shape.virtual) * (2 * shape.width * shape.vocabulary + hidden)
