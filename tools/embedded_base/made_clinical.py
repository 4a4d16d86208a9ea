"""Grammar of made clinical texts: literature, case reports, prescriptions, textbook sentences, patients' questions.

Templates stand in `words/clinical_templates.txt`; here stand the slots that need code or a word list.
"""

from __future__ import annotations

import random

from tools.embedded_base import made_names as names
from tools.embedded_base.made_text import Production
from tools.embedded_base.word_lists import GENERAL, MEDICAL, read_templates

KNOWN = (
    *("herb", "formula", "patent", "western_drug", "symptom", "tongue", "pulse", "disease", "tcm_disease", "syndrome"),
    *("principle", "therapy", "western_treatment", "exam", "acupoint", "dose", "usage", "age", "duration", "patient"),
    *("department", "family", "person"),
)


def make_duration(generator: random.Random) -> str:
    """How long a complaint has lasted: 3年余, 半个月."""
    if generator.random() < 0.5:
        return f"{generator.randint(2, 9)}年余"
    number = generator.choice((generator.randint(1, 30), "半", "两", "三", "十"))
    return f"{number}{generator.choice(('年', '个月', '天', '周', '小时'))}"


def make_percent(generator: random.Random) -> str:
    """A rate of success."""
    return f"{generator.uniform(40, 99):.{generator.choice((0, 1, 2))}f}%"


GRAMMAR: dict[str, Production] = {
    **read_templates("clinical_templates.txt"),
    "herb": names.make_herb,
    "formula": names.make_formula,
    "patent": names.make_patent,
    "western_drug": names.make_western_drug,
    "symptom": names.make_symptom,
    "disease": names.make_disease,
    "syndrome": names.make_syndrome,
    "principle": names.make_principle,
    "dose": names.make_dose,
    "drug_dose": names.make_drug_dose,
    "date": names.make_date,
    "person": names.make_person,
    "tongue": MEDICAL["tongue"],
    "pulse": MEDICAL["pulse"],
    "tcm_disease": MEDICAL["tcm_diseases"],
    "therapy": MEDICAL["therapies"],
    "western_treatment": MEDICAL["western_treatments"],
    "exam": MEDICAL["exams"],
    "acupoint": MEDICAL["acupoints"],
    "department": MEDICAL["departments"],
    "surname": GENERAL["common_surnames"],
    "duration": make_duration,
    "p": make_percent,
    "n": lambda generator: str(generator.randint(8, 160)),
    "small": lambda generator: str(generator.randint(2, 9)),
    "age": lambda generator: f"{generator.randint(2, 88)}岁",
}
