"""Doses, times, vital signs and laboratory values made from numbers. In: a random source. Out: strings, without types."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

INDICATORS = {  # lowest and highest value, unit
    "CRP": (3, 160, "mg/L"),
    "降钙素原": (0, 9, "ng/ml"),
    "血淀粉酶": (60, 900, "U/L"),
    "ALT": (12, 380, "U/L"),
    "总胆红素": (8, 120, "μmol/L"),
    "甲胎蛋白": (2, 90, "ng/ml"),
    "肌钙蛋白": (0, 8, "ng/ml"),
    "BNP": (40, 2600, "pg/ml"),
    "INR": (1, 4, ""),
    "D-二聚体": (0, 6, "mg/L"),
    "低密度脂蛋白": (2, 6, "mmol/L"),
    "糖化血红蛋白": (5, 12, "%"),
    "空腹血糖": (4, 16, "mmol/L"),
    "餐后血糖": (6, 22, "mmol/L"),
    "TSH": (0, 19, "mIU/L"),
    "血尿酸": (240, 680, "μmol/L"),
    "类风湿因子": (8, 210, "IU/ml"),
    "血沉": (6, 98, "mm/h"),
    "血肌酐": (55, 420, "μmol/L"),
    "PSA": (1, 28, "ng/ml"),
    "同型半胱氨酸": (8, 42, "μmol/L"),
    "总IgE": (60, 980, "IU/ml"),
    "眼压": (11, 38, "mmHg"),
}
_GRAMS = (
    "0.1g",
    "0.2g",
    "0.25g",
    "0.3g",
    "0.5g",
    "0.75g",
    "1g",
    "2.5mg",
    "5mg",
    "10mg",
    "20mg",
    "25mg",
    "40mg",
    "50mg",
    "75mg",
    "100mg",
    "150mg",
)
_AMOUNTS = {  # by how the drug's name ends; others are dosed in grams
    "片": (*_GRAMS, "1片", "2片", "3片", "半片"),
    "胶囊": (*_GRAMS, "1粒", "2粒", "3粒", "4粒"),
    "丸": ("1丸", "3丸", "6丸", "8丸", "3g", "6g"),
    "颗粒": ("1袋", "2袋", "半袋", "5g", "10g"),
    "散": ("1袋", "2袋", "3g"),
    "液": ("5ml", "8ml", "10ml", "15ml", "20ml", "1支", "2支"),
    "糖浆": ("5ml", "10ml", "15ml"),
    "膏": ("0.5g", "1g", "5g", "10g"),
    "剂": ("1喷", "2喷", "3喷", "5ml", "1吸"),
    "滴眼液": ("1滴", "2滴"),
    "滴耳液": ("3滴", "5滴", "6滴"),
    "素": ("4U", "6U", "8U", "10U", "12U", "16U", "20U"),
}
_LATIN = ("qd", "bid", "tid", "qid", "qn", "q6h", "q8h", "q12h", "qod")
_ORAL = ("片", "胶囊", "丸", "颗粒")
_PER_DAY = (
    "每日1次",
    "每日2次",
    "每日3次",
    "每日4次",
    "每晚1次",
    "每8小时1次",
    "每12小时1次",
    "每周1次",
    "每周2次",
    "隔日1次",
    "一天2次",
    "一天3次",
)
_CHINESE_NUMBERS = ("一", "两", "三", "四", "五", "六", "八", "十")


def dose(random: Random, drug: str) -> str:
    """An amount that suits `drug`, a frequency, or both without punctuation between them: one mention."""
    endings = [ending for ending in _AMOUNTS if drug.endswith(ending)]
    amount = random.choice(_AMOUNTS[max(endings, key=len)] if endings else _GRAMS)
    forms: tuple[Callable[[], str], ...] = (
        lambda: f"{amount} {'po ' if drug.endswith(_ORAL) and random.random() < 0.3 else ''}{random.choice(_LATIN)}",
        lambda: f"每次{amount}{random.choice(_PER_DAY)}",
        lambda: f"{amount}{random.choice(_PER_DAY)}",
        lambda: f"每次{amount}",
        lambda: f"{amount}/次",
        lambda: random.choice(_PER_DAY),
    )
    return random.choices(forms, weights=(4, 3, 3, 2, 1, 1))[0]()


def spell(random: Random) -> str:
    """How long one attack lasts."""
    return random.choice(
        (
            f"{random.randint(2, 50)}分钟",
            f"{random.randint(2, 9)}小时",
            f"约{random.randint(1, 6) * 10}分钟",
            "半小时",
            "近一小时",
        )
    )


def course(random: Random) -> str:
    """How long a treatment shall last."""
    return random.choice(
        (f"{random.randint(3, 14)}天", f"{random.randint(1, 8)}周", f"{random.randint(1, 3)}个月", "半个月", "两周", "十天")
    )


def duration(random: Random) -> str:
    """How long something has lasted."""
    day = f"{random.randint(2, 20)}天"
    forms = (
        day,
        f"{random.randint(2, 9)}{random.choice(('周', '个月', '年', '小时'))}",
        f"{random.choice(('近', ''))}{random.choice(_CHINESE_NUMBERS)}{random.choice(('天', '周', '个月', '年'))}",
        f"{random.randint(2, 15)}{random.choice(('天余', '年余', '个月余', '小时余'))}",
        random.choice(
            ("半天", "半月", "半个月", "半年", "近半年", "1个半月", "一年多", "半年余", "十余年", "数日", "数月", "20余年")
        ),
    )
    return random.choice(forms)


def ago(random: Random) -> str:
    """A time counted back from the visit."""
    return duration(random) + "前"


def later(random: Random) -> str:
    """A time counted forward from the visit."""
    return (
        random.choice(
            (f"{random.randint(2, 14)}天", f"{random.randint(1, 8)}周", f"{random.randint(1, 6)}个月", "半年", "一年")
        )
        + "后"
    )


def moment(random: Random) -> str:
    """A date or a point in time."""
    date = f"{random.randint(1, 12)}月{random.randint(1, 28)}日"
    forms = (
        date,
        f"{random.randint(2015, 2025)}年{date}",
        f"{random.randint(2015, 2025)}年{random.randint(1, 12)}月",
        f"{random.choice(('今日', '昨日', '前日'))}{random.choice(('清晨', '上午', '中午', '下午', '傍晚', '夜间'))}",
        random.choice(("今晨", "昨晚", "昨日", "前天夜里", "今日凌晨", "上周末", "去年冬天", "今年春天", "上月初", "昨天半夜")),
        f"{random.randint(2018, 2025)}-{random.randint(1, 12):02}-{random.randint(1, 28):02}",
        f"{date}{random.choice(('上午', '下午'))}{random.randint(2, 11)}时",
    )
    return random.choice(forms)


def vital_signs(random: Random) -> str:
    """Measured values that look like doses; never mentions."""
    signs = (
        f"体温{random.randint(361, 395) / 10}℃",
        f"血压{random.randint(95, 175)}/{random.randint(58, 105)}mmHg",
        f"心率{random.randint(56, 118)}次/分",
        f"呼吸{random.randint(14, 26)}次/分",
        f"体重{random.randint(42, 96)}kg",
        f"身高{random.randint(150, 186)}cm",
        f"血氧饱和度{random.randint(90, 99)}%",
    )
    return "，".join(random.sample(signs, random.randint(1, 4)))


def measured(random: Random, indicator: str) -> str:
    """The value of a laboratory figure; looks like a dose and is none."""
    low, high, unit = INDICATORS[indicator]
    return f"{random.randint(low, high) if high - low > 60 else random.randint(low * 10, high * 10) / 10}{unit}"
