"""What vLLM is asked about candidates: behind each beginning, each token that follows it, once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from extune.engines.vllm_engine import list_steps

CANDIDATES = st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=5).map(tuple), min_size=1)


@given(CANDIDATES, st.integers(1, 3))
def test_every_token_of_every_candidate_is_asked_for_once(candidates: list[tuple[int, ...]], most: int) -> None:
    steps = list_steps(candidates, most)
    asked = [(beginning, token) for beginning, tokens in steps for token in tokens]
    assert len(set(asked)) == len(asked)
    assert set(asked) == {(ids[:at], ids[at]) for ids in candidates for at in range(len(ids))}
    assert all(1 <= len(tokens) <= most for _, tokens in steps)
    lengths = [len(beginning) for beginning, _ in steps]
    assert lengths == sorted(lengths)  # a longer one finds the shorter in the cache
