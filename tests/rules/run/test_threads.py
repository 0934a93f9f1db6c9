"""Reading many conversations at once."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from typing import TYPE_CHECKING

import pytest

from tap_kommo_chats.run.threads import End, Failure, Idle, Part, read_all

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 10.0


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "reader"]


def numbers(conversation: int) -> Iterator[int]:
    yield from range(conversation % 7)


@pytest.mark.parametrize("max_concurrency", [1, 3, 32])
def test_every_conversation_comes_in_order_and_ends_once(max_concurrency: int) -> None:
    parts: dict[int, list[int]] = defaultdict(list)
    ended: list[int] = []

    for event in read_all(range(100), numbers, max_concurrency):
        assert not isinstance(event, Idle)
        assert event.job not in ended
        if isinstance(event, Part):
            parts[event.job].append(event.content)
        else:
            assert isinstance(event, End)
            ended.append(event.job)

    assert sorted(ended) == list(range(100))
    for conversation in range(100):
        assert parts[conversation] == list(range(conversation % 7))


def test_as_many_conversations_are_read_at_once_as_allowed() -> None:
    together = threading.Barrier(4, timeout=PATIENCE)

    def read(conversation: int) -> Iterator[int]:
        yield 1
        if conversation > 0:
            together.wait()  # passes only when four are here

    events = list(read_all(range(9), read, 4))

    assert sum(isinstance(event, End) for event in events) == 9


def test_no_more_conversations_are_read_at_once_than_allowed() -> None:
    lock = threading.Lock()
    now: set[int] = set()
    most = 0

    def read(conversation: int) -> Iterator[int]:
        nonlocal most
        with lock:
            now.add(conversation)
            most = max(most, len(now))
        yield 1
        with lock:
            now.remove(conversation)

    list(read_all(range(50), read, 3))

    assert most <= 3


def test_few_conversations_start_few_threads() -> None:
    used: set[int] = set()

    def read(_conversation: int) -> Iterator[int]:
        used.add(len(readers()))
        yield 1

    list(read_all(range(2), read, 32))

    assert max(used) <= 2


def test_what_is_read_ahead_is_bounded() -> None:
    produced = 0
    taken = 0
    behind: list[int] = []

    def read(_conversation: int) -> Iterator[int]:
        nonlocal produced
        for number in range(1000):
            produced += 1
            yield number

    for event in read_all([1], read, 2):
        taken += isinstance(event, Part)
        behind.append(produced - taken)

    # The queue, and the part that waits to get into it.
    assert max(behind) <= 2 * 2 + 2


def test_conversations_are_asked_for_as_they_are_read() -> None:
    asked = 0

    def conversations() -> Iterator[int]:
        nonlocal asked
        for number in range(1000):
            asked += 1
            yield number

    events = read_all(conversations(), numbers, 4)
    next(events)

    assert asked <= 2 * 4
    events.close()


def test_conversations_are_asked_for_in_the_callers_thread() -> None:
    threads: set[int] = set()

    def conversations() -> Iterator[int]:
        for number in range(50):
            threads.add(threading.get_ident())
            yield number

    list(read_all(conversations(), numbers, 4))

    assert threads == {threading.get_ident()}


def test_a_failure_comes_once_with_its_conversation_and_the_others_go_on() -> None:
    def read(conversation: int) -> Iterator[int]:
        yield 1
        if conversation == 5:
            msg = "broken"
            raise ValueError(msg)

    events = list(read_all(range(10), read, 3))

    (failure,) = [event for event in events if isinstance(event, Failure)]
    assert failure.job == 5
    assert str(failure.error) == "broken"
    assert sum(isinstance(event, End) for event in events) == 9


def test_the_first_conversation_goes_ahead_alone_until_something_was_read() -> None:
    begun: list[int] = []
    go_on = threading.Event()

    def read(conversation: int) -> Iterator[int]:
        begun.append(conversation)
        if conversation == 0:
            go_on.wait(PATIENCE)
        yield 1

    events = read_all(range(20), read, 8)

    assert isinstance(next(events), Idle)
    assert begun == [0]
    go_on.set()
    assert sum(isinstance(event, End) for event in events) == 20


def test_a_thread_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tap_kommo_chats.run.threads._STOPPING_SECONDS", 0.1)
    go_on = threading.Event()

    def read(conversation: int) -> Iterator[int]:
        yield 1
        if conversation == 1:
            go_on.wait()

    events = read_all(range(2), read, 2)
    while not isinstance(next(events), Idle):
        pass

    events.close()

    assert len(readers()) == 1
    go_on.set()
    for thread in readers():
        thread.join(PATIENCE)


@pytest.mark.parametrize("taken", [0, 1, 5, 37])
def test_nothing_is_left_running_when_reading_is_given_up(taken: int) -> None:
    def read(_conversation: int) -> Iterator[int]:
        yield from range(1000)

    events = read_all(range(100), read, 8)
    for _ in range(taken):
        next(events)

    events.close()

    assert readers() == []


def test_nothing_is_left_running_at_the_end() -> None:
    list(read_all(range(100), numbers, 8))

    assert readers() == []


def test_an_exception_of_the_source_ends_the_reading() -> None:
    def conversations() -> Iterator[int]:
        yield 1
        msg = "no more"
        raise ValueError(msg)

    with pytest.raises(ValueError, match="no more"):
        list(read_all(conversations(), numbers, 4))

    assert readers() == []


def test_while_they_go_alone_each_waits_for_the_one_before_it() -> None:
    lock = threading.Lock()
    now = most = 0

    def read(_conversation: int) -> Iterator[int]:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        yield 1
        with lock:
            now -= 1

    events = list(read_all(range(20), read, 4, lambda: True))

    assert sum(isinstance(event, End) for event in events) == 20
    assert most == 1


def test_what_is_on_its_way_ends_before_one_goes_alone() -> None:
    unfinished: set[int] = set()
    ended: list[int] = []
    others_then: list[int] = []

    def conversations() -> Iterator[int]:
        for number in range(40):
            others_then.append(len(unfinished))
            unfinished.add(number)
            yield number

    for event in read_all(conversations(), numbers, 4, lambda: len(ended) >= 20):
        if isinstance(event, End):
            unfinished.discard(event.job)
            ended.append(event.job)

    assert max(others_then[:20]) > 0
    # Eight were on their way.
    assert max(others_then[20 + 2 * 4 :]) == 0
    assert len(ended) == 40


@pytest.mark.parametrize("there_are", [0, 1, 3])
def test_where_fewer_threads_can_be_had_these_read(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, there_are: int
) -> None:
    start, left = threading.Thread.start, [None] * there_are

    def start_if_there_are_any(thread: threading.Thread) -> None:
        if not left:
            message = "can't start new thread"
            raise RuntimeError(message)
        left.pop()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_if_there_are_any)
    failed: list[int] = []
    read: dict[int, list[int]] = defaultdict(list)

    def numbers_or_failure(conversation: int) -> Iterator[int]:
        yield from numbers(conversation)
        if conversation == 5:
            raise ValueError

    for event in read_all(range(20), numbers_or_failure, 8):
        if isinstance(event, Failure):
            failed.append(event.job)
        elif isinstance(event, Part):
            read[event.job].append(event.content)
        elif isinstance(event, End):
            assert read[event.job] == list(range(event.job % 7))
            del read[event.job]

    assert failed == [5]
    assert list(read) == [5]
    (line,) = caplog.messages
    assert f"gives {there_are} of 8 threads" in line


def test_what_is_put_into_a_deque_meanwhile_is_read_too() -> None:
    jobs = deque([3])
    ended: list[int] = []

    for event in read_all(jobs, numbers, 4):
        if isinstance(event, End):
            ended.append(event.job)
            if event.job > 0:
                jobs.extend([event.job - 1] * 2)

    assert sorted(ended) == [0] * 8 + [1] * 4 + [2] * 2 + [3]
