"""Reading many conversations at once. All threads of the tap are here.

The caller's thread hands out conversations and takes in what was read, one at a time,
through a bounded queue: memory stays flat however long a conversation is, and however
slow the target.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from queue import Empty, Queue, SimpleQueue
from typing import Generic, TypeAlias, TypeVar

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
    three seconds is left behind and ends with the process.

    Args:
        jobs: What to read. It is iterated in the caller's thread, no faster than
            conversations are read.
        read_one: Reads one conversation.
        max_concurrency: How many threads at most.
        goes_alone: Tells whether the next one is to wait for all others to end. Asked
            after each event was dealt with.

    Yields:
        Parts, and for each conversation one `End` or `Failure` after its parts. In
        between `Idle`, when nothing came for half a second.
    """
    source = iter(jobs)
    waiting: SimpleQueue[J | _NoMore] = SimpleQueue()
    events: Queue[Event[J, P] | _NoMore] = Queue(_PARTS_PER_THREAD * max_concurrency)
    stop = threading.Event()
    threads: list[threading.Thread] = []
    unfinished = 0
    # One conversation waits for each thread, so that none is ever idle.
    enough = 2 * max_concurrency
    allowed = 1
    try:
        while True:
            for job in islice(source, max(0, allowed - unfinished)):
                waiting.put(job)
                unfinished += 1
                if len(threads) < max_concurrency:
                    threads.append(_start(read_one, waiting, events, stop))
            if not unfinished:
                return
            event = _next(events)
            if isinstance(event, End | Failure):
                unfinished -= 1
            yield event
            if not isinstance(event, Idle):
                allowed = 1 if goes_alone() else enough
    finally:
        stop.set()
        for _ in threads:
            waiting.put(_NoMore())
        # A thread may be waiting for room in the queue: make room until all are gone.
        running = len(threads)
        deadline = time.monotonic() + _STOPPING_SECONDS
        with suppress(Empty):
            while running:
                left = max(0.0, deadline - time.monotonic())
                running -= isinstance(events.get(timeout=left), _NoMore)
            for thread in threads:
                thread.join()


def _next(events: Queue[Event[J, P] | _NoMore]) -> Event[J, P] | Idle:
    try:
        event = events.get(timeout=_IDLE_SECONDS)
    except Empty:
        return Idle()
    return Idle() if isinstance(event, _NoMore) else event


_IDLE_SECONDS = 0.5
_STOPPING_SECONDS = 3.0
_PARTS_PER_THREAD = 2


class _NoMore:
    """To a thread: go. From a thread: gone."""


def _start(
    read_one: ReadOne[J, P],
    waiting: SimpleQueue[J | _NoMore],
    events: Queue[Event[J, P] | _NoMore],
    stop: threading.Event,
) -> threading.Thread:
    def work() -> None:
        try:
            while not (stop.is_set() or isinstance(job := waiting.get(), _NoMore)):
                events.put(_read(read_one, job, events, stop))
        finally:
            events.put(_NoMore())

    # A daemon, because the interpreter waits for others before it closes a generator
    # that was left open, and so would wait for ever.
    thread = threading.Thread(target=work, name="reader", daemon=True)
    thread.start()
    return thread


def _read(
    read_one: ReadOne[J, P],
    job: J,
    events: Queue[Event[J, P] | _NoMore],
    stop: threading.Event,
) -> End[J] | Failure[J]:
    try:
        for content in read_one(job):
            events.put(Part(job, content))
            # Nothing is held on to while the next part is read.
            del content
            if stop.is_set():
                break
    except Exception as error:  # noqa: BLE001 (the caller decides what it means)
        return Failure(job, error)
    return End(job)
