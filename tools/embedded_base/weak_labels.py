"""Weak labels on real text: patterns and word lists; precise rather than complete, and all occurrences of what they know.

In: a text and its domain. Out: `Labelled`. It knows nothing about prompts or tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from tools.embedded_base.concepts import Labelled, Range
from tools.embedded_base.word_lists import GENERAL, MEDICAL

_CN = "一二三四五六七八九十百千万两零〇"
_NUMBER = r"(?:\d[\d,，]*(?:\.\d+)?|[一二三四五六七八九十两百千]+)"
_UNITS = (
    "平方公里|平方千米|平方米|立方米|公里|千米|厘米|毫米|公顷|英里|英尺|公斤|千克|毫克|毫升|公升|分钟|小时|个月|人次|万人|亿人|万吨|大卡|kg|mg|ml|cm|mm|km|GB|MB|KB|TB|"
    "米|吨|克|升|年|天|日|周|秒|人|名|位|个|件|次|座|所|家|辆|架|艘|台|部|本|篇|首|种|项|条|张|只|头|匹|棵|间|层|票|场|g|岁"
)
_LATIN = r"[A-Za-z][A-Za-z0-9]*(?:[ .+#'_/-]{1}[A-Za-z0-9]+)*[+#]{0,2}"

# One group or none: where a pattern has a group, the group is the span.
PATTERNS: dict[str, re.Pattern[str]] = {
    "date": re.compile(
        r"(?:公元前?)?(?:\d{3,4}|[〇零一二三四五六七八九]{4})年(?:\d{1,2}月(?:\d{1,2}[日号])?)?|(?<!\d)\d{1,2}月(?:\d{1,2}[日号])|"
        r"\d{4}-\d{1,2}-\d{1,2}|[一二三四五六七八九十]{1,2}月[一二三四五六七八九十]{1,3}[日号]"
    ),
    "clock": re.compile(r"(?:上午|下午|晚上|凌晨|中午|早上)?\d{1,2}(?:[:：]\d{2}|点(?:\d{1,2}分|半)?|时\d{1,2}分)"),
    "percent": re.compile(r"(?:\d+(?:\.\d+)?%|百分之[一二三四五六七八九十百零点]+|\d+(?:\.\d+)?％)"),
    "money": re.compile(
        _NUMBER + r"(?:多|余)?[万亿]?(?:美元|欧元|英镑|日元|港元|港币|人民币|元|块钱|镑|法郎|马克|卢布|新台币)"
    ),
    "amount": re.compile(r"(?:\d[\d,]*(?:\.\d+)?)(?:多|余)?[万亿]? ?(?:" + _UNITS + ")"),
    "book": re.compile(r"《([^《》\n]{1,40})》"),
    "quotation": re.compile(r"[“「]([^“”「」\n]{1,60})[”」]"),
    "bracket": re.compile(r"[（(]([^（）()\n]{1,40})[)）]"),
    "article": re.compile(rf"第[{_CN}]+条(?:第[{_CN}]+款)?(?:第[{_CN}]+项)?|第\d+条"),
    "latin": re.compile(_LATIN),
    "number": re.compile(r"\d+(?:\.\d+)?"),
    "phone": re.compile(r"(?<!\d)(?:0\d{2,3}-\d{7,8}|1[3-9]\d{9}|400-\d{3}-\d{4}|[2-8]\d{7})(?!\d)"),
    "rating": re.compile(r"(?<![\d.])\d(?:\.\d)?分(?!钟|之)"),
    "shop": re.compile(r"(?<![一-鿿])[一-鿿A-Za-z·' ]{2,14}[（(][^（）()\n]{1,10}店[)）]"),
    "age": re.compile(r"(?:\d{1,3}|[一二三四五六七八九十]{1,3})(?:多)?(?:周?岁|个月大)"),
    "duration": re.compile(
        rf"(?:\d+|[{_CN}半]+)(?:多|余)?(?:年|个月|个多月|天|周|个星期"
        r"|小时|个小时|分钟)(?:多|余|来)?(?![\d月初底前代])"
    ),
    "ordinal": re.compile(rf"第[{_CN}\d]+(?:章|节|次|届|个|名|位|版|回|部|期|批)"),
}  # fmt: skip
_BODY_STATE = re.compile(
    r"(?:国务院|省、自治区、直辖市|设区的市|县级以上|各级|市|县|省|区|乡镇|镇|乡|所在地)?(?:地方)?(?:各级)?人民政府|(?:国务院|公安|检察|审判|税务|司法行政|市场监督管理|监察|海关|行政|登记|审批|监督管理|主管)机关|"
    r"人民法院|人民检察院|(?:[一-鿿]{2,8}(?<![和及与由向对经在的]))(?:主管部门|行政部门)|常务委员会|国务院"
)
_TRANSLIT = "".join(sorted({character for part in GENERAL["translit"] for character in part} | set(GENERAL["more_translit"])))
_FOREIGN_PERSON = re.compile(rf"[{_TRANSLIT}]{{1,6}}(?:[·・•][{_TRANSLIT}]{{1,7}}){{1,3}}(?![·・•])")
_SURNAME = "(?:" + "|".join(sorted(GENERAL["surnames"], key=len, reverse=True)) + ")"
_GIVEN = "[" + "".join(GENERAL["given_characters"]) + "]"
_TITLE = "|".join(sorted(GENERAL["titles"], key=len, reverse=True))
_TITLED_PERSON = re.compile(
    rf"(?:{_TITLE})({_SURNAME}{_GIVEN}{{1,2}})(?=[^一-鿿]|[说表在于对率会与和的任向就主出等今昨日为及]|$)"
)
_SPEAKING_PERSON = re.compile(
    rf"(?<![一-鿿])({_SURNAME}{_GIVEN}{{1,2}})(?=说|表示|指出|认为|强调|出生于|出生在|毕业于|先生|女士|教授|担任|（[^）]{{0,30}}\d{{3,4}}年)"
)
_ORG_SUFFIX = (
    "大学|学院|中学|小学|公司|集团|银行|出版社|电视台|广播电台|日报|研究所|研究院|委员会|协会|学会|基金会|俱乐部|医院|博物馆|图书馆|乐团|联盟|工会|警察局|法院|议会|政府|党|军区|"
    "舰队|教会|剧团|唱片公司|航空公司|事务所|交易所|足球队|篮球队|电影公司|制片厂|邮报|时报|杂志社"
)
_ORG = re.compile(
    rf"(?<![一-鿿A-Za-z])(?:于|在|由|与|和|任|从|为|是|到|向|被|及|加入|加盟|就读于|毕业于|任职于)?"
    rf"((?:[^\W\d_的了在是于由与和及为一此该本某各其这那有从到向被以任等将对或两几全个名所间入盟读职前后新开曾又都并后]){{2,9}}?(?:{_ORG_SUFFIX}))(?![一-鿿]{{0,1}}(?:{_ORG_SUFFIX}))"
)

# Strings that the lists hold but that mean something else too often in everyday medical questions.
_AMBIGUOUS = set(GENERAL["ambiguous"])


def _words(words: Iterable[str], concept: str, table: dict[str, str]) -> None:
    for word in words:
        if len(word) >= 2 and word not in _AMBIGUOUS:
            table.setdefault(word, concept)


@cache
def lexicon(domain: str) -> dict[str, str]:
    """Word to concept; a word of two concepts belongs to the one listed first. Empty for a domain without lists."""
    table: dict[str, str] = {}
    builders = {
        "medical": _add_medical,
        "general": _add_names,
        "recipe": lambda t: (_words(GENERAL["foods"], "food", t), _words(GENERAL["tools"], "tool", t)),
        "technical": lambda t: _words(GENERAL["software"], "software", t),
    }
    if domain in builders:
        builders[domain](table)
    return table


def _add_medical(table: dict[str, str]) -> None:
    organ_diseases = [organ + tail for organ in MEDICAL["organs"] for tail in MEDICAL["disease_tails"]]
    diseases = (*MEDICAL["diseases"], *organ_diseases)
    complaints = (part + tail for part in MEDICAL["everyday_parts"] for tail in MEDICAL["everyday_complaints"])
    _words((stem + kind for stem in MEDICAL["patent_stems"] for kind in MEDICAL["patent_kinds"]), "patent", table)
    _words(MEDICAL["formulas"], "formula", table)
    _words(MEDICAL["western_drugs"], "western_drug", table)
    _words((*MEDICAL["symptoms"], *complaints), "symptom", table)
    _words((head + name for head in MEDICAL["disease_heads"] for name in diseases), "disease", table)
    _words((*diseases, *MEDICAL["everyday_diseases"]), "disease", table)
    _words(MEDICAL["exams"], "exam", table)
    _words(MEDICAL["herbs"], "herb", table)
    _words(GENERAL["foods"], "food", table)
    _words(MEDICAL["departments"], "department", table)
    _words(MEDICAL["body_parts"], "body", table)
    _words((*MEDICAL["therapies"], *MEDICAL["western_treatments"]), "treatment", table)


def _add_names(table: dict[str, str]) -> None:
    roots = (*GENERAL["provinces"], *GENERAL["cities"])
    abroad = (*GENERAL["foreign_cities"], *GENERAL["countries"])
    _words((*GENERAL["agencies"], *GENERAL["universities"], *GENERAL["company_names"]), "organization", table)
    _words(
        (root + mark + tail for root in roots for mark in ("", *"省市县区") for tail in GENERAL["org_tails"]),
        "organization",
        table,
    )
    _words((root + mark for root in roots for mark in GENERAL["domestic_marks"]), "place", table)
    _words((name + mark for name in abroad for mark in "州市省郡"), "place", table)
    _words((*roots, *abroad, *GENERAL["regions"], *GENERAL["districts"]), "place", table)


@cache
def _longest_by_head(domain: str) -> dict[str, int]:
    """First two characters to the length of the longest word that begins with them."""
    longest: dict[str, int] = {}
    for word in lexicon(domain):
        longest[word[:2]] = max(len(word), longest.get(word[:2], 0))
    return longest


def scan(text: str, domain: str) -> dict[str, list[Range]]:
    """Leftmost-longest matches of the domain's words; a Latin word only as a whole word."""
    table, longest = lexicon(domain), _longest_by_head(domain)
    found: dict[str, list[Range]] = {}
    place, end = 0, len(text)
    while place < end:
        for size in range(min(longest.get(text[place : place + 2], 0), end - place), 1, -1):
            word = text[place : place + size]
            concept = table.get(word)
            if concept is not None and not (word.isascii() and _inside_latin(text, place, place + size)):
                found.setdefault(concept, []).append((place, place + size))
                place += size - 1
                break
        place += 1
    return found


