"""Names that do not exist: persons, organisations, places, drugs, diseases, numbers and dates, made from parts."""

from __future__ import annotations

import random

from tools.embedded_base import lexicon_general as general
from tools.embedded_base import lexicon_medical as medical

_DIGITS = "一二三四五六七八九十"


def make_person(r: random.Random) -> str:
    """A Chinese name (three in four), a transliterated or a Japanese one."""
    kind = r.random()
    if kind < 0.72:
        surname = r.choice(general.COMMON_SURNAMES if r.random() < 0.6 else general.SURNAMES)
        return surname + "".join(r.choice(general.GIVEN_CHARACTERS) for _ in range(1 if r.random() < 0.25 else 2))
    if kind < 0.95:
        parts = ["".join(r.choice(general.TRANSLIT) for _ in range(r.randint(2, 4))) for _ in range(1 if r.random() < 0.55 else 2)]
        if r.random() < 0.03:
            parts.append("".join(r.choice(general.TRANSLIT) for _ in range(2)))
        return "·".join(parts)
    return r.choice(general.JAPANESE_SURNAMES) + r.choice(general.JAPANESE_GIVEN)


def make_place(r: random.Random) -> str:
    """A country, province, city, district, made county or village, street, river."""
    kind = r.random()
    if kind < 0.22:
        return r.choice(general.COUNTRIES)
    if kind < 0.34:
        return r.choice(general.FOREIGN_CITIES)
    if kind < 0.60:
        return r.choice(general.CITIES) + r.choice(("", "", "市"))
    if kind < 0.68:
        return r.choice(general.PROVINCES) + r.choice(("", "", "省"))
    if kind < 0.74:
        return r.choice(general.REGIONS)
    if kind < 0.80:
        return r.choice(general.DISTRICTS)
    if kind < 0.92:
        stem = r.choice(general.COMPANY_STEMS) + r.choice("山河江湖阳口州安城水源田岭关坪泉平宁川丰")
        return stem + r.choice("县 市 镇 乡 村 区 路 大街 山 河 岛 湖 桥 水库 庄 屯 寨 港 湾 机场".split())
    if kind < 0.96:
        return "".join(r.choice(general.TRANSLIT) for _ in range(r.randint(2, 4))) + r.choice(("", "州", "岛", "市", "河"))
    return r.choice(general.CITIES) + r.choice(("市", "")) + r.choice(general.DISTRICTS)


def make_company(r: random.Random) -> str:
    """A company: from the list, or place, stem and kind."""
    if r.random() < 0.25:
        return r.choice(general.COMPANY_NAMES)
    place = r.choice(("", r.choice(general.CITIES), r.choice(general.CITIES) + "市", r.choice(general.PROVINCES)))
    stem = "".join(r.choice(general.COMPANY_STEMS) for _ in range(2))
    if r.random() < 0.15:
        return "".join(r.choice(general.TRANSLIT) for _ in range(r.randint(2, 4))) + r.choice(("公司", "集团", "汽车公司", "银行", "石油公司"))
    return place + stem + r.choice(general.COMPANY_KINDS)


def make_organization(r: random.Random) -> str:
    """An agency, university, local body, company or team."""
    kind = r.random()
    if kind < 0.26:
        return r.choice(general.AGENCIES)
    if kind < 0.36:
        return r.choice(general.UNIVERSITIES)
    if kind < 0.66:
        if r.random() < 0.6:
            place = r.choice(general.CITIES) + r.choice(("", "市"))
        else:
            place = r.choice(general.PROVINCES) + r.choice(("", "省"))
        return place + r.choice(general.ORG_TAILS)
    if kind < 0.70:
        return r.choice(general.COUNTRIES) + r.choice("外交部 国防部 议会 政府 总统府 驻华大使馆 国家队 足协 中央银行 奥委会 最高法院 空军 海军 共产党 社会党 队".split())
    if kind < 0.74:
        return r.choice(general.CITIES) + "".join(r.choice(general.COMPANY_STEMS) for _ in range(2)) + r.choice("队 足球俱乐部 男篮 女排 女足".split())
    if kind < 0.79:
        return "中国" + r.choice("作家 企业家 足球 篮球 书法家 摄影家 医师 中医药 律师 消费者 记者 计算机 科学技术 老年 青少年 残疾人 音乐家 贸易促进 环境保护".split()) + r.choice("协会 联合会 学会 基金会 委员会".split())
    return make_company(r)


def make_herb(r: random.Random) -> str:
    """A herb, at times with its preparation."""
    name = r.choice(medical.HERBS)
    if r.random() < 0.06 and name[0] not in "炒炙焦煅生制酒醋盐":
        name = r.choice("炒炙焦煅生制酒醋盐") + name
    return name


