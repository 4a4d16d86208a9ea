"""Questions and answers for generation. Out: rows `{"instruction", "input", "output"}` per split; test has its own wordings.

Every answer follows from the specialty's words; it is exercise text, no medical advice.
"""

from __future__ import annotations

from random import Random

from tools.samples.filling import fill_plain
from tools.samples.lexicon import SPECIALTIES, pool

SIZES = {"train": 120, "dev": 20, "test": 30}
INSTRUCTION = "运用医学知识，简要回答患者的问题。"

TEMPLATES: dict[str, tuple[tuple[str, str], ...]] = {
    "train": (
        ("{病}应该看哪个科？", "{病}请到{科}就诊。就诊前记下{症一}等不适的时间和程度，医生会决定是否需要{查}。"),
        ("最近总是{症一}、{症二}，应该挂什么科？", "{症一}和{症二}可以先挂{科}，由医生面诊后安排{查}等检查，不要自行用药。"),
        ("得了{病}平时要注意什么？", "确诊{病}后，日常应{建议}。如果{症一}加重，请及时到{科}复诊。"),
        ("{药}怎么用？", "{药}请在{科}医生指导下使用，不要自行增减；用药后若{症一}没有改善，应及时复诊。"),
        ("医生让我做{查}，有必要吗？", "{查}是{科}常用的检查，能帮助医生了解病情，建议按医嘱完成，并把结果带给医生。"),
        ("{病}需要做{操作}吗？", "{操作}是{科}的处理方法之一，是否需要由医生根据病情决定，平时请{建议}。"),
        ("{症一}会不会是{病}引起的？", "仅凭{症一}不能判断是否为{病}，请到{科}面诊，必要时做{查}。"),
        ("用了{药}还是{症一}怎么办？", "请不要自行加量，先到{科}复诊，由医生决定是否更换{药}，生活上{建议}。"),
    ),
    "test": (
        (
            "家人可能得了{病}，想知道挂哪个科？",
            "{病}请到{科}就诊。就诊前记下{症一}等不适的时间和程度，医生会决定是否需要{查}。",
        ),
        ("请问{症一}又{症二}，去医院找谁看？", "{症一}和{症二}可以先挂{科}，由医生面诊后安排{查}等检查，不要自行用药。"),
        ("查出{病}以后，生活上怎么调整比较好？", "确诊{病}后，日常应{建议}。如果{症一}加重，请及时到{科}复诊。"),
        ("为什么要开{查}这个项目？", "{查}是{科}常用的检查，能帮助医生了解病情，建议按医嘱完成，并把结果带给医生。"),
    ),
}


def build_questions(seed: int) -> dict[str, list[dict[str, str]]]:
    """Rows per split; no question stands twice."""
    splits = {}
    questions: set[str] = set()
    for split, size in SIZES.items():
        random = Random(f"qa {split} {seed}")
        rows: list[dict[str, str]] = []
        while len(rows) < size:
            row = _make_row(random, split)
            if row["input"] not in questions:
                questions.add(row["input"])
                rows.append(row)
        splits[split] = rows
    return splits


def _make_row(random: Random, split: str) -> dict[str, str]:
    specialty = random.choice(SPECIALTIES)
    first, second = random.sample(pool(specialty.symptoms, "train"), 2)
    words = {
        "科": specialty.name,
        "病": random.choice(pool(specialty.diseases, "train")),
        "症一": first,
        "症二": second,
        "药": random.choice(pool(specialty.drugs, "train")),
        "查": random.choice(pool(specialty.exams, "train")),
        "操作": random.choice(specialty.operations),
        "建议": random.choice(specialty.advice),
    }
    question, answer = random.choice(TEMPLATES["test" if split == "test" else "train"])
    return {
        "instruction": INSTRUCTION,
        "input": fill_plain(question, words.__getitem__),
        "output": fill_plain(answer, words.__getitem__),
    }
