"""The `extune` command: its verbs, and which error becomes which exit code.

0 fine, 1 failed while running, 2 recipe or data wrong (or the command line), 130 interrupted. No traceback without `--debug`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import extune
from extune.cli import (
    base_verbs,
    baseline_verb,
    calibrate_verb,
    check_verb,
    compare_verb,
    convert_verb,
    parity_verb,
    quantize_verb,
    recipe_verbs,
    run_verbs,
    study_verbs,
    variant_verbs,
)
from extune.cli.terminal import note, print_error, say, use_utf8
from extune.errors import ExtuneError

_INTERRUPTED = 130
_DEBUG = "--debug"

app = typer.Typer(
    help="Fine-tune an open LLM for extraction, score it honestly, get predictions with character offsets.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo")(recipe_verbs.demo)
app.command("check")(check_verb.check)
app.command("show")(recipe_verbs.show)
app.command("train")(recipe_verbs.train)
app.command("audit")(study_verbs.audit)
app.command("curve")(study_verbs.curve)
app.command("bakeoff")(study_verbs.bakeoff)
app.command("baseline")(baseline_verb.baseline)
app.command("predict")(run_verbs.predict)
app.command("evaluate")(run_verbs.evaluate)
app.command("report")(run_verbs.report)
app.command("calibrate")(calibrate_verb.calibrate)
app.command("compare")(compare_verb.compare)
app.command("convert")(convert_verb.convert)
app.command("parity")(parity_verb.parity)
app.command("merge")(variant_verbs.merge)
app.command("quantize")(quantize_verb.quantize)
app.command("export")(variant_verbs.export)
app.command("import-base")(base_verbs.import_base)
app.add_typer(recipe_verbs.recipes, name="recipe")


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"extune {extune.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option(_DEBUG, help="Show tracebacks; may stand anywhere.")] = False,
) -> None:
    """Shown by the app's own help."""


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    use_utf8()
    debug = _DEBUG in arguments
    words = [word for word in arguments if word != _DEBUG]
    try:
        typer.main.get_command(app).main(args=words, prog_name="extune")
    except SystemExit as end:
        if end.code == _INTERRUPTED:
            note("interrupted")
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except ExtuneError as error:
        if debug:
            raise
        print_error(error)
        return error.exit_code
    except Exception as error:
        if debug:
            raise
        bug = f"{type(error).__name__}: {error}".splitlines()[0]
        print_error(
            ExtuneError(
                bug[:200],
                where="a mistake in extune itself, or a machine that is out of memory or disk",
                expected="an error that says what to do",
                fix="run the command again with --debug and report what it prints",
            )
        )
        return 1
    return 0


def run() -> None:
    """Entry point of the `extune` script."""
    sys.exit(main(sys.argv[1:]))
