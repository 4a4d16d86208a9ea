"""From labels to questions: which types a row asks for, under which names, and copy tasks made from the text itself.

In: `Labelled`. Out: an `ExtractionTask` and its gold `Extraction`. It knows nothing about prompts or tokens.
"""

from __future__ import annotations

import random
import re
from collections import Counter

from extune.domain.annotation import Extraction, Span
from extune.domain.task import ExtractionTask
from tools.embedded_base.concepts import CONCEPTS, RIVALS, Labelled, Range, unite_parts

TCM_SET = ("herb", "formula", "clinical", "disease", "tcm_disease", "syndrome", "principle", "therapy", "western_treatment")
NEWS_SET = ("person", "place", "organization")
INSTRUCTIONS = (
    "从文本中找出下列类型的内容，照抄原文。",
    "请抽取文中的实体。",
    "命名实体识别：找出文本中指定类型的实体。",
    "抽取以下信息。",
    "阅读文本，按类型列出其中的实体。",
    "请从医疗文本中抽取指定类型的内容。",
    "找出下列各类内容，必须与原文一致。",
)
_CLAUSE = re.compile(r"[^，。！？；：、\n,.!?;:]+")
_SENTENCE = re.compile(r"[^。！？\n]+[。！？]?")
_HAN = re.compile(r"[一-鿿]{2,}")
_ORDINALS = "一二三四五六七八九十"
_MARKS = (("【", "】"), ("〔", "〕"), ("<", ">"), ("*", "*"), ("[", "]"), ("#", "#"), ("『", "』"))

Pseudo = tuple[str, str, list[Range]]


def build_task(labelled: Labelled, generator: random.Random) -> tuple[str, ExtractionTask, Extraction]:
    """One row's text, task and gold: real types, copy types, or both; the text changes only where marks are inserted."""
    text, spans = labelled.text, unite_parts(labelled.spans)
    chosen: list[Pseudo] = []
    kind = generator.random()
    if kind < 0.05:
        text, marked = insert_marks(text, generator)
        chosen = [marked]
    elif kind < 0.20:
        chosen = make_copy_types(text, generator, generator.randint(1, 5))
    else:
        chosen = [_name_concept(key, spans[key], generator) for key in choose_concepts(spans, generator)]
        if generator.random() < 0.15:
            chosen += make_copy_types(text, generator, 1)
    generator.shuffle(chosen)
    described = generator.random() < 0.35
    types: dict[str, str] = {}
    gold: list[Span] = []
    for name, about, ranges in chosen:
        if name not in types:
            types[name] = about if described else ""
            gold += [Span(name, text[start:end], start, end) for start, end in dict.fromkeys(ranges)]
    instruction = generator.choice(INSTRUCTIONS) if generator.random() < 0.15 else None
    return text, ExtractionTask(types=types, instruction=instruction), Extraction(tuple(gold))


def _name_concept(key: str, ranges: list[Range], generator: random.Random) -> Pseudo:
    concept = CONCEPTS[key]
    about = generator.choice(concept.abouts) if concept.abouts and generator.random() < 0.8 else ""
    return generator.choice(concept.names), about, ranges


def choose_concepts(spans: dict[str, list[Range]], generator: random.Random) -> list[str]:
    """Concepts to ask for: one of the two standard sets, or a random subset with negatives."""
    if "clinical" in spans and "syndrome" in spans and generator.random() < 0.45:
        return generator.sample(TCM_SET, generator.choice((9, 9, 9, 6, 5)))
    if all(key in spans for key in NEWS_SET) and generator.random() < 0.55:
        return list(NEWS_SET)
    present = [key for key in spans if spans[key]]
    absent = [key for key in spans if not spans[key]]
    generator.shuffle(present)
    generator.shuffle(absent)
    none_only = generator.random() < 0.06
    wanted = [] if none_only else present[: generator.randint(2, 8)]
    wanted += absent[: generator.choice((0, 0, 1, 1, 2, 3)) if wanted else generator.randint(1, 4)]
    kept: list[str] = []
    for key in wanted or present[:3]:
        if not any({key, other} in RIVALS for other in kept):
            kept.append(key)
    return kept


def insert_marks(text: str, generator: random.Random) -> tuple[str, Pseudo]:
    """Put marks around one to four random pieces and ask for what stands between them."""
    opening, closing = generator.choice(_MARKS)
    text = text.replace(opening, "").replace(closing, "")
    cuts = sorted(generator.sample(range(len(text) + 1), min(len(text) + 1, 2 * generator.randint(1, 4))))
    pieces, ranges, last, length = [], [], 0, 0
    for start, limit in zip(cuts[::2], cuts[1::2], strict=False):
        end = min(limit, start + generator.randint(1, 20))
        length += start - last + 1
        pieces += [text[last:start], opening, text[start:end], closing]
        ranges.append((length, length + end - start))
        length += end - start + 1
        last = end
    pieces.append(text[last:])
    name = generator.choice((f"{opening}{closing}中的内容", f"{opening}和{closing}之间的文字", "标记的内容"))
    return "".join(pieces), (name, f"写在{opening}与{closing}之间", ranges)


