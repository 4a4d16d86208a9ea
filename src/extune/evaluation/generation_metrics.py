"""ROUGE-L, BLEU and perplexity of free answers.

In: gold and predicted answers by example id, the problems of the predictions, summed losses. Out: a `GenerationScore`. It knows
nothing about files, models and pages.

* `rouge_l` and `char_f1`: means over the examples, by characters; an answer that is missing has 0.
* `bleu`: corpus BLEU of sacrebleu with its `zh` tokenizer (Chinese by characters, all else by words), as a share from 0 to 1.
* `perplexity`: exp of the loss per target token, the stop token included: the sum of all losses by the number of all tokens,
  not a mean of means over batches. It is the model's, not the answers', so it needs the model and may be missing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from extune.domain.annotation import Answer
from extune.domain.prediction import Problem
from extune.evaluation.score import require_same_ids, tally_problems
from extune.evaluation.significance import RESAMPLES, bootstrap_mean
from extune.evaluation.text_overlap import char_f1, rouge_l

_PERCENT = 100.0  # in which sacrebleu counts


@dataclass(frozen=True)
class TargetLoss:
    """Sum of the cross-entropies of target tokens, in nats, and their number."""

    total: float
    tokens: int

    @property
    def perplexity(self) -> float:
        """exp(total / tokens); infinite where that is beyond the range of floats."""
        try:
            return math.exp(self.total / self.tokens)
        except OverflowError:
            return math.inf


@dataclass(frozen=True)
class GenerationScore:
    """All figures of one test set; the module's docstring defines them.

    Attributes:
        loss: of the gold answers; None where no model computed it.
        exact_documents: answers that are the gold answer, white space at the ends aside.
        empty: answers without any text.
        interval: 95 % document bootstrap of ROUGE-L.
    """

    rouge_l: float
    char_f1: float
    bleu: float
    loss: TargetLoss | None
    exact_documents: int
    empty: int
    interval: tuple[float, float] | None
    documents: int
    problems: Mapping[str, int]
    problem_documents: int

    @property
    def headline(self) -> str:
        """ROUGE-L."""
        return "rouge_l"

    def figures(self) -> dict[str, float]:
        """The figures that are compared between trainings, by name."""
        figures = {"rouge_l": self.rouge_l, "char_f1": self.char_f1, "bleu": self.bleu}
        return figures if self.loss is None else figures | {"perplexity": self.loss.perplexity}

    def dev_figures(self) -> dict[str, float]:
        """What is logged while training."""
        return {"rouge_l": self.rouge_l, "bleu": self.bleu}

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for JSON; an infinite perplexity is null."""
        perplexity = None if self.loss is None or math.isinf(self.loss.perplexity) else self.loss.perplexity
        return {
            "rouge_l": self.rouge_l,
            "interval": None if self.interval is None else list(self.interval),
            "char_f1": self.char_f1,
            "bleu": self.bleu,
            "perplexity": perplexity,
            "target_loss": None if self.loss is None else {"total": self.loss.total, "tokens": self.loss.tokens},
            "documents": self.documents,
            "exact_documents": self.exact_documents,
            "empty": self.empty,
            "problems": dict(self.problems),
            "problem_documents": self.problem_documents,
        }


def score_generation(
    gold: Mapping[str, Answer],
    predictions: Mapping[str, Answer],
    problems: Mapping[str, Sequence[Problem]] | None = None,
    *,
    loss: TargetLoss | None = None,
    resamples: int = RESAMPLES,
) -> GenerationScore:
    """Score free answers against gold.

    Args:
        gold: by example id.
        predictions: by example id, exactly one for each of gold.
        problems: of each prediction, by id; ids without problems may be left out. None: there are none.
        loss: of the gold answers under the model.
        resamples: of the bootstrap; 0 computes no interval.

    Raises:
        DataError: an example has no prediction, or a prediction or problem belongs to no example.
    """
    problems = problems or {}
    require_same_ids(gold, predictions, problems)
    pairs = [(gold[id_].text, predictions[id_].text) for id_ in gold]
    overlaps = [rouge_l(*pair) for pair in pairs]
    tallied, with_problems = tally_problems(problems.values())
    return GenerationScore(
        rouge_l=_mean(overlaps),
        char_f1=_mean([char_f1(*pair) for pair in pairs]),
        bleu=compute_bleu(pairs),
        loss=loss,
        exact_documents=sum(expected.strip() == found.strip() for expected, found in pairs),
        empty=sum(not found.strip() for _, found in pairs),
        interval=bootstrap_mean(overlaps, resamples) if overlaps and resamples else None,
        documents=len(pairs),
        problems=tallied,
        problem_documents=with_problems,
    )


def compute_bleu(pairs: Sequence[tuple[str, str]]) -> float:
    """Corpus BLEU of (reference, text) pairs, from 0 to 1; 1 where there is none."""
    if not pairs:
        return 1.0
    from sacrebleu.metrics.bleu import BLEU

    references, texts = zip(*pairs, strict=True)
    return float(BLEU(tokenize="zh").corpus_score(list(texts), [list(references)]).score) / _PERCENT


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 1.0
