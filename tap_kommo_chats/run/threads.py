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

C = TypeVar("C")
"""A conversation to read."""
P = TypeVar("P")
"""A part of a conversation, such as a page."""

ReadOne: TypeAlias = Callable[[C], Iterable[P]]
"""Reads one conversation, part by part."""


@dataclass(frozen=True, slots=True)
class Part(Generic[C, P]):
    """A part of a conversation was read."""

    conversation: C
    content: P


@dataclass(frozen=True, slots=True)
class End(Generic[C]):
    """A conversation was read to its end. No part of it follows."""

    conversation: C


@dataclass(frozen=True, slots=True)
class Failure(Generic[C]):
    """Reading a conversation failed. No part of it follows."""

    conversation: C
    error: Exception


@dataclass(frozen=True, slots=True)
class Quiet:
    """Nothing was read for a while; the caller may look around."""


Event: TypeAlias = "Part[C, P] | End[C] | Failure[C]"


def read_all(
    conversations: Iterable[C],
    new_worker: Callable[[], ReadOne[C, P]],
    max_concurrency: int,
) -> Generator[Event[C, P] | Quiet, None, None]:
    """Read conversations with several threads.

    The parts of one conversation come in their order, those of different ones mixed.
    The first conversation goes ahead alone until something of it was read, so that
    what is wrong with all of them costs one request. Closing the generator stops all
    threads: each finishes the request in hand first, and one that does not within
    three seconds is left behind and ends with the process.

    Args:
        conversations: What to read. It is iterated in the caller's thread, no faster
            than conversations are read.
        new_worker: Makes what reads conversations one after the other; called in the
            caller's thread, once per thread that is needed.
        max_concurrency: How many threads at most.

    Yields:
        Parts, and for each conversation one `End` or `Failure` after its parts. In
        between `Quiet`, when nothing came for half a second.
    """
    source = iter(conversations)
    jobs: SimpleQueue[C | _NoMore] = SimpleQueue()
    events: Queue[Event[C, P] | _NoMore] = Queue(_PARTS_PER_THREAD * max_concurrency)
    stop = threading.Event()
    threads: list[threading.Thread] = []
    unfinished = 0
    # One conversation waits for each thread, so that none is ever idle.
    enough = 2 * max_concurrency
    allowed = 1
    try:
        while True:
            for conversation in islice(source, allowed - unfinished):
                jobs.put(conversation)
                unfinished += 1
                if len(threads) < max_concurrency:
                    threads.append(_start(new_worker(), jobs, events, stop))
            if not unfinished:
                return
            event = _next(events)
            if not isinstance(event, Quiet):
                allowed = enough
            if isinstance(event, End | Failure):
                unfinished -= 1
            yield event
    finally:
        stop.set()
        for _ in threads:
            jobs.put(_NoMore())
        # A thread may be waiting for room in the queue: make room until all are gone.
        running = len(threads)
        deadline = time.monotonic() + _STOPPING_SECONDS
        with suppress(Empty):
            while running:
                left = max(0.0, deadline - time.monotonic())
                running -= isinstance(events.get(timeout=left), _NoMore)
            for thread in threads:
                thread.join()


def _next(events: Queue[Event[C, P] | _NoMore]) -> Event[C, P] | Quiet:
    try:
        event = events.get(timeout=_QUIET_SECONDS)
    except Empty:
        return Quiet()
    return Quiet() if isinstance(event, _NoMore) else event


_QUIET_SECONDS = 0.5
_STOPPING_SECONDS = 3.0
_PARTS_PER_THREAD = 2


class _NoMore:
    """To a thread: go. From a thread: gone."""


def _start(
    read_one: ReadOne[C, P],
    jobs: SimpleQueue[C | _NoMore],
    events: Queue[Event[C, P] | _NoMore],
    stop: threading.Event,
) -> threading.Thread:
    def work() -> None:
        try:
            while not (stop.is_set() or isinstance(job := jobs.get(), _NoMore)):
                events.put(_read(read_one, job, events, stop))
        finally:
            events.put(_NoMore())

    # A daemon, because the interpreter waits for others before it closes a generator
    # that was left open, and so would wait for ever.
    thread = threading.Thread(target=work, name="reader", daemon=True)
    thread.start()
    return thread


def _read(
    read_one: ReadOne[C, P],
    conversation: C,
    events: Queue[Event[C, P] | _NoMore],
    stop: threading.Event,
) -> End[C] | Failure[C]:
    try:
        for content in read_one(conversation):
            events.put(Part(conversation, content))
            if stop.is_set():
                break
    except Exception as error:  # noqa: BLE001 (the caller decides what it means)
        return Failure(conversation, error)
    return End(conversation)
