"""Examples become encoded batches, in order; many of them in several processes.

In: examples and a callable that encodes a batch of them. Out: what it returns, in the order of the examples. It knows nothing
about tokens. The processes are Python interpreters of their own that are fed through pipes: unlike those of `multiprocessing`
they do not run the user's script again, and they end when the pipe does, however this process ended.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from queue import SimpleQueue
from typing import Any, TypeVar

from extune.domain.example import Example
from extune.errors import ExtuneError, TrainingError

Batch = TypeVar("Batch")
EncodeBatch = Callable[[Sequence[Example]], Batch]

EXAMPLES = 1024
"""Of one batch."""

ALONE = 1_000_000
"""Characters that are encoded before other processes are started: that takes about as long as they take to start."""

MOST_PROCESSES = 16
_START = "import sys; sys.path[:] = {path!r}; from extune.tokens.encoding_processes import serve; serve()"


def usable_processes() -> int:
    """As many as there are cores for this process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_PROCESSES)


def encode_batches(
    examples: Iterable[Example], encode: EncodeBatch[Batch], processes: int, alone: int = ALONE
) -> Iterator[Batch]:
    """The encoded batches, in the order of the examples, whatever the number of processes.

    Args:
        examples: may be a stream; a few batches for each process are read ahead.
        encode: can be pickled.
        processes: 1 stays in this one.
        alone: characters after which the processes are started.

    Raises:
        ExtuneError: of reading or encoding, the one whose example comes first, but for those of one batch.
    """
    stream = iter(examples)
    characters = 0
    while processes < 2 or characters < alone:
        batch = list(islice(stream, EXAMPLES))
        if not batch:
            return
        characters += sum(len(example.text) for example in batch)
        yield encode(batch)
    with _started(encode, processes) as submit:
        yield from _in_order(stream, submit, 2 * processes)


def _in_order(stream: Iterator[Example], submit: Callable[[Sequence[Example]], Future[Batch]], ahead: int) -> Iterator[Batch]:
    pending: deque[Future[Batch]] = deque()
    failure: Exception | None = None
    while failure is None:
        try:
            batch = list(islice(stream, EXAMPLES))
        except Exception as error:
            failure = error  # raised below: what is wrong with earlier examples comes first
            break
        if not batch:
            break
        pending.append(submit(batch))
        if len(pending) > ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
    if failure is not None:
        raise failure


@contextmanager
def _started(encode: EncodeBatch[Batch], processes: int) -> Iterator[Callable[[Sequence[Example]], Future[Batch]]]:
    """Start the processes; they are ended with the block, also by an error or Ctrl-C."""
    started: list[_Process] = []
    pool = ThreadPoolExecutor(processes)
    try:
        idle: SimpleQueue[_Process] = SimpleQueue()
        for _ in range(processes):
            started.append(_Process(encode))
            idle.put(started[-1])

        def run(batch: Sequence[Example]) -> Batch:
            process = idle.get()
            try:
                encoded: Batch = process.ask(batch)
                return encoded
            finally:
                idle.put(process)

        yield lambda batch: pool.submit(run, batch)
    finally:
        for process in started:
            process.end()
        pool.shutdown(cancel_futures=True)


class _Process:
    """One interpreter. Only pickles of this program go through its pipes."""

    def __init__(self, encode: Callable[..., Any]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for this process, which then ends them
        )
        self._greeting: bytes | None = pickle.dumps(encode)

    def ask(self, batch: Sequence[Example]) -> Any:
        """The encoded batch, or raise what encoding it raised."""
        requests, replies = self._process.stdin, self._process.stdout
        if requests is None or replies is None:
            raise RuntimeError("the process was started without pipes")
        try:
            if self._greeting is not None:
                requests.write(self._greeting)
                self._greeting = None
            pickle.dump(list(batch), requests)
            requests.flush()
            reply = pickle.load(replies)  # noqa: S301  from our own process
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:
            raise TrainingError(
                f"a process that encodes training rows ended with exit code {self._process.wait()}",
                where="data.train",
                expected="memory for one process per core",
                fix="see the message above, close other programs, or data.cache=false, which encodes in one process",
            ) from error
        if isinstance(reply, Exception):
            raise reply
        return reply

    def end(self) -> None:
        """Kill it and wait until it is gone."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdout, self._process.stdin):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:  # a batch that nobody waits for any more
                    continue


def serve() -> None:
    """What a process does: encode batches from standard input until it ends. Prints go to standard error."""
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        encode = pickle.load(requests)  # noqa: S301  from the process that started this one
        while True:
            batch = pickle.load(requests)  # noqa: S301
            pickle.dump(_answer(encode, batch), replies)
            replies.flush()
    except (EOFError, pickle.UnpicklingError):
        return


def _answer(encode: Callable[..., Any], batch: Sequence[Example]) -> Any:
    try:
        return encode(batch)
    except ExtuneError as error:
        return error
    except Exception:  # a bug; its traceback must not stay in here
        return RuntimeError(traceback.format_exc())