def make_formula(r: random.Random) -> str:
    """A classical formula, a modified one, or a made one."""
    kind = r.random()
    if kind < 0.58:
        name = r.choice(medical.FORMULAS)
        return r.choice(("加味", "加减", "", "", "", "", "", "")) + name
    if kind < 0.68:
        return r.choice(medical.FORMULAS) + r.choice(("加减", "加味", "化裁", "合" + r.choice(medical.FORMULAS)))
    if kind < 0.88:
        verbs = "".join(r.sample(medical.PRINCIPLE_VERBS, r.randint(1, 2)))
        return r.choice(("自拟", "", "", "")) + verbs + r.choice("汤 散 丸 方 饮 膏 颗粒 合剂 胶囊 煎 汤 汤".split())
    herbs = "".join(r.choice(medical.HERBS)[:2] for _ in range(r.randint(1, 3)))
    return herbs + r.choice("汤 散 丸 饮 汤 酒 膏 粥".split())


def make_patent(r: random.Random) -> str:
    """A Chinese patent medicine."""
    return r.choice(medical.PATENT_STEMS) + r.choice(medical.PATENT_KINDS)


def make_western_drug(r: random.Random) -> str:
    """A Western drug, at times with its form."""
    return r.choice(medical.WESTERN_DRUGS) + (r.choice("片 胶囊 注射液 缓释片 肠溶片 分散片 颗粒".split()) if r.random() < 0.3 else "")


def make_disease(r: random.Random) -> str:
    """A disease by list, or head, organ and kind; at times two joined as one."""
    kind = r.random()
    if kind < 0.58:
        return r.choice(medical.DISEASES)
    if kind < 0.68:
        return r.choice(medical.DISEASE_HEADS) + r.choice(medical.DISEASES)
    if kind < 0.90:
        head = r.choice(medical.DISEASE_HEADS) if r.random() < 0.5 else ""
        return head + r.choice(medical.ORGANS) + r.choice(medical.DISEASE_TAILS)
    if kind < 0.95:
        return r.choice(medical.DISEASES) + r.choice("术后 急性期 恢复期 缓解期 后遗症 并发症 合并感染 急性发作 后期 伴焦虑".split())
    return r.choice(medical.DISEASES) + r.choice("合并 并 伴".split()) + r.choice(medical.DISEASES)


def make_syndrome(r: random.Random) -> str:
    """A syndrome with or without 证/型."""
    if r.random() < 0.65:
        name = r.choice(medical.SYNDROME_PARTS["whole"])
    else:
        name = r.choice(medical.SYNDROME_PARTS["organ"]) + r.choice(medical.SYNDROME_PARTS["tail"])
    if r.random() < 0.12:
        name += r.choice(medical.SYNDROME_PARTS["whole"])
    return name + r.choice(("证", "型", "", "", ""))


def make_principle(r: random.Random) -> str:
    """One to three verbs of treatment as one phrase: 活血化瘀止痛."""
    return "".join(r.sample(medical.PRINCIPLE_VERBS, r.choice((1, 2, 2, 2, 2, 2, 3))))


def make_symptom(r: random.Random) -> str:
    """A symptom, at times with body part or degree."""
    kind = r.random()
    if kind < 0.80:
        return r.choice(medical.SYMPTOMS)
    if kind < 0.92:
        part = r.choice(medical.BODY_PARTS)
        return part + r.choice("疼痛 胀痛 刺痛 隐痛 不适 麻木 酸痛 灼热 瘙痒 肿胀 红肿 沉重感 冷痛 胀满".split())
    return r.choice("轻度 明显 反复 阵发性 持续性 间断 夜间 偶有 剧烈".split()) + r.choice(medical.SYMPTOMS)


def make_date(r: random.Random) -> str:
    """A date in one of the usual writings."""
    year, month, day = r.randint(1900, 2025), r.randint(1, 12), r.randint(1, 28)
    return r.choice((f"{year}年{month}月{day}日", f"{year}年{month}月{day}日", f"{month}月{day}日", f"{year}年{month}月", f"{year}年"))


def make_dose(r: random.Random) -> str:
    """Grams of a herb."""
    return f"{r.choice((3, 5, 6, 9, 10, 12, 15, 18, 20, 24, 30, 45, 60))}{r.choice(('g', 'g', 'g', '克', '克'))}"


def make_drug_dose(r: random.Random) -> str:
    """Dose of a Western drug."""
    return r.choice(("0.25g", "0.5g", "10mg", "20mg", "50mg", "100mg", "5mg", "75mg", "250ml", "10ml", "2片", "3粒", "1粒", "0.1g", "500mg", "4片", "1袋", "6g"))


def make_number(r: random.Random) -> str:
    """A count, small more often than large."""
    return str(r.choice((r.randint(1, 12), r.randint(10, 99), r.randint(100, 999), r.randint(1000, 99999))))
