"""The report in a real browser: it opens from disk, offline, and can be used by mouse, by keyboard, on a phone, in Chinese.

Needs Chromium and Playwright; where one is missing, the tests are skipped and say so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.reporting.test_reports import CASES, HOSTILE, assess_pairs, make_pairs, write

from extune.domain.annotation import Annotation, Extraction, Span
from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.domain.task import ExtractionTask
from extune.reporting.background import Background
from extune.reporting.scores_folder import write_scores_folder
from extune.studies.side_by_side import report_pair

pytest.importorskip("playwright", reason="Playwright is not installed: pip install -e .[dev]")

from playwright.sync_api import Browser, Page, sync_playwright
from tools.report_picture import PATIENCE, find_chromium

_TASK = ExtractionTask(types=dict.fromkeys(["药", "方", "症"], ""))
_TEXT = "𠮷服桂枝汤治头痛"  # the first character is two units of JavaScript
_GOLD = Extraction((Span("方", "桂枝汤", 2, 5), Span("药", "桂枝", 2, 4), Span("症", "头痛", 6, 8)))
_WRONG = Extraction((Span("方", "桂枝汤", 2, 5), Span("药", "枝汤治", 3, 6), Span("方", "头痛", 6, 8)))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"], timeout=PATIENCE)
        yield launched
        launched.close()


class Opened:
    """A page that was opened, and what went wrong in it."""

    def __init__(self, browser: Browser, path: Path, **context: Any) -> None:
        self.complaints: list[str] = []
        self.context = browser.new_context(
            offline=True, **{"viewport": {"width": 1200, "height": 900}, "locale": "en-US"} | context
        )
        self.context.set_default_timeout(PATIENCE)
        self.page: Page = self.context.new_page()
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.goto(path.as_uri())

    @property
    def status(self) -> str:
        return self.page.locator("#status").inner_text()

    def count(self, selector: str) -> int:
        return self.page.locator(selector).count()

    def close(self) -> None:
        self.context.close()
        assert not self.complaints


def _pairs(count: int, wrong: Annotation = _WRONG) -> list[tuple[Example, Prediction]]:
    """Every second document is wrong."""
    return [
        (Example(f"d-{number}", _TEXT, _GOLD), Prediction(f"d-{number}", wrong if number % 2 else _GOLD, "方：桂枝汤"))
        for number in range(count)
    ]


def test_filters_pages_and_marks(browser: Browser, tmp_path: Path) -> None:
    _, content = write(tmp_path, _TASK, _pairs(90))
    opened = Opened(browser, tmp_path / "report.html")
    page = opened.page
    assert opened.status == "1 to 20 of 45 chosen; 90 documents in all."
    assert opened.count("article") == 20
    page.locator("[data-step=last]").first.click()
    assert opened.status == "41 to 45 of 45 chosen; 90 documents in all."
    page.locator("[name=show]").select_option("")
    assert "of 90 chosen" in opened.status
    page.locator("[name=kind]").select_option(label="type (90)")
    assert "of 45 chosen" in opened.status
    page.locator("[name=search]").fill("d-89")
    assert opened.status == "1 to 1 of 1 chosen; 90 documents in all."
    marks = page.evaluate(
        "[...document.querySelectorAll('.sides > div')].map(side => [...side.querySelectorAll('mark')].map(mark => ["
        "mark.classList[0], mark.dataset.span, [...mark.childNodes].map(n => n.textContent).join('|')]))"
    )
    gold, predicted = marks
    assert [mark[:2] for mark in gold] == [["found", "2 5 方"], ["missed", "2 4 药"], ["missed", "6 8 症"]]
    assert gold[1][2] == "桂枝|药"
    assert [mark[:2] for mark in predicted] == [
        ["found", "2 5 方"],
        ["spurious", "3 6 药"],
        ["spurious", "3 6 药"],
        ["spurious", "6 8 方"],
    ]
    assert [mark[2] for mark in predicted][1:3] == ["枝汤", "治|药"]  # crossing: open at the end of the outer one
    page.locator("#confusion button", has_text="45").first.click()
    assert opened.count("#filters .chip") == 1
    shown = page.locator("#headline").inner_text()
    for figure in (content["score"]["micro"]["f1"], *content["score"]["interval"]):
        assert f"{figure:.4f}" in shown
    opened.close()


def _draw_cases(count: int) -> list[tuple[str, list[dict[str, Any]]]]:
    """Texts with up to five spans each, in any position to one another, drawn with a fixed seed."""
    random = Random(17)
    cases = []
    for _ in range(count):
        text = "".join(random.choices("甲乙𠮷<&a", k=random.randint(1, 10)))
        keys = set()
        for _ in range(random.randint(0, 5)):
            start = random.randrange(len(text))
            keys.add((start, random.randint(start + 1, len(text)), random.choice("AB")))
        cases.append(
            (text, [{"start": start, "end": end, "name": name, "verdict": "found"} for start, end, name in sorted(keys)])
        )
    return cases


def test_marks_give_the_text_back_and_name_every_span_once(browser: Browser, tmp_path: Path) -> None:
    write(tmp_path, _TASK, _pairs(2))
    opened = Opened(browser, tmp_path / "report.html")
    cases = _draw_cases(300)
    drawn = opened.page.evaluate(
        """cases => cases.map(([text, spans]) => {
            const box = make("div", {}, markSpans(text, spans));
            const names = [...box.querySelectorAll("small")].map(name => name.parentElement.dataset.span);
            box.querySelectorAll("small").forEach(name => name.remove());
            const covered = {};
            for (const mark of box.querySelectorAll("mark")) {
                covered[mark.dataset.span] = (covered[mark.dataset.span] ?? "") + mark.textContent;
            }
            return { text: box.textContent, names, covered, first: box.querySelectorAll("mark.first").length };
        })""",
        cases,
    )
    for (text, spans), found in zip(cases, drawn, strict=True):
        keys = {f"{one['start']} {one['end']} {one['name']}": text[one["start"] : one["end"]] for one in spans}
        assert found["text"] == text
        assert found["covered"] == keys
        assert sorted(found["names"]) == sorted(keys)
        assert found["first"] == len(keys)
    opened.close()


def test_the_keyboard_alone_is_enough(browser: Browser, tmp_path: Path) -> None:
    write(tmp_path, _TASK, _pairs(90))
    opened = Opened(browser, tmp_path / "report.html")
    page = opened.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached = []
    for _ in range(120):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.id || document.activeElement.name || document.activeElement.dataset.step")
        )
        if reached[-1] == "next":
            break
    assert [name for name in ("theme", "language", "show", "kind", "name", "search", "next") if name in reached] == [
        "theme", "language", "show", "kind", "name", "search", "next",
    ]  # fmt: skip
    page.keyboard.press("Enter")
    assert opened.status.startswith("21 to 40")
    assert page.evaluate("document.activeElement.dataset.step") == "next"
    opened.close()


@pytest.mark.parametrize(("task", "gold", "predicted"), CASES, ids=lambda value: getattr(value, "kind", ""))
def test_hostile_text_is_shown_and_not_run_in_every_kind(
    browser: Browser, tmp_path: Path, task: Any, gold: Annotation, predicted: Annotation
) -> None:
    write(tmp_path, task, make_pairs(gold, predicted))
    opened = Opened(browser, tmp_path / "report.html", viewport={"width": 390, "height": 800})
    page = opened.page
    assert opened.count("article") == 1
    assert page.locator("article").inner_text().count("onerror=alert(1)") >= 3
    assert opened.count("main img") == 0
    assert HOSTILE in page.evaluate("document.querySelector('article h3').textContent")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    opened.close()


def test_languages_and_themes_switch_and_stay(browser: Browser, tmp_path: Path) -> None:
    write(tmp_path, _TASK, _pairs(4), background=Background({"name": "x"}, {"seed": 17}))
    opened = Opened(browser, tmp_path / "report.html", locale="zh-CN", color_scheme="dark")
    page = opened.page
    back = "getComputedStyle(document.body).backgroundColor"
    assert (page.locator("#scores h2").inner_text(), page.evaluate("document.documentElement.lang")) == ("得分", "zh-CN")
    dark = page.evaluate(back)
    page.locator("#language").click()
    page.locator("#theme").click()
    assert page.locator("#scores h2").inner_text() == "Scores"
    assert opened.status == "1 to 2 of 2 chosen; 4 documents in all."
    light = page.evaluate(back)
    assert (dark, light) == ("rgb(13, 17, 23)", "rgb(255, 255, 255)")
    page.reload()
    assert page.locator("#scores h2").inner_text() == "Scores"
    assert page.evaluate(back) == light
    page.emulate_media(media="print")
    assert not page.locator("#filters").is_visible()
    opened.close()


def test_two_runs_on_one_page(browser: Browser, tmp_path: Path) -> None:
    for name, wrong in (("a", _WRONG), ("b", replace(_GOLD, spans=_GOLD.spans[:2]))):
        pairs = _pairs(30, wrong)
        pairs[0 if name == "b" else 1] = (
            pairs[0 if name == "b" else 1][0],
            Prediction(f"d-{0 if name == 'b' else 1}", Extraction(), ""),
        )
        meta = {"run": name, "test_set_hash": "ab", "engine": "file"}
        write_scores_folder(tmp_path / name, pairs, assess_pairs(_TASK, pairs), meta)
    opened = Opened(browser, report_pair(tmp_path / "a", tmp_path / "b", tmp_path / "pair.html"))
    page = opened.page
    assert page.title() == "a → b"
    assert opened.status == "1 to 1 of 1 chosen; 30 documents in all."  # d-0 is right in the first only
    assert page.locator("article h3 .tag").inner_text() == "broken"
    assert page.locator("article h4").all_inner_texts() == ["gold", "A · a", "B · b"]
    opened.close()
