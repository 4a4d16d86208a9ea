"""llama.cpp, as the package `cyllama` brings it, computing in float32: ids of a text, logits, greedy answers."""

from __future__ import annotations

from pathlib import Path

import numpy
import torch


class Loaded:
    """A GGUF file in llama.cpp."""

    def __init__(self, path: Path, context: int = 1024) -> None:
        """Read the file.

        Args:
            path: of the file.
            context: positions to keep.
        """
        from cyllama.llama import llama_cpp

        class Model(llama_cpp.LlamaModel):  # the package's own accessor of logits asks its model for this name
            @property
            def n_vocab(self) -> int:
                return int(self.get_vocab().n_vocab)

        parameters, sizes = llama_cpp.LlamaModelParams(), llama_cpp.LlamaContextParams()
        parameters.n_gpu_layers, sizes.flash_attn_type, sizes.type_k, sizes.type_v = 0, 0, 0, 0
        sizes.n_ctx = sizes.n_batch = sizes.n_ubatch = context
        sizes.n_threads = sizes.n_threads_batch = 1
        self._batch = llama_cpp.llama_batch_get_one
        self._model = Model(str(path), parameters)
        self.vocabulary = self._model.get_vocab()
        self._context = llama_cpp.LlamaContext(self._model, sizes)

    def cut(self, text: str) -> list[int]:
        """Ids of a prompt; special tokens in it are read as such."""
        return list(self.vocabulary.tokenize(text, add_special=True, parse_special=True))

    def logits(self, ids: list[int], past: int = 0) -> torch.Tensor:
        """Logits behind the last of `ids`, which stand behind `past` tokens that were given before."""
        if past == 0:
            self._context.kv_cache_clear(True)
        self._context.decode(self._batch(ids, past))
        return torch.from_numpy(numpy.array(self._context.get_logits(), dtype=numpy.float32))

    def answer(self, ids: list[int], most: int) -> list[int]:
        """The likeliest token again and again, up to one that ends an answer (it is among them) or `most`."""
        written: list[int] = []
        scores = self.logits(ids)
        while len(written) < most:
            written.append(int(scores.argmax()))
            if self.vocabulary.is_eog(written[-1]):
                break
            scores = self.logits(written[-1:], len(ids) + len(written) - 1)
        return written