def _inside_latin(text: str, start: int, end: int) -> bool:
    before, after = text[start - 1 : start], text[end : end + 1]
    return (before.isascii() and before.isalnum()) or (after.isascii() and after.isalnum())


def match_patterns(text: str) -> dict[str, list[Range]]:
    """Spans of every pattern."""
    found = {}
    for concept, pattern in PATTERNS.items():
        group = pattern.groups
        found[concept] = [match.span(group) for match in pattern.finditer(text)]
    taken = found["date"] + found["age"] + found["money"]
    for concept in ("amount", "duration"):
        found[concept] = [span for span in found[concept] if not any(span[0] < end and start < span[1] for start, end in taken)]
    return found


def label(text: str, domain: str, persons: Iterable[str] = ()) -> Labelled:
    """All concepts that the rules can find in a text of `domain`.

    Args:
        text: any text.
        domain: `medical`, `general`, `recipe`, `technical`, `law`, or another name for patterns alone.
        persons: names known from the document that the text is part of.
    """
    spans = match_patterns(text)
    known = {
        "medical": "symptom herb formula patent western_drug disease exam food department body treatment",
        "general": "place organization person",
        "recipe": "food tool",
        "technical": "software",
        "law": "body_organ_state",
    }.get(domain, "")
    for concept in known.split():
        spans[concept] = []
    if domain in {"medical", "recipe", "technical", "general"}:
        spans |= scan(text, domain)
    if domain == "general":
        _label_names(text, spans, persons)
    if domain == "law":
        spans["body_organ_state"] = [match.span() for match in _BODY_STATE.finditer(text)]
    for concept in ("shop", "rating", "phone"):
        if domain != "dialogue" and not spans[concept]:
            del spans[concept]
    return Labelled(text, spans)


