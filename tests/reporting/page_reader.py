"""Reads a page without a browser: what is visible, its tables, and what it carries for its script."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

_VOID = {"meta", "br", "img", "link", "input"}


class Page(HTMLParser):
    """Collects the visible text, the tables and what a page carries; refuses tags that are not properly nested."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.cells: list[list[str]] = []
        self.addresses: list[str] = []
        self.carried: dict[str, str] = {}
        self._id = ""
        self.feed(source)
        assert not self.stack

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag == "script":
            self._id = values.get("id") or ""
        if tag == "tr":
            self.cells.append([])
        if tag in {"th", "td"}:
            self.cells[-1].append("")
        if tag not in _VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" in self.stack:
            self.carried[self._id] = data
        elif "style" not in self.stack:
            self.text += data
            if self.stack[-3:] and {"th", "td"} & set(self.stack):
                self.cells[-1][-1] += data

    @property
    def payload(self) -> dict[str, Any]:
        return json.loads(self.carried["data-documents"])
