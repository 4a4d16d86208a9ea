"""How a page is made: the templates, the ways numbers are written, the script and the words that a page carries with it.

In: the name of a template and what it shows. Out: a file that needs nothing but itself. It computes no score.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from extune.evaluation.metrics import MeanDeviation
from extune.files import write_text
from extune.reporting.privacy import hide_folders
from extune.reporting.views import NOTHING, show_figure
from extune.reporting.words import CHINESE, say, say_if_known

_SCRIPTS = ("page.js", "start.js")
_DOCUMENT_SCRIPTS = ("page.js", "marks.js", "documents.js", "filters.js", "start.js")


def write_report_files(folder: Path, content: Mapping[str, Any], template: str, context: Mapping[str, Any]) -> None:
    """Write `report.json` with the content, `report.md` of the template `NAME.md.jinja`, and the page.

    Args:
        folder: is created where it does not exist.
        content: JSON values.
        template: of the Markdown; the page has its own, `context["page"]`.
        context: what the templates show.
    """
    _write(folder / "report.json", json.dumps(content, ensure_ascii=False, indent=2) + "\n")
    text = _build_environment().get_template(f"{template}.md.jinja").render(context)
    _write(folder / "report.md", text)
    write_page(folder / "report.html", context["page"], context)


def write_page(path: Path, template: str, context: Mapping[str, Any], payload: Mapping[str, Any] | None = None) -> None:
    """Write one page.

    Args:
        path: of the page.
        template: `NAME.html.jinja`.
        context: what it shows; absolute folders in its `meta` are hidden.
        payload: what the list of documents shows; None where `context` has it, or where there is none.
    """
    environment = _build_environment()
    rows = payload if payload is not None else context.get("payload")
    script = _read_script(environment, _SCRIPTS if rows is None else _DOCUMENT_SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    carried = {
        "script": Markup(script),
        "script_hash": f"sha256-{digest}",
        "words": embed_json(CHINESE),
        "payload": None if rows is None else embed_json(rows),
        "kind": None if rows is None else rows["kind"],
        "meta": hide_folders(context.get("meta", {})),
    }
    _write(path, environment.get_template(f"{template}.html.jinja").render({**context, **carried}))


def embed_json(value: Any) -> Markup:
    """JSON that can stand inside a `script` element: no text in it can end the element or begin a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def make_title(meta: Mapping[str, object]) -> str:
    """Run, split and engine."""
    return " · ".join(str(meta[key]) for key in ("run", "split", "engine") if meta.get(key)) or "report"


def _write(path: Path, text: str) -> None:
    # A text may hold lone surrogates, which no encoding can write.
    write_text(path, text.encode("utf-8", "replace").decode("utf-8"))


def _read_script(environment: Environment, names: tuple[str, ...]) -> str:
    loader = environment.loader
    return "".join(loader.get_source(environment, name)[0] for name in names) if loader else ""


def _build_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("extune.reporting", "templates"),
        autoescape=lambda name: name is not None and name.endswith(".html.jinja"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(figure=show_figure, count=_count, spread=_spread, value=_value, cell=_cell, percent=_percent)
    environment.globals.update(say=say, say_if_known=say_if_known)
    return environment


def _percent(value: float) -> str:
    """A share as a length of CSS."""
    return f"{100 * min(max(value, 0.0), 1.0):.2f}%"


def _count(value: float) -> str:
    """A number of things, possibly with a half."""
    return f"{value:,.1f}" if value % 1 else f"{value:,.0f}"


def _spread(figure: MeanDeviation) -> str:
    """Mean ± deviation."""
    return show_figure(figure.mean) if figure.deviation is None else f"{figure.mean:.4f} ± {figure.deviation:.4f}"


def _value(value: object) -> str:
    """One entry of a table about the run."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_value(inner)}" for name, inner in value.items()) or NOTHING
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value)) or NOTHING
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)


def _cell(text: object) -> str:
    """Text inside a Markdown table."""
    return str(text).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
