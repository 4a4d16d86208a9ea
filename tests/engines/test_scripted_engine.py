"""The scripted engine replays and names what its script lacks."""

from __future__ import annotations

import pytest

from extune.domain.prompt import Prompt
from extune.engines.engine import DecodingOptions
from extune.engines.scripted_engine import ScriptedEngine
from extune.errors import EngineError

PROMPT = Prompt("a", (), (), "黄芪")


def test_answers_come_from_the_script() -> None:
    (completion,) = ScriptedEngine({"a": "药：黄芪"}).complete([PROMPT], DecodingOptions())
    assert (completion.text, completion.finish, completion.token_count) == ("药：黄芪", "stop", 5)


def test_a_long_answer_is_cut_off() -> None:
    (completion,) = ScriptedEngine({"a": "药：黄芪"}).complete([PROMPT], DecodingOptions(max_new_tokens=4))
    assert (completion.text, completion.finish) == ("药：黄芪", "length")


def test_a_missing_answer_names_the_example() -> None:
    with pytest.raises(EngineError, match="'a'"):
        ScriptedEngine({}).complete([PROMPT], DecodingOptions())
