"""Progress bars, and silence from libraries. In: counts. Out: a bar on standard error."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from extune.cli.terminal import errors


def quiet_libraries() -> None:
    """Leave the terminal to extune: no advice, weight loading bars and reports of other libraries, but their errors."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for library in ("bitsandbytes", "accelerate"):
        logging.getLogger(library).setLevel(logging.ERROR)
    logging.getLogger("DeepSpeed").addFilter(lambda record: record.levelno >= logging.ERROR)  # it sets its own level later
    for library in ("torch", "transformers", "peft", "accelerate", "deepspeed"):
        warnings.filterwarnings("ignore", module=rf"{library}(\..*)?")


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} rows/s" if task.speed else "")


@contextmanager
def counting_progress(label: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar; the callable takes rows done and rows in all, None where that is not known."""
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), _Speed(), TimeRemainingColumn())
    console = errors()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
