"""`extune convert`: labelled data or predictions in the file format of another tool."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from extune.cli.terminal import note, say
from extune.recipe.sections import DataSection, ReaderName

WrittenName = Literal[
    "extune", "label-studio", "prodigy", "doccano", "cluener", "cmeee", "uie", "brat", "bio", "bioes", "conll"
]
_SHOWN = 20


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="A labelled file or folder, predictions of `extune predict`, or a run.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write; a new folder for brat.")],
    to: Annotated[WrittenName, typer.Option("--to", help="The format of OUT.")],
    reader: Annotated[ReaderName, typer.Option("--from", help="The format of IN, as data.reader in a recipe.")] = "auto",
    strict: Annotated[bool, typer.Option("--strict", help="Write nothing where OUT cannot hold everything.")] = False,
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Leave out rows that cannot be read, and list them.")
    ] = False,
    encoding: Annotated[str | None, typer.Option(help="Of IN; by default detected.")] = None,
    split: Annotated[str, typer.Option(help="Of a run: the split whose predictions are written.")] = "test",
    engine: Annotated[str, typer.Option(help="Of a run: the engine whose predictions are written.")] = "transformers",
) -> None:
    """Write labelled data, or the predictions of a run, in the file format of another tool."""
    from extune.stages.convert import convert as convert_file

    data = DataSection(reader=reader, encoding=encoding, on_bad_row="skip" if skip_bad_rows else "error")
    done = convert_file(source, out, data, to, scores=(split, engine), strict=strict)
    for sentence in done.notes:
        note(sentence)
    for sentence in (*done.losses, *done.skipped[:_SHOWN]):
        say(f"lost: {sentence}")
    if len(done.skipped) > _SHOWN:
        say(f"lost: {len(done.skipped) - _SHOWN} more rows")
    say(f"wrote {out} from {done.examples} examples" + ("" if done.losses or done.skipped else "; nothing is lost"))
    written = shlex.quote(str(out))
    if to == "extune":
        note(f"next: extune check RECIPE data.train={written}")
    else:
        note(f"next: extune convert {written} BACK.jsonl --to extune reads it back")
