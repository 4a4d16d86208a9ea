"""Grammar of made news, biographies, notices and contracts; persons, places and organisations are labelled flat.

Templates stand in `words/news_templates.txt`; here stand the slots that need code or a word list.
"""

from __future__ import annotations

import random

from tools.embedded_base import made_names as names
from tools.embedded_base.made_text import Production
from tools.embedded_base.word_lists import GENERAL, read_templates

KNOWN = ("person", "place", "organization", "title", "event", "money", "percent", "date", "sport", "product")
# Contracts and forms label parties and addresses whole, so names inside them are not asked for.
KNOWN_IN_CONTRACTS = ("party", "address", "money", "date", "product", "id_number", "percent")


def make_money(generator: random.Random) -> str:
    """An amount of money."""
    figure = generator.choice((generator.randint(1, 99), generator.randint(100, 9999), f"{generator.uniform(1, 99):.1f}"))
    return f"{figure}{generator.choice(GENERAL['money_units'])}"


def make_id(generator: random.Random) -> str:
    """A number of a contract or document."""
    year, number = generator.randint(1990, 2025), generator.randint(1, 999)
    return generator.choice(
        (f"{generator.choice('京沪粤浙苏川鄂')}字第{number}号", f"HT-{year}-{number:03d}", f"〔{year}〕{number}号")
    )


def make_address(generator: random.Random) -> str:
    """City, district, road and number."""
    city, district = generator.choice(GENERAL["cities"]), generator.choice(GENERAL["districts"])
    road = generator.choice(GENERAL["address_roads"]) + generator.choice(GENERAL["road_kinds"])
    return f"{city}市{district}{road}{generator.randint(1, 999)}号"


def make_village(generator: random.Random) -> str:
    """A village or township."""
    return generator.choice(GENERAL["company_stems"]) + generator.choice(GENERAL["village_stems"]) + generator.choice("村镇乡")


def make_percent(generator: random.Random) -> str:
    """A percentage with up to two decimals."""
    return f"{generator.uniform(0.5, 95):.{generator.choice((0, 1, 2))}f}%"


GRAMMAR: dict[str, Production] = {
    **read_templates("news_templates.txt"),
    "person": names.make_person,
    "place": names.make_place,
    "organization": names.make_organization,
    "company": names.make_company,
    "city": GENERAL["cities"],
    "country": GENERAL["countries"],
    "province": GENERAL["provinces"],
    "title": GENERAL["titles"],
    "event": GENERAL["events"],
    "sport": GENERAL["sports"],
    "agency": GENERAL["agencies"],
    "date": names.make_date,
    "money": make_money,
    "id_number": make_id,
    "address": make_address,
    "village": make_village,
    "percent": make_percent,
    "n": names.make_number,
    "day": lambda generator: f"{generator.randint(1, 31)}日",
    "small": lambda generator: str(generator.randint(2, 9)),
}
