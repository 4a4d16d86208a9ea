"""Free answers: overlap by characters, corpus BLEU, perplexity over tokens and not over batches."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extune.domain.annotation import Answer
from extune.evaluation.generation_metrics import TargetLoss, score_generation
from extune.evaluation.text_overlap import char_f1, longest_common_subsequence, rouge_l

short = st.text("风寒感冒，ab ", max_size=12)


def plain_lcs(left: str, right: str) -> int:
    """The table of every textbook."""
    row = [0] * (len(right) + 1)
    for character in left:
        before = row[:]
        for place, other in enumerate(right, 1):
            row[place] = before[place - 1] + 1 if character == other else max(before[place], row[place - 1])
    return row[-1]


@given(short, short)
def test_the_longest_common_subsequence(left: str, right: str) -> None:
    assert longest_common_subsequence(left, right) == plain_lcs(left, right)


@given(short, short)
def test_overlaps_are_symmetric_shares(left: str, right: str) -> None:
    for measure in (rouge_l, char_f1):
        assert 0 <= measure(left, right) == measure(right, left) <= 1
        assert measure(left, left) == 1
    assert rouge_l(left, right) <= char_f1(left, right)


def test_order_counts_in_rouge_only() -> None:
    assert rouge_l("ab", "ba") == pytest.approx(0.5)
    assert char_f1("ab", "b a") == 1


def test_the_figures_of_a_test_set() -> None:
    gold = {"a": Answer("患者需要多喝水，注意休息"), "b": Answer("是")}
    perfect = score_generation(gold, gold, loss=TargetLoss(math.log(2) * 10, 10), resamples=50)
    assert perfect.figures() == pytest.approx({"rouge_l": 1, "char_f1": 1, "bleu": 1, "perplexity": 2})
    assert (perfect.interval, perfect.exact_documents) == ((1, 1), 2)
    silent = score_generation(gold, {"a": Answer(""), "b": Answer("是")}, resamples=0)
    assert (silent.rouge_l, silent.empty, silent.exact_documents) == (0.5, 1, 1)
    assert "perplexity" not in silent.figures()


def test_perplexity_weighs_tokens_not_batches() -> None:
    parts = [TargetLoss(3.0, 1), TargetLoss(1.0, 9)]
    together = TargetLoss(sum(part.total for part in parts), sum(part.tokens for part in parts))
    assert together.perplexity == pytest.approx(math.exp(0.4))
    assert TargetLoss(1e6, 1).perplexity == math.inf
