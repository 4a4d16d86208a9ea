"""Classification, record and question rows from the same labelled texts, so that the base knows extune's other task kinds too.

In: documents and `Labelled` texts. Out: `(text, task, gold)`. It knows nothing about prompts or tokens.
"""

from __future__ import annotations

import random
import re

from extune.domain.annotation import Answer, Fields, Labels
from extune.domain.task import ClassificationTask, GenerationTask, RecordField, RecordTask
from tools.embedded_base.concepts import CONCEPTS, RIVALS, Labelled, unite_parts

# Corpus file or maker to the names that its kind of text may go under.
KINDS_OF_TEXT = {
    "toyhom_medical_qa": ("医疗问答", "医疗", "健康", "看病咨询", "医学"),
    "clinical": ("中医", "临床报告", "医案", "医学文献", "病历"),
    "news": ("新闻", "时事", "报道", "社会新闻", "要闻"),
    "contracts": ("合同", "协议", "法律文书", "公文"),
    "cmrc_wikipedia": ("百科", "百科条目", "知识"),
    "drcd_wikipedia_trad": ("百科", "百科条目", "知识"),
    "howtocook": ("菜谱", "美食", "烹饪", "做菜"),
    "crosswoz_dialogues": ("旅游", "客服对话", "出行", "旅游咨询"),
    "kdconv_dialogues": ("闲聊", "聊天", "影音闲聊"),
    "laws_cn": ("法律", "法规", "法条", "政策法规"),
    "lctt_linux_news": ("科技", "技术", "计算机", "软件", "互联网"),
    "poetry_classics": ("诗词", "文学", "古诗", "文艺"),
}
# Kinds of text that may pass for one another; none of them is offered as the wrong name of another.
_ALIKE = (("toyhom_medical_qa", "clinical"), ("cmrc_wikipedia", "drcd_wikipedia_trad"), ("contracts", "laws_cn"))
_INSTRUCTIONS = ("判断下面文本的类别。", "这段文本属于哪一类？", "请选择文本的主题。", "文本分类。")
_SUMMARY_NAMES = ("标题", "主题", "概括", "主诉", "问题概述", "一句话概括")
_SUMMARY_ABOUTS = ("", "", "用一句话概括", "全文的标题", "说的是什么问题")
_REPLY_NAMES = ("医生建议", "建议", "答复", "医嘱")
_SENTENCE = re.compile(r"[^。！？\n]+[。！？]?")
_YES_NO = (("有", "无"), ("是", "否"), ("提到", "未提到"))


class PlainAnswerFormat:
    """A free answer is written as it is."""

    name = "answer"

    def describe(self, language: str) -> str:  # noqa: ARG002 (the protocol of formats)
        """Nothing needs to be said about the syntax."""
        return ""

    def find_unrepresentable(self, task: GenerationTask, text: str, gold: Answer) -> str | None:  # noqa: ARG002
        """Every answer can be held."""
        return None

    def render_target(self, task: GenerationTask, text: str, gold: Answer) -> str:  # noqa: ARG002
        """The answer to learn."""
        return gold.text


def build_kind_choice(text: str, source: str, generator: random.Random) -> tuple[str, ClassificationTask, Labels]:
    """Which kind of text is it: the right name among two to eight."""
    right = generator.choice(KINDS_OF_TEXT[source])
    alike = next((group for group in _ALIKE if source in group), (source,))
    others = [names for key, names in KINDS_OF_TEXT.items() if key not in alike]
    wrong = {generator.choice(names) for names in generator.sample(others, generator.randint(1, 7))} - {right}
    names = [right, *wrong] if wrong else [right, "其他"]
    generator.shuffle(names)
    instruction = generator.choice(_INSTRUCTIONS) if generator.random() < 0.3 else None
    return text, ClassificationTask(label_names=names, instruction=instruction), Labels((right,))


def build_presence_choice(labelled: Labelled, generator: random.Random) -> tuple[str, ClassificationTask, Labels]:
    """Which of these things does the text mention: any number of labels."""
    names = _draw_concepts(labelled, generator, generator.randint(2, 7))
    present = tuple(name for name, (_, ranges) in names.items() if ranges)
    task = ClassificationTask(label_names=list(names), multi_label=True, instruction="文本提到了下列哪些内容？")
    return labelled.text, task, Labels(present)


def build_record(labelled: Labelled, summary: str | None, generator: random.Random) -> tuple[str, RecordTask, Fields]:
    """A record of verbatim lists, yes-or-no enums and free text; with a `summary` (a title) a free-text field asks for it."""
    fields: dict[str, RecordField] = {}
    values: dict[str, str | tuple[str, ...]] = {}
    for name, (about, ranges) in _draw_concepts(labelled, generator, generator.randint(1, 5)).items():
        if generator.random() < 0.15:
            yes, no = generator.choice(_YES_NO)
            fields[name] = RecordField(kind="enum", of=(yes, no), about=generator.choice(("", "文中有没有")))
            values[name] = yes if ranges else no
            continue
        fields[name] = RecordField(kind="verbatim", about=about if generator.random() < 0.35 else "")
        pieces = dict.fromkeys(labelled.text[start:end] for start, end in sorted(ranges))
        values[name] = tuple(pieces)
    for name, value in _free_texts(labelled.text, summary, generator):
        about = generator.choice(_SUMMARY_ABOUTS) if value == summary else ""
        fields[name], values[name] = RecordField(kind="text", about=about), value
    order = list(fields)
    generator.shuffle(order)
    return labelled.text, RecordTask(fields={name: fields[name] for name in order}), Fields(values)


def build_question(document: str, generator: random.Random) -> tuple[str, GenerationTask, Answer] | None:
    """Question and answer of a medical consultation: title, question, answer on a line each."""
    lines = document.split("\n")
    if len(lines) < 3 or not 10 <= len(lines[2]) <= 220:
        return None
    question = lines[0] if generator.random() < 0.5 else lines[1]
    instruction = "运用医学知识，回答患者的问题。" if generator.random() < 0.5 else None
    return question, GenerationTask(instruction=instruction), Answer(lines[2])


def _draw_concepts(labelled: Labelled, generator: random.Random, count: int) -> dict[str, tuple[str, list[tuple[int, int]]]]:
    """Names of `count` concepts, present ones preferred, each with a description and its ranges; no two that rival."""
    spans = unite_parts(labelled.spans)
    keys = list(spans)
    generator.shuffle(keys)
    keys.sort(key=lambda key: not spans[key] and generator.random() < 0.6)
    chosen: dict[str, tuple[str, list[tuple[int, int]]]] = {}
    kept: list[str] = []
    for key in keys:
        if len(chosen) == count:
            break
        if any({key, other} in RIVALS for other in kept):
            continue
        concept = CONCEPTS[key]
        name = generator.choice(concept.names)
        if name not in chosen:
            kept.append(key)
            chosen[name] = (generator.choice(concept.abouts) if concept.abouts else "", spans[key])
    return chosen


def _free_texts(text: str, summary: str | None, generator: random.Random) -> list[tuple[str, str]]:
    """Zero to two free-text fields: the title as a summary, the first or the last sentence."""
    found = []
    if summary and generator.random() < 0.8:
        found.append((generator.choice(_SUMMARY_NAMES), summary))
    sentences = [match.group().strip() for match in _SENTENCE.finditer(text)]
    if sentences and generator.random() < 0.3:
        if generator.random() < 0.5:
            found.append(("首句", sentences[0]))
        else:
            found.append((generator.choice(("末句", *_REPLY_NAMES)) if summary else "末句", sentences[-1]))
    return [(name, value) for name, value in found if value]
