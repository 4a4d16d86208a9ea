"""Decoding options refuse what makes no sense and say everything."""

from __future__ import annotations

import pytest

from extune.engines.engine import DecodingOptions
from extune.errors import RecipeError


@pytest.mark.parametrize(
    ("option", "value"),
    [("temperature", -0.1), ("top_p", 0.0), ("top_p", 1.1), ("repetition_penalty", 0.0), ("max_new_tokens", 0)],
)
def test_values_out_of_range_name_the_option(option: str, value: float) -> None:
    with pytest.raises(RecipeError) as caught:
        DecodingOptions(**{option: value})  # type: ignore[arg-type]
    assert caught.value.where == "--" + option.replace("_", "-")
    assert caught.value.expected
    assert caught.value.fix


def test_all_options_are_written_down() -> None:
    options = DecodingOptions(temperature=0.7, seed=3)
    assert DecodingOptions(**options.to_json()) == options


def test_a_user_may_lower_the_budget_but_not_raise_it() -> None:
    assert DecodingOptions().token_budget(9) == 9
    assert DecodingOptions(max_new_tokens=5).token_budget(9) == 5
    assert DecodingOptions(max_new_tokens=50).token_budget(9) == 9
