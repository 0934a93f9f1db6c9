"""Reading many conversations at once. All threads of the tap are here.

The caller's thread hands out conversations and takes in what was read, one at a time,
through a bounded queue: memory stays flat however long a conversation is, and however
slow the target.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from itertools import islice
from queue import Queue, SimpleQueue
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


Event: TypeAlias = "Part[C, P] | End[C] | Failure[C]"


def read_all(
    conversations: Iterable[C],
    new_worker: Callable[[], ReadOne[C, P]],
    max_concurrency: int,
) -> Generator[Event[C, P], None, None]:
    """Read conversations with several threads.

    The parts of one conversation come in their order, those of different ones mixed.
    Closing the generator stops all threads: each finishes the request in hand first.

    Args:
        conversations: What to read. It is iterated in the caller's thread, no faster
            than conversations are read.
        new_worker: Makes what reads conversations one after the other; called in the
            caller's thread, once per thread that is needed.
        max_concurrency: How many threads at most.

    Yields:
        Parts, and for each conversation one `End` or `Failure` after its parts.
    """
    source = iter(conversations)
    jobs: SimpleQueue[C | _NoMore] = SimpleQueue()
    events: Queue[Event[C, P] | _NoMore] = Queue(_PARTS_PER_THREAD * max_concurrency)
    stop = threading.Event()
    threads: list[threading.Thread] = []
    unfinished = 0
    try:
        while True:
            # One conversation waits for each thread, so that none is ever idle.
            for conversation in islice(source, 2 * max_concurrency - unfinished):
                jobs.put(conversation)
                unfinished += 1
                if len(threads) < max_concurrency:
                    threads.append(_start(new_worker(), jobs, events, stop))
            if not unfinished:
                return
            event = events.get()
            if isinstance(event, _NoMore):
                continue
            if not isinstance(event, Part):
                unfinished -= 1
            yield event
    finally:
        stop.set()
        for _ in threads:
            jobs.put(_NoMore())
        # A thread may be waiting for room in the queue: make room until all are gone.
        running = len(threads)
        while running:
            running -= isinstance(events.get(), _NoMore)
        for thread in threads:
            thread.join()


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
