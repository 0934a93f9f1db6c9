"""A walk through the events of a span, several parts of it at once."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_kommo_chats.kommo.pages import Ending, Page
from tap_kommo_chats.sources.events import Event
from tap_kommo_chats.sources.spans import SpanWalk
from tap_kommo_chats.sources.split import Span
from tap_kommo_chats.times import SECOND_MS

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Generator, Iterable, Iterator

MINUTE = 60 * 1000
DAY = 24 * 60 * MINUTE
RUN = 1_700_000_000_000


@dataclass
class Server:
    """Answers with events in some order.

    Attributes:
        events: The events, in that order.
        size: Of a page.
        heeds_spans: Whether it gives only those of a span.
        asked: Of which span each page was asked for.
    """

    events: list[Event]
    size: int = 250
    heeds_spans: bool = True
    asked: list[Span] = field(default_factory=list)

    def pages_of(self, span: Span) -> Iterator[Page]:
        begin = 0 if span.from_ms is None else span.from_ms - SECOND_MS
        found = [
            event
            for event in self.events
            if not self.heeds_spans
            or not event.is_dated
            or begin // SECOND_MS <= event.at_ms // SECOND_MS <= span.to_ms // SECOND_MS
        ]
        for place in range(0, max(1, len(found)), self.size):
            self.asked.append(span)
            is_last = place + self.size >= len(found)
            rows: list[Any] = [*found[place : place + self.size]]
            yield Page(rows, Ending.LAST if is_last else None)


def in_turn(
    spans: deque[Span], read: Callable[[Span], Iterable[Page]]
) -> Generator[tuple[Span, Page | None], None, None]:
    """Go through spans a page each in turn, as threads would."""
    walks: list[tuple[Span, Iterator[Page]]] = []
    while spans or walks:
        while spans and len(walks) < 3:
            span = spans.popleft()
            walks.append((span, iter(read(span))))
        span, pages = walks.pop(0)
        page = next(pages, None)
        yield span, page
        if page is not None:
            walks.append((span, pages))


def walked(server: Server, whole: Span) -> list[str | None]:
    walk: SpanWalk[Event] = SpanWalk(server.pages_of, in_turn, lambda page: page.rows)  # type: ignore[arg-type,return-value]
    ended: set[Span] = set()
    found: list[str | None] = []
    for span, events in walk.walk(whole):
        assert span not in ended
        if events is None:
            ended.add(span)
        else:
            found += [event.event_id for event in events]
    return found


def events(times: Iterable[int], *, is_dated: bool = True) -> list[Event]:
    return [
        Event(str(n), 1, None, None, at_ms, is_activity=True, is_dated=is_dated)
        for n, at_ms in enumerate(times)
    ]


AGO = st.lists(st.integers(0, 3 * DAY), max_size=300)


@given(
    ago=AGO,
    size=st.integers(1, 40),
    order=st.sampled_from(["newest first", "oldest first", "any"]),
    heeds_spans=st.booleans(),
    has_begin=st.booleans(),
    undated=st.integers(0, 3),
)
def test_in_whatever_order_events_come_none_is_left_out(  # noqa: PLR0913
    *,
    ago: list[int],
    size: int,
    order: str,
    heeds_spans: bool,
    has_begin: bool,
    undated: int,
) -> None:
    if order != "any":
        ago.sort(reverse=order == "oldest first")
    there = events([RUN] * undated, is_dated=False)
    there += [
        Event(f"dated {n}", 1, None, None, RUN - each, is_activity=True)
        for n, each in enumerate(ago)
    ]
    server = Server(there, size, heeds_spans=heeds_spans)

    found = walked(server, Span(RUN - 3 * DAY if has_begin else None, RUN))

    assert set(found) == {event.event_id for event in there}


@pytest.mark.parametrize("shape", ["even", "a rush", "long ago", "a gap"])
@pytest.mark.parametrize("has_begin", [True, False])
def test_a_long_search_is_parted_at_little_cost(shape: str, *, has_begin: bool) -> None:
    draw = random.Random(7)  # noqa: S311 (repeatable, not secret)
    days_ago: dict[str, Callable[[], float]] = {
        "even": lambda: draw.uniform(0, 30),
        "a rush": lambda: draw.choice([draw.uniform(0, 30), draw.uniform(3, 3.3)]),
        "long ago": lambda: draw.uniform(20, 30),
        "a gap": lambda: draw.uniform(0, 1) + 28 * draw.randint(0, 1),
    }
    ago = sorted(int(days_ago[shape]() * DAY) for _ in range(50_000))
    times = [RUN - each for each in ago]
    server = Server(events(times))

    found = walked(server, Span(RUN - 30 * DAY if has_begin else None, RUN))

    assert sorted(found, key=str) == sorted((str(n) for n in range(50_000)), key=str)
    assert len(server.asked) <= 1.3 * 50_000 / 250
    of_one = max(server.asked.count(span) for span in set(server.asked))
    assert of_one <= 20


def test_a_short_search_costs_no_request_more() -> None:
    server = Server(events(RUN - n * MINUTE for n in range(900)))

    walked(server, Span(RUN - DAY, RUN))

    assert len(server.asked) == 4
