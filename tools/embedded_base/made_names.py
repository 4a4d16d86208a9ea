"""Names that do not exist: persons, organisations, places, drugs, diseases, numbers and dates, made from parts."""

from __future__ import annotations

import random

from tools.embedded_base.word_lists import GENERAL, MEDICAL


def make_person(generator: random.Random) -> str:
    """A Chinese name (three in four), a transliterated or a Japanese one."""
    kind = generator.random()
    if kind < 0.72:
        surname = generator.choice(GENERAL["common_surnames"] if generator.random() < 0.6 else GENERAL["surnames"])
        return surname + "".join(
            generator.choice(GENERAL["given_characters"]) for _ in range(1 if generator.random() < 0.25 else 2)
        )
    if kind < 0.95:
        parts = [
            "".join(generator.choice(GENERAL["translit"]) for _ in range(generator.randint(2, 4)))
            for _ in range(1 if generator.random() < 0.55 else 2)
        ]
        if generator.random() < 0.03:
            parts.append("".join(generator.choice(GENERAL["translit"]) for _ in range(2)))
        return "·".join(parts)
    return generator.choice(GENERAL["japanese_surnames"]) + generator.choice(GENERAL["japanese_given"])


def make_place(generator: random.Random) -> str:
    """A country, province, city, district, made county or village, street, river."""
    kind = generator.random()
    if kind < 0.22:
        return generator.choice(GENERAL["countries"])
    if kind < 0.34:
        return generator.choice(GENERAL["foreign_cities"])
    if kind < 0.60:
        return generator.choice(GENERAL["cities"]) + generator.choice(("", "", "市"))
    if kind < 0.68:
        return generator.choice(GENERAL["provinces"]) + generator.choice(("", "", "省"))
    if kind < 0.74:
        return generator.choice(GENERAL["regions"])
    if kind < 0.80:
        return generator.choice(GENERAL["districts"])
    if kind < 0.92:
        stem = generator.choice(GENERAL["company_stems"]) + generator.choice("山河江湖阳口州安城水源田岭关坪泉平宁川丰")
        return stem + generator.choice(GENERAL["place_kinds"])
    if kind < 0.96:
        return "".join(generator.choice(GENERAL["translit"]) for _ in range(generator.randint(2, 4))) + generator.choice(
            ("", "州", "岛", "市", "河")
        )
    return generator.choice(GENERAL["cities"]) + generator.choice(("市", "")) + generator.choice(GENERAL["districts"])


def make_company(generator: random.Random) -> str:
    """A company: from the list, or place, stem and kind."""
    if generator.random() < 0.25:
        return generator.choice(GENERAL["company_names"])
    place = generator.choice(
        (
            "",
            generator.choice(GENERAL["cities"]),
            generator.choice(GENERAL["cities"]) + "市",
            generator.choice(GENERAL["provinces"]),
        )
    )
    stem = "".join(generator.choice(GENERAL["company_stems"]) for _ in range(2))
    if generator.random() < 0.15:
        return "".join(generator.choice(GENERAL["translit"]) for _ in range(generator.randint(2, 4))) + generator.choice(
            ("公司", "集团", "汽车公司", "银行", "石油公司")
        )
    return place + stem + generator.choice(GENERAL["company_kinds"])


def make_organization(generator: random.Random) -> str:
    """An agency, university, local body, company or team."""
    kind = generator.random()
    if kind < 0.26:
        return generator.choice(GENERAL["agencies"])
    if kind < 0.36:
        return generator.choice(GENERAL["universities"])
    if kind < 0.66:
        if generator.random() < 0.6:
            place = generator.choice(GENERAL["cities"]) + generator.choice(("", "市"))
        else:
            place = generator.choice(GENERAL["provinces"]) + generator.choice(("", "省"))
        return place + generator.choice(GENERAL["org_tails"])
    if kind < 0.70:
        return generator.choice(GENERAL["countries"]) + generator.choice(GENERAL["state_bodies"])
    if kind < 0.74:
        return (
            generator.choice(GENERAL["cities"])
            + "".join(generator.choice(GENERAL["company_stems"]) for _ in range(2))
            + generator.choice(GENERAL["team_kinds"])
        )
    if kind < 0.79:
        return "中国" + generator.choice(GENERAL["association_fields"]) + generator.choice(GENERAL["association_kinds"])
    return make_company(r)


def make_herb(generator: random.Random) -> str:
    """A herb, at times with its preparation."""
    name = generator.choice(MEDICAL["herbs"])
    if generator.random() < 0.06 and name[0] not in "炒炙焦煅生制酒醋盐":
        name = generator.choice("炒炙焦煅生制酒醋盐") + name
    return name