def make_copy_types(text: str, generator: random.Random, count: int) -> list[Pseudo]:
    """Types that the text itself defines: a sentence with a word, a clause by its beginning, repeated words, ..."""
    found: list[Pseudo] = []
    for maker in generator.choices(_MAKERS, k=3 * count):
        made = maker(text, generator)
        if made is not None and len(found) < count:
            found.append(made)
    return found or [("重复出现的词", "", _repeat_ranges(text))]


def _random_word(text: str, generator: random.Random, low: int = 2, high: int = 4) -> str | None:
    runs = [match.group() for match in _HAN.finditer(text)]
    if not runs:
        return None
    run = generator.choice(runs)
    size = min(len(run), generator.randint(low, high))
    start = generator.randint(0, len(run) - size)
    return run[start : start + size]


def _sentence_with(text: str, generator: random.Random) -> Pseudo | None:
    word = _random_word(text, generator)
    if word is None:
        return None
    return f"含有“{word}”的句子", "整句照抄", [m.span() for m in _SENTENCE.finditer(text) if word in m.group()]


def _clause_with_head(text: str, generator: random.Random) -> Pseudo | None:
    clauses = list(_CLAUSE.finditer(text))
    if not clauses:
        return None
    head = generator.choice(clauses).group()[: generator.randint(1, 2)]
    return f"以“{head}”开头的分句", "两个标点之间的文字", [m.span() for m in clauses if m.group().startswith(head)]


def _piece_by_ends(text: str, generator: random.Random) -> Pseudo | None:
    if len(text) < 12:
        return None
    size = generator.randint(4, min(24, len(text)))
    start = generator.randint(0, len(text) - size)
    piece = text[start : start + size]
    head, tail = piece[:2], piece[-2:]
    if "\n" in piece or "“" in piece or text.count(head) > 1 or piece.find(tail, 2) != size - 2:
        return None
    return f"从“{head}”到“{tail}”", "含首尾", [(start, start + size)]


def _after_word(text: str, generator: random.Random) -> Pseudo | None:
    word = _random_word(text, generator, 2, 3)
    if word is None:
        return None
    ranges = [m.span(1) for m in re.finditer(re.escape(word) + r"([^，。！？；：、\n,.!?;:]+)", text)]
    return f"“{word}”后面的内容", "到下一个标点为止", ranges


def _numbered(text: str, generator: random.Random) -> Pseudo | None:
    pattern, unit = generator.choice(((_SENTENCE, "句"), (_CLAUSE, "个分句")))
    places = [match.span() for match in pattern.finditer(text)][:10]
    if not places:
        return None
    index = generator.randrange(len(places))
    if len(places) < 10 and generator.random() < 0.3:
        return f"最后一{unit}", "", [places[-1]]
    return f"第{_ORDINALS[index]}{unit}", "", [places[index]]


def _between_commas(text: str, generator: random.Random) -> Pseudo | None:  # noqa: ARG001 (one signature for all makers)
    ranges = [m.span(1) for m in re.finditer(r"(?<=、)([^，。！？；：、\n,.!?;:（）()]+)(?=、)", text)]
    return ("两个顿号之间的内容", "并列的项", ranges) if ranges else None


def _repeat_ranges(text: str) -> list[Range]:
    """Occurrences of strings of 2-8 Han characters that occur twice or more, longest first, without overlaps."""
    counts: Counter[str] = Counter()
    for run in _HAN.finditer(text):
        string = run.group()
        for size in range(2, 9):
            counts.update(string[start : start + size] for start in range(len(string) - size + 1))
    taken = [False] * len(text)
    ranges: list[Range] = []
    for string in sorted((s for s, n in counts.items() if n > 1), key=lambda s: (-len(s), s)):
        places = [(m.start(), m.end()) for m in re.finditer(re.escape(string), text) if not any(taken[m.start() : m.end()])]
        if len(places) > 1:
            ranges += places
            for start, end in places:
                taken[start:end] = [True] * (end - start)
    return sorted(ranges)


def _repeated(text: str, generator: random.Random) -> Pseudo | None:
    ranges = _repeat_ranges(text)
    if not ranges or len(ranges) > 16:
        return None
    return generator.choice(("重复出现的词", "出现多次的词语")), "至少出现两次的最长字串", ranges


def _clause_of_length(text: str, generator: random.Random) -> Pseudo | None:
    clauses = [match.span() for match in _CLAUSE.finditer(text)]
    sizes = [end - start for start, end in clauses if 1 < end - start < 8]
    if not sizes:
        return None
    size = generator.choice(sizes)
    return f"{size}个字的分句", "", [(start, end) for start, end in clauses if end - start == size]


def _exact(text: str, generator: random.Random) -> Pseudo | None:
    word = _random_word(text, generator, 2, 6)
    if word is None:
        return None
    return f"“{word}”", "照抄，出现几次写几次", [m.span() for m in re.finditer(re.escape(word), text)]


_MAKERS = (
    *(_sentence_with, _clause_with_head, _after_word, _numbered, _between_commas, _clause_of_length, _exact),
    *(_piece_by_ends, _piece_by_ends, _repeated, _repeated),
)
