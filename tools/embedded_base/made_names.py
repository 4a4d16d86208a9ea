"""Names that do not exist: persons, organisations, places, drugs, diseases, numbers and dates, made from parts.

The shares are guesses at what news and clinical notes hold; they decide diversity, not truth.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tools.embedded_base.word_lists import GENERAL, MEDICAL

Make = Callable[[random.Random], str]


def _pick(generator: random.Random, *sections: str) -> str:
    """One word of each section, joined."""
    return "".join(generator.choice(GENERAL[name] if name in GENERAL else MEDICAL[name]) for name in sections)


def _from(*sections: str) -> Make:
    return lambda generator: _pick(generator, *sections)


def _weighted(generator: random.Random, makers: tuple[tuple[float, Make], ...]) -> str:
    return generator.choices([make for _, make in makers], [share for share, _ in makers])[0](generator)


def _transliterate(generator: random.Random) -> str:
    return "".join(generator.choice(GENERAL["translit"]) for _ in range(generator.randint(2, 4)))


def _maybe(generator: random.Random, ending: str, share: float = 0.5) -> str:
    return ending if generator.random() < share else ""


def _chinese_person(generator: random.Random) -> str:
    surname = _pick(generator, "common_surnames" if generator.random() < 0.6 else "surnames")
    given = 1 if generator.random() < 0.25 else 2
    return surname + "".join(_pick(generator, "given_characters") for _ in range(given))


def _foreign_person(generator: random.Random) -> str:
    parts = generator.choices((1, 2, 3), (0.55, 0.42, 0.03))[0]
    return "·".join(_transliterate(generator) for _ in range(parts))


def make_person(generator: random.Random) -> str:
    """A Chinese, a transliterated or a Japanese name."""
    japanese = _from("japanese_surnames", "japanese_given")
    return _weighted(generator, ((0.72, _chinese_person), (0.23, _foreign_person), (0.05, japanese)))


def _city(generator: random.Random) -> str:
    return _pick(generator, "cities") + _maybe(generator, "市", 0.33)


def _province(generator: random.Random) -> str:
    name = _pick(generator, "provinces")
    return name + _maybe(generator, "省", 0.0 if name in GENERAL["regions_without_mark"] else 0.33)


def _small_place(generator: random.Random) -> str:
    return (
        _pick(generator, "company_stems")
        + generator.choice("山河江湖阳口州安城水源田岭关坪泉平宁川丰")
        + _pick(generator, "place_kinds")
    )


def _foreign_place(generator: random.Random) -> str:
    return _transliterate(generator) + generator.choice(("", "州", "岛", "市", "河"))


_PLACES: tuple[tuple[float, Make], ...] = (
    (0.22, _from("countries")),
    (0.12, _from("foreign_cities")),
    (0.26, _city),
    (0.08, _province),
    (0.06, _from("regions")),
    (0.06, _from("districts")),
    (0.12, _small_place),
    (0.04, _foreign_place),
    (0.04, lambda generator: _city(generator) + _pick(generator, "districts")),
)


def make_place(generator: random.Random) -> str:
    """A country, province, city, district, made county or village, street, river."""
    return _weighted(generator, _PLACES)


def _stem(generator: random.Random) -> str:
    return _pick(generator, "company_stems", "company_stems")


def _local_company(generator: random.Random) -> str:
    place = generator.choice(("", _city(generator), _province(generator)))
    return place + _stem(generator) + _pick(generator, "company_kinds")


def _foreign_company(generator: random.Random) -> str:
    return _transliterate(generator) + generator.choice(("公司", "集团", "汽车公司", "银行", "石油公司"))


def make_company(generator: random.Random) -> str:
    """A company: from the list, or place, stem and kind."""
    return _weighted(generator, ((0.25, _from("company_names")), (0.63, _local_company), (0.12, _foreign_company)))


def _local_body(generator: random.Random) -> str:
    return (_city if generator.random() < 0.6 else _province)(generator) + _pick(generator, "org_tails")


_ORGANIZATIONS: tuple[tuple[float, Make], ...] = (
    (0.26, _from("agencies")),
    (0.10, _from("universities")),
    (0.30, _local_body),
    (0.04, _from("countries", "state_bodies")),
    (0.04, lambda generator: _pick(generator, "cities") + _stem(generator) + _pick(generator, "team_kinds")),
    (0.05, lambda generator: "中国" + _pick(generator, "association_fields", "association_kinds")),
    (0.21, make_company),
)


def make_organization(generator: random.Random) -> str:
    """An agency, university, local body, company or team."""
    return _weighted(generator, _ORGANIZATIONS)


def make_herb(generator: random.Random) -> str:
    """A herb, at times with its preparation."""
    name, prepared = _pick(generator, "herbs"), "炒炙焦煅生制酒醋盐"
    return generator.choice(prepared) + name if generator.random() < 0.06 and name[0] not in prepared else name


def _changed_formula(generator: random.Random) -> str:
    return _pick(generator, "formulas") + generator.choice(("加减", "加味", "化裁", "合" + _pick(generator, "formulas")))


def _own_formula(generator: random.Random) -> str:
    verbs = "".join(generator.sample(MEDICAL["principle_verbs"], generator.randint(1, 2)))
    return _maybe(generator, "自拟", 0.25) + verbs + _pick(generator, "formula_kinds")


def _herb_formula(generator: random.Random) -> str:
    return "".join(_pick(generator, "herbs")[:2] for _ in range(generator.randint(1, 3))) + _pick(
        generator, "formula_kinds_plain"
    )


def make_formula(generator: random.Random) -> str:
    """A classical formula, a modified one, one named after its effect or after its herbs."""
    classical: Make = lambda g: g.choice(("加味", "加减", *("",) * 6)) + _pick(g, "formulas")  # noqa: E731
    return _weighted(generator, ((0.58, classical), (0.10, _changed_formula), (0.20, _own_formula), (0.12, _herb_formula)))


def make_patent(generator: random.Random) -> str:
    """A Chinese patent medicine."""
    return _pick(generator, "patent_stems", "patent_kinds")


def make_western_drug(generator: random.Random) -> str:
    """A Western drug, at times with its form."""
    return _pick(generator, "western_drugs") + _maybe(generator, _pick(generator, "drug_forms"), 0.3)


def _organ_disease(generator: random.Random) -> str:
    return _maybe(generator, _pick(generator, "disease_heads")) + _pick(generator, "organs", "disease_tails")


_DISEASES: tuple[tuple[float, Make], ...] = (
    (0.58, _from("diseases")),
    (0.10, _from("disease_heads", "diseases")),
    (0.22, _organ_disease),
    (0.05, _from("diseases", "disease_stages")),
    (0.05, _from("diseases", "disease_joins", "diseases")),
)


def make_disease(generator: random.Random) -> str:
    """A disease by list, or head, organ and kind; at times with a stage, or two joined as one."""
    return _weighted(generator, _DISEASES)


def make_syndrome(generator: random.Random) -> str:
    """A syndrome, at times two in one, with or without 证/型."""
    whole, parts = _from("syndrome_whole"), _from("syndrome_organ", "syndrome_tail")
    name = _weighted(generator, ((0.65, whole), (0.35, parts))) + _maybe(generator, whole(generator), 0.12)
    return name + generator.choice(("证", "型", "", "", ""))


def make_principle(generator: random.Random) -> str:
    """One to three verbs of treatment as one phrase: 活血化瘀止痛."""
    return "".join(generator.sample(MEDICAL["principle_verbs"], generator.choice((1, 2, 2, 2, 2, 2, 3))))


def make_symptom(generator: random.Random) -> str:
    """A symptom, at times with body part or degree."""
    local, degree = _from("body_parts", "symptom_kinds"), _from("symptom_degrees", "symptoms")
    return _weighted(generator, ((0.80, _from("symptoms")), (0.12, local), (0.08, degree)))


def make_date(generator: random.Random) -> str:
    """A date in one of the usual writings."""
    year, month, day = generator.randint(1900, 2025), generator.randint(1, 12), generator.randint(1, 28)
    full, short = f"{year}年{month}月{day}日", f"{month}月{day}日"
    return generator.choice((full, full, short, f"{year}年{month}月", f"{year}年"))


def make_dose(generator: random.Random) -> str:
    """Grams of a herb."""
    return f"{generator.choice((3, 5, 6, 9, 10, 12, 15, 18, 20, 24, 30, 45, 60))}{generator.choice('ggg克克')}"


def make_drug_dose(generator: random.Random) -> str:
    """Dose of a Western drug."""
    return _pick(generator, "drug_doses")


def make_number(generator: random.Random) -> str:
    """A count, of one to five digits."""
    return str(int(10 ** generator.uniform(0, 5)))