def _label_names(text: str, spans: dict[str, list[Range]], persons: Iterable[str]) -> None:
    """Persons, organisations and places of one text, flat: the longer one wins, as news corpora are annotated."""
    people = [match.span() for match in _FOREIGN_PERSON.finditer(text)]
    people += [match.span(1) for pattern in (_TITLED_PERSON, _SPEAKING_PERSON) for match in pattern.finditer(text)]
    names = {text[start:end] for start, end in people if "·" not in text[start:end]} | set(persons)
    people += [match.span() for name in names for match in re.finditer(re.escape(name), text)]
    organizations = spans["organization"] + [match.span(1) for match in _ORG.finditer(text)]
    flat = keep_longest(
        [("person", *r) for r in people]
        + [("organization", *r) for r in organizations]
        + [("place", *r) for r in spans["place"]]
    )
    for concept in ("person", "organization", "place"):
        spans[concept] = [(start, end) for found, start, end in flat if found == concept]


def keep_longest(items: list[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """A subset without overlaps, longer items first, in text order."""
    kept: list[tuple[str, int, int]] = []
    for item in sorted(set(items), key=lambda item: (item[1] - item[2], item[1])):
        if not any(item[1] < end and start < item[2] for _, start, end in kept):
            kept.append(item)
    return sorted(kept, key=lambda item: item[1])


def find_document_persons(document: str) -> set[str]:
    """Names that an encyclopaedic article introduces with dates of birth, or that stand with a middle dot."""
    heads = re.findall(rf"(?:^|\n)({_SURNAME}[一-鿿]{{1,2}})（[^）]{{0,60}}\d{{3,4}}年", document)
    foreign = {part for name in _FOREIGN_PERSON.findall(document) for part in (re.split("[·・•]", name)[-1],) if len(part) >= 3}
    return set(heads) | foreign