def make_formula(generator: random.Random) -> str:
    """A classical formula, a modified one, or a made one."""
    kind = generator.random()
    if kind < 0.58:
        name = generator.choice(MEDICAL["formulas"])
        return generator.choice(("加味", "加减", "", "", "", "", "", "")) + name
    if kind < 0.68:
        return generator.choice(MEDICAL["formulas"]) + generator.choice(
            ("加减", "加味", "化裁", "合" + generator.choice(MEDICAL["formulas"]))
        )
    if kind < 0.88:
        verbs = "".join(generator.sample(MEDICAL["principle_verbs"], generator.randint(1, 2)))
        return generator.choice(("自拟", "", "", "")) + verbs + generator.choice(MEDICAL["formula_kinds"])
    herbs = "".join(generator.choice(MEDICAL["herbs"])[:2] for _ in range(generator.randint(1, 3)))
    return herbs + generator.choice(MEDICAL["formula_kinds_plain"])


def make_patent(generator: random.Random) -> str:
    """A Chinese patent medicine."""
    return generator.choice(MEDICAL["patent_stems"]) + generator.choice(MEDICAL["patent_kinds"])


def make_western_drug(generator: random.Random) -> str:
    """A Western drug, at times with its form."""
    return generator.choice(MEDICAL["western_drugs"]) + (
        generator.choice(MEDICAL["drug_forms"]) if generator.random() < 0.3 else ""
    )


def make_disease(generator: random.Random) -> str:
    """A disease by list, or head, organ and kind; at times two joined as one."""
    kind = generator.random()
    if kind < 0.58:
        return generator.choice(MEDICAL["diseases"])
    if kind < 0.68:
        return generator.choice(MEDICAL["disease_heads"]) + generator.choice(MEDICAL["diseases"])
    if kind < 0.90:
        head = generator.choice(MEDICAL["disease_heads"]) if generator.random() < 0.5 else ""
        return head + generator.choice(MEDICAL["organs"]) + generator.choice(MEDICAL["disease_tails"])
    if kind < 0.95:
        return generator.choice(MEDICAL["diseases"]) + generator.choice(MEDICAL["disease_stages"])
    return (
        generator.choice(MEDICAL["diseases"])
        + generator.choice(MEDICAL["disease_joins"])
        + generator.choice(MEDICAL["diseases"])
    )


def make_syndrome(generator: random.Random) -> str:
    """A syndrome with or without 证/型."""
    if generator.random() < 0.65:
        name = generator.choice(MEDICAL["syndrome_whole"])
    else:
        name = generator.choice(MEDICAL["syndrome_organ"]) + generator.choice(MEDICAL["syndrome_tail"])
    if generator.random() < 0.12:
        name += generator.choice(MEDICAL["syndrome_whole"])
    return name + generator.choice(("证", "型", "", "", ""))


def make_principle(generator: random.Random) -> str:
    """One to three verbs of treatment as one phrase: 活血化瘀止痛."""
    return "".join(generator.sample(MEDICAL["principle_verbs"], generator.choice((1, 2, 2, 2, 2, 2, 3))))


def make_symptom(generator: random.Random) -> str:
    """A symptom, at times with body part or degree."""
    kind = generator.random()
    if kind < 0.80:
        return generator.choice(MEDICAL["symptoms"])
    if kind < 0.92:
        part = generator.choice(MEDICAL["body_parts"])
        return part + generator.choice(MEDICAL["symptom_kinds"])
    return generator.choice(MEDICAL["symptom_degrees"]) + generator.choice(MEDICAL["symptoms"])


def make_date(generator: random.Random) -> str:
    """A date in one of the usual writings."""
    year, month, day = generator.randint(1900, 2025), generator.randint(1, 12), generator.randint(1, 28)
    return generator.choice(
        (f"{year}年{month}月{day}日", f"{year}年{month}月{day}日", f"{month}月{day}日", f"{year}年{month}月", f"{year}年")
    )


def make_dose(generator: random.Random) -> str:
    """Grams of a herb."""
    return (
        f"{generator.choice((3, 5, 6, 9, 10, 12, 15, 18, 20, 24, 30, 45, 60))}{generator.choice(('g', 'g', 'g', '克', '克'))}"
    )


def make_drug_dose(generator: random.Random) -> str:
    """Dose of a Western drug."""
    return generator.choice(MEDICAL["drug_doses"])


def make_number(generator: random.Random) -> str:
    """A count, small more often than large."""
    return str(
        generator.choice(
            (generator.randint(1, 12), generator.randint(10, 99), generator.randint(100, 999), generator.randint(1000, 99999))
        )
    )
