"""Every phrase of the pages has its Chinese, with the same values in it, and names of users stay as they are."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest

from extune import reporting
from extune.data.checks.catalogue import KINDS
from extune.domain.prediction import ProblemKind
from extune.evaluation.error_atlas import SEEN, ErrorClass
from extune.reporting.documents import DIFFERENT, NO_LABEL, WRONG_LABEL
from extune.reporting.pair_report import STATUSES
from extune.reporting.words import CHINESE, say, say_if_known, say_in_svg

_TEMPLATES = Path(reporting.__file__).parent / "templates"
_PHRASE = re.compile(r"""\bsay\(\s*"([^"]+)"|scroll\("([^"]+)"\)""")


def _values(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("path", sorted(_TEMPLATES.iterdir()), ids=lambda path: path.name)
def test_a_template_says_only_what_has_chinese(path: Path) -> None:
    phrases = {one or other for one, other in _PHRASE.findall(path.read_text(encoding="utf-8"))}
    assert not {phrase for phrase in phrases if phrase not in CHINESE and not phrase.endswith(" ")}


def test_names_of_ours_have_chinese() -> None:
    kinds = [kind.value.replace("_", " ") for kind in ProblemKind]
    findings = [phrase for kind in KINDS.values() for phrase in (kind.what, kind.fix)]
    classes = [str(kind) for kind in ErrorClass]
    names = [*classes, WRONG_LABEL, NO_LABEL, DIFFERENT, *SEEN, *STATUSES, *kinds, *findings, "found", "prediction"]
    assert not [name for name in names if name not in CHINESE]


def test_both_languages_hold_the_same_values() -> None:
    assert not {phrase for phrase, chinese in CHINESE.items() if _values(phrase) != _values(chinese)}


def test_values_are_escaped_and_unknown_names_kept() -> None:
    assert say("of {total}", total="<3>") == '<span lang="en">of &lt;3&gt;</span><span lang="zh">共 &lt;3&gt;</span>'
    assert say_in_svg("loss") == '<tspan lang="en">loss</tspan><tspan lang="zh">损失</tspan>'
    assert say_if_known("<药>") == "&lt;药&gt;"
    with pytest.raises(KeyError):
        say("nobody said this")
