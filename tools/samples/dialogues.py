"""Doctor-patient dialogues with an eight-field record. Out: rows `{"dialogue_text", "extract_text"}` per split.

A dialogue is told twice from the same facts: as turns, and as the record. The four verbatim fields hold exactly the strings
that the turns contain, each once, in the order of the dialogue; the others are short summaries. Test has its own wordings.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from tools.samples import quantities
from tools.samples.filling import fill_plain
from tools.samples.lexicon import SPECIALTIES, Specialty, pool

SIZES = {"train": 120, "dev": 20, "test": 30}
VERBATIM_FIELDS = ("药品名称", "药物类别", "医疗检查", "医疗操作")
TEXT_FIELDS = ("现病史", "辅助检查", "诊断结果", "医疗建议")

# Each stage is a list of ways to say it; a way is one or more turns, `医` doctor and `患` patient.
TURNS = {
    "train": {
        "开场": (
            "医:您好，请问哪里不舒服？|患:医生您好，我{症一}{历时}了，还有点{症二}。",
            "患:大夫，我最近{症一}，大概{历时}了。|医:除了{症一}还有别的不舒服吗？|患:还有{症二}，别的没有。",
            "医:你好，我看到你的咨询了，具体说说情况。|患:主要是{症一}，{历时}前开始的，后来又{症二}。",
        ),
        "追问": (
            "医:有没有{症三}？|患:这个倒没有。",
            "医:饭量和睡眠怎么样？有{症三}吗？|患:吃饭睡觉都还行，没有{症三}。",
            "医:之前有过类似情况吗？|患:以前没有过，这是头一回。|医:{症三}呢？|患:没有的。",
        ),
        "用过药": (
            "医:自己用过什么药吗？|患:吃了{旧药}，感觉效果一般。",
            "患:家里有{旧药}，我先用了两回，不知道行不行。|医:可以的，不过光用这个不够。",
        ),
        "查过": (
            "医:做过什么检查没有？|患:做了{已查}，医生说{结果}。",
            "患:前几天在我们县医院查了{已查}，单子上写的{结果}。|医:好的，我看一下。",
        ),
        "要查": (
            "医:建议您先去做个{要查}，明确一下。|患:好的，明天就去。",
            "医:如果方便的话，查一下{要查}，这样更稳妥。|患:需要空腹吗？|医:到时听窗口安排就行。",
        ),
        "诊断": ("医:从您说的情况看，考虑是{病}。", "医:根据描述，{病}的可能性比较大。|患:严重吗？|医:别担心，及时处理就好。"),
        "用药": (
            "医:先用{新药}，{用法}，必要时再配合{类别}。|患:好的，记下了。",
            "医:可以用{新药}，{用法}，家里备一点{类别}。|患:这个药店能买到吗？|医:可以买到。",
        ),
        "操作": (
            "医:必要的时候可以去医院做{操作}。|患:做{操作}难受吗？|医:不难受，放心。",
            "患:需要{操作}吗？|医:可以配合{操作}，恢复得快一些。",
        ),
        "建议": ("医:平时{建议}。|患:明白了，谢谢医生。", "患:生活上要注意什么？|医:{建议}，不舒服随时来看。|患:谢谢您！"),
    },
    "test": {
        "开场": (
            "患:在吗医生？想咨询一下，{症一}差不多{历时}，今天又觉得{症二}。|医:在的，慢慢说。",
            "医:欢迎咨询，请描述一下您的不适。|患:{症一}、{症二}，持续{历时}，有点着急。",
        ),
        "追问": ("医:另外是否伴有{症三}？|患:没注意到，应该没有。", "医:{症三}有没有出现过？|患:从来没有。|医:好，了解了。"),
        "用过药": (
            "患:我自己买过{旧药}来用，好像没什么用。|医:嗯，用的时间还短。",
            "医:目前在用药吗？|患:只用过{旧药}，别的没敢用。",
        ),
        "查过": ("医:有检查结果吗？发来看看。|患:有，{已查}的报告是{结果}。",),
        "要查": (
            "医:下一步需要完善{要查}。|患:今天下午可以去吗？|医:可以。",
            "患:要不要再检查一下？|医:要的，去医院查{要查}吧。",
        ),
        "诊断": ("医:综合来看，像是{病}。|患:哦，原来是这样。", "患:我这到底是什么病？|医:初步判断是{病}。"),
        "用药": (
            "医:给您推荐{新药}，{用法}就可以，另外{类别}也可以备用。|患:收到。",
            "患:那用什么药好？|医:选{新药}，{用法}，效果慢的话加{类别}。",
        ),
        "操作": ("医:症状明显的话，也能做{操作}缓解。|患:好，我考虑一下{操作}。",),
        "建议": ("医:还有，记得{建议}。祝早日康复！|患:十分感谢。",),
    },
}

_SUMMARIES = {
    "现病史": ("患者{症一}{历时}，伴{症二}，无{症三}。", "患者{历时}前出现{症一}，后有{症二}，否认{症三}。"),
    "辅助检查": ("{已查}：{结果}。",),
    "诊断结果": ("{病}",),
}


@dataclass(frozen=True)
class _Facts:
    """What one dialogue is about; an empty string means that it is not mentioned."""

    words: dict[str, str]

    def mentions(self, *kinds: str) -> list[str]:
        return [self.words[kind] for kind in kinds if self.words[kind]]


def build_dialogues(seed: int) -> dict[str, list[dict[str, Any]]]:
    """Rows per split; no dialogue stands twice."""
    splits = {}
    texts: set[str] = set()
    for split, size in SIZES.items():
        random = Random(f"dialogues {split} {seed}")
        rows: list[dict[str, Any]] = []
        while len(rows) < size:
            row = _make_dialogue(random, split)
            if row["dialogue_text"] not in texts:
                texts.add(row["dialogue_text"])
                rows.append(row)
        splits[split] = rows
    return splits


def _make_dialogue(random: Random, split: str) -> dict[str, Any]:
    facts = _invent(random, split)
    turns = TURNS["test" if split == "test" else "train"]
    needed = {"用过药": "旧药", "查过": "已查", "要查": "要查", "用药": "新药", "操作": "操作"}
    stages = [stage for stage in turns if stage not in needed or facts.words[needed[stage]]]
    said = "|".join(fill_plain(random.choice(turns[stage]), facts.words.__getitem__) for stage in stages)
    text = said.replace("|", "\n").replace("医:", "医生: ").replace("患:", "患者: ")
    return {"dialogue_text": text, "extract_text": _summarise(random, facts, text)}


def _invent(random: Random, split: str) -> _Facts:
    specialty = random.choice(SPECIALTIES)
    symptoms = random.sample(_symptoms(specialty, split), 3)
    drugs = random.sample(_pick(specialty.drugs, split), 2)
    exams = random.sample([exam for exam in _pick(specialty.exams, split) if exam not in quantities.INDICATORS], 2)
    figure = random.choice([exam for exam in specialty.exams if exam in quantities.INDICATORS] or [""])
    known = random.choice([exams[0], figure or exams[0]])
    result = random.choice(("没什么问题", "有点异常")) if known == exams[0] else f"{quantities.measured(random, known)}，偏高"
    optional = {
        "旧药": (drugs[0], 0.45),
        "已查": (known, 0.4),
        "要查": (exams[1], 0.6),
        "新药": (drugs[1], 0.75),
        "操作": (random.choice(specialty.operations), 0.35),
    }
    words = {kind: word if random.random() < chance else "" for kind, (word, chance) in optional.items()}
    return _Facts(
        words
        | dict(zip(("症一", "症二", "症三"), symptoms, strict=True))
        | {
            "历时": quantities.course(random),
            "病": random.choice(_pick(specialty.diseases, split)),
            "结果": result,
            "类别": random.choice(specialty.classes) if words["新药"] else "",
            "用法": quantities.dose(random, drugs[1]),
            "建议": random.choice(specialty.advice),
        }
    )


def _symptoms(specialty: Specialty, split: str) -> list[str]:
    """Symptoms of which none is part of another, so that a denied one is not also a complaint."""
    words = _pick(specialty.symptoms, split)
    return [word for word in words if not any(word != other and word in other for other in words)]


def _pick(words: tuple[str, ...], split: str) -> list[str]:
    """The words of train, and for the other splits their own too."""
    return list(dict.fromkeys(pool(words, "train") + (() if split == "train" else pool(words, split))))


def _summarise(random: Random, facts: _Facts, text: str) -> dict[str, Any]:
    fill_in = facts.words.__getitem__
    advice = [f"完善{facts.words['要查']}"] * bool(facts.words["要查"]) + [f"使用{facts.words['新药']}"] * bool(
        facts.words["新药"]
    )
    verbatim = {
        "药品名称": facts.mentions("旧药", "新药"),
        "药物类别": facts.mentions("类别"),
        "医疗检查": facts.mentions("已查", "要查"),
        "医疗操作": facts.mentions("操作"),
    }
    return {field: sorted(set(values), key=text.index) for field, values in verbatim.items()} | {
        "现病史": fill_plain(random.choice(_SUMMARIES["现病史"]), fill_in),
        "辅助检查": fill_plain(_SUMMARIES["辅助检查"][0], fill_in) if facts.words["已查"] else "",
        "诊断结果": fill_plain(_SUMMARIES["诊断结果"][0], fill_in),
        "医疗建议": "；".join([*advice, facts.words["建议"]]) + "。",
    }
