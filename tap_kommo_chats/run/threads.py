"""Reading many conversations at once. All threads of the tap are here.

The caller's thread hands out conversations and takes in what was read, one at a time,
through a bounded queue: memory stays flat however long a conversation is, and however
slow the target.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from queue import Empty, Queue, SimpleQueue
from typing import Generic, TypeAlias, TypeVar

logger = logging.getLogger("tap-kommo-chats.chat_history")

J = TypeVar("J")
"""What tells which conversation to read."""
P = TypeVar("P")
"""A part of a conversation, such as a page."""

ReadOne: TypeAlias = Callable[[J], Iterable[P]]
"""Reads one conversation, part by part. Called by several threads at once."""


@dataclass(frozen=True, slots=True)
class Part(Generic[J, P]):
    """A part of a conversation was read."""

    job: J
    content: P


@dataclass(frozen=True, slots=True)
class End(Generic[J]):
    """A conversation was read to its end. No part of it follows."""

    job: J


@dataclass(frozen=True, slots=True)
class Failure(Generic[J]):
    """Reading a conversation failed. No part of it follows."""

    job: J
    error: Exception


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing was read for a while; the caller may look around."""


Event: TypeAlias = "Part[J, P] | End[J] | Failure[J]"


def read_all(
    jobs: Iterable[J],
    read_one: ReadOne[J, P],
    max_concurrency: int,
    goes_alone: Callable[[], bool] = lambda: False,
) -> Generator[Event[J, P] | Idle, None, None]:
    """Read conversations with several threads.

    The parts of one conversation come in their order, those of different ones mixed.
    The first conversation goes ahead alone until something came of it, so that what is
    wrong with all of them costs few requests. Closing the generator stops all
    threads: each finishes the request in hand first, and one that does not within
    a second is left behind and ends with the process.

    Where the machine gives fewer threads, these read; the caller's own does if it gives
    none.

    Args:
        jobs: What to read. It is iterated in the caller's thread, no faster than
            conversations are read. A deque may get more meanwhile; each job is taken
            out of it.
        read_one: Reads one conversation.
        max_concurrency: How many threads at most.
        goes_alone: Tells whether the next one is to wait for all others to end. Asked
            after each event was dealt with.

    Yields:
        Parts, and for each conversation one `End` or `Failure` after its parts. In
        between `Idle`, when nothing came for half a second.
    """
    coming = _coming(jobs)
    readers = _Readers(read_one, max_concurrency)
    unfinished = 0
    # One conversation waits for each thread, so that none is ever idle.
    enough = 2 * max_concurrency
    allowed = 1
    try:
        while True:
            for job in islice(coming(), max(0, allowed - unfinished)):
                if not readers.take(job):
                    for one in chain([job], coming()):
                        yield from _read_here(read_one, one)
                    return
                unfinished += 1
            if not unfinished:
                return
            event = readers.next_event()
            if isinstance(event, End | Failure):
                unfinished -= 1
            yield event
            if not isinstance(event, Idle):
                allowed = 1 if goes_alone() else enough
    finally:
        readers.end()


def _coming(jobs: Iterable[J]) -> Callable[[], Iterator[J]]:
    """Tell how to go through the jobs that are there now and were not taken yet."""
    if not isinstance(jobs, deque):
        source = iter(jobs)
        return lambda: source

    def taken() -> Iterator[J]:
        while jobs:
            yield jobs.popleft()

    return taken


_IDLE_SECONDS = 0.5
_STOPPING_SECONDS = 1.0
_PARTS_PER_THREAD = 2


class _NoMore:
    """To a thread: go. From a thread: gone."""


class _Readers(Generic[J, P]):
    """The threads that read, and what goes to them and comes from them."""

    def __init__(self, read_one: ReadOne[J, P], most: int) -> None:
        self._read_one = read_one
        self._most = most
        self._waiting: SimpleQueue[J | _NoMore] = SimpleQueue()
        self._events: Queue[Event[J, P] | _NoMore] = Queue(_PARTS_PER_THREAD * most)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def take(self, job: J) -> bool:
        """Have a job done, by one more thread if there may be one.

        Returns:
            Whether there is a thread to do it.
        """
        if len(self._threads) < self._most:
            self._start()
        if self._threads:
            self._waiting.put(job)
        return bool(self._threads)

    def next_event(self) -> Event[J, P] | Idle:
        """Wait a moment for what the threads did."""
        try:
            event = self._events.get(timeout=_IDLE_SECONDS)
        except Empty:
            return Idle()
        return Idle() if isinstance(event, _NoMore) else event

    def end(self) -> None:
        """Have all threads end, and wait for them for a while."""
        self._stop.set()
        for _ in self._threads:
            self._waiting.put(_NoMore())
        # A thread may be waiting for room in the queue: make room until all are gone.
        running = len(self._threads)
        deadline = time.monotonic() + _STOPPING_SECONDS
        with suppress(Empty):
            while running:
                left = max(0.0, deadline - time.monotonic())
                running -= isinstance(self._events.get(timeout=left), _NoMore)
            for thread in self._threads:
                thread.join()

    def _start(self) -> None:
        # A daemon, because the interpreter waits for others before it closes a
        # generator that was left open, and so would wait for ever.
        thread = threading.Thread(target=self._work, name="reader", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            logger.warning(
                "The machine gives %d of %d threads, and the tap goes on with those: "
                "raise the limit of processes (ulimit -u, or the container's), or "
                "lower max_concurrency",
                len(self._threads),
                self._most,
            )
            self._most = len(self._threads)
        else:
            self._threads.append(thread)

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                job = self._waiting.get()
                if isinstance(job, _NoMore):
                    break
                self._events.put(self._read(job))
        finally:
            self._events.put(_NoMore())

    def _read(self, job: J) -> End[J] | Failure[J]:
        try:
            for content in self._read_one(job):
                self._events.put(Part(job, content))
                # Nothing is held on to while the next part is read.
                del content
                if self._stop.is_set():
                    break
        except Exception as error:  # noqa: BLE001 (the caller decides what it means)
            return Failure(job, error)
        return End(job)


def _read_here(read_one: ReadOne[J, P], job: J) -> Generator[Event[J, P], None, None]:
    """Read in the caller's thread, because there is no other."""
    try:
        for content in read_one(job):
            yield Part(job, content)
    except Exception as error:  # noqa: BLE001 (the caller decides what it means)
        yield Failure(job, error)
    else:
        yield End(job)
