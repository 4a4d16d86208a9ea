"""`python -m tools.report_picture report.html --out report.png`: a page as a picture, made by a headless Chromium.

Needs a Chromium (Debian: `apt-get install chromium fonts-noto-cjk`) and Playwright, which `.[dev]` brings.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

PATIENCE = 300_000  # milliseconds: a busy machine is slow, not broken
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium() -> str | None:
    """Path of an installed browser; None where there is none."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


@contextmanager
def open_page(page: Path, *, width: int = 1280, height: int = 900, dark: bool = False, locale: str = "en-US") -> Iterator[Page]:
    """Open a page from disk in a headless browser without network.

    Args:
        page: an HTML file.
        width: of the window in CSS pixels.
        height: of the window in CSS pixels.
        dark: what the system prefers.
        locale: of the reader: `zh-CN` opens a report in Chinese.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"], timeout=PATIENCE)
        try:
            scheme = "dark" if dark else "light"
            size = {"width": width, "height": height}
            context = browser.new_context(viewport=size, color_scheme=scheme, locale=locale, offline=True)  # type: ignore[arg-type]
            context.set_default_timeout(PATIENCE)
            opened = context.new_page()
            opened.goto(page.resolve().as_uri())
            yield opened
        finally:
            browser.close()


def take_picture(opened: Page, out: Path, selector: str | None = None, *, whole: bool = True) -> None:
    """Write the page, whole or as far as the window shows it, or one element of it, as PNG."""
    out.parent.mkdir(parents=True, exist_ok=True)
    if selector is None:
        opened.screenshot(path=out, full_page=whole)
    else:
        opened.locator(selector).first.screenshot(path=out)


def main() -> None:
    """Read the command line and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, help="of the window; default: the whole page")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--locale", default="en-US", help="zh-CN for Chinese")
    parser.add_argument("--section", help="id of one section, such as documents; default: the whole page")
    given = parser.parse_args()
    if find_chromium() is None:
        parser.error(f"no browser found; one of {', '.join(NAMES)} is needed")
    window = {"width": given.width, "height": given.height or 900}
    with open_page(given.page, **window, dark=given.dark, locale=given.locale) as opened:
        selector = None if given.section is None else f"#{given.section}"
        take_picture(opened, given.out, selector, whole=given.height is None)
    print(f"wrote {given.out}")


if __name__ == "__main__":
    main()
