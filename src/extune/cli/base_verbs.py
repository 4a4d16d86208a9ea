"""The verb that takes a foreign base: import-base."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from extune.cli.progress import quiet_libraries
from extune.cli.terminal import note, say


def import_base(
    source: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Qwen-1, Baichuan(2)-7B or ChatGLM2/3-6B as released, or an adapter trained on it."),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write.")],
    family: Annotated[
        str | None, typer.Option(help="qwen1, baichuan1, baichuan2, chatglm2 or chatglm3, where config.json does not tell.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Of an adapter: the base on which it was trained, legacy or converted.")
    ] = None,
) -> None:
    """Convert a checkpoint that needs code of its own into a native one; its code is never run."""
    quiet_libraries()
    from extune.stages.import_base import import_base as convert

    imported = convert(source, out, family=family, base=base)
    say(f"wrote {imported.folder}: {imported.what}")
    for limit in imported.limits:
        note(f"limit: {limit}")
    if not imported.is_adapter:
        note(f"next: extune check RECIPE base.model={imported.folder}")
