"""One command becomes several processes of the same command, with torch's elastic launcher (what `torchrun` is).

In: the words of an extune command. Out: its exit code; the first process writes to the terminal, of the others only the one
that failed is heard. It knows nothing about what the command does.
"""

from __future__ import annotations

import logging
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

_THIS_MACHINE = "localhost:0"
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_GRACE = 30  # seconds in which a process may end its step and save before it is killed


@dataclass(frozen=True)
class Launch:
    """How many processes, and where they meet.

    Attributes:
        processes: on each machine.
        nodes: machines; the same command is started on each of them.
        rendezvous: HOST:PORT on one of the machines, which all can reach; None: there is one machine only.
    """

    processes: int
    nodes: int = 1
    rendezvous: str | None = None


@dataclass(frozen=True)
class Ending:
    """How the processes ended.

    Attributes:
        code: exit code of the one that failed first; 0: none failed, negative: it was killed by that signal.
        rank: number of that process; 0 where none failed.
        heard: what it wrote to standard error, where that was not seen on the terminal.
    """

    code: int
    rank: int = 0
    heard: str = ""


def launch(words: Sequence[str], wanted: Launch, name: str) -> Ending:
    """Run `extune WORDS` in the processes, and wait until they end; the end of one with an error ends them all.

    Args:
        words: without the options that made them several.
        wanted: how many, and where they meet.
        name: tells this training from others that meet at the same place.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM; the processes have saved and ended, or were killed after the time of grace.
    """
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # its reports repeat what is said here
    with _handlers_kept(), tempfile.TemporaryDirectory(prefix="extune-") as folder:
        quiet = {number: Std.ALL if number else Std.NONE for number in range(wanted.processes)}
        config = LaunchConfig(
            min_nodes=wanted.nodes,
            max_nodes=wanted.nodes,
            nproc_per_node=wanted.processes,
            logs_specs=DefaultLogsSpecs(log_dir=folder, redirects=quiet),
            run_id=name,
            rdzv_backend="c10d",
            rdzv_endpoint=wanted.rendezvous or _THIS_MACHINE,
            max_restarts=0,
            shutdown_timeout=_GRACE,
            signals_to_handle=",".join(one.name for one in _SIGNALS),
        )
        try:
            elastic_launch(config, sys.executable)("-m", "extune", *words)
        except SignalException:
            raise KeyboardInterrupt from None
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            return Ending(failure.exitcode, rank, _read_errors(Path(folder), failure.local_rank))
    return Ending(0)


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Give back the handlers of the signals that the launcher listens to; it leaves its own behind."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _read_errors(folder: Path, local_rank: int) -> str:
    """What a process wrote to standard error, empty for the first, which wrote to the terminal."""
    files = sorted(folder.glob(f"*/attempt_0/{local_rank}/stderr.log"))
    return files[0].read_text(encoding="utf-8", errors="replace") if files else ""
