"""Which spans of time are searched at once, and what becomes of a long one."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_kommo_chats.sources.split import Span, part, split
from tap_kommo_chats.state.event_memory import QUARTER_MS

MINUTE = 60 * 1000
DAY = 24 * 60 * MINUTE
RUN = 1_700_000_000_000

SPANS = st.builds(
    Span, st.none() | st.integers(0, RUN - 1), st.integers(RUN, RUN + 90 * DAY)
)


def assert_parts_are(parts: list[Span], whole: Span) -> None:
    assert parts[0].to_ms == whole.to_ms
    assert parts[-1].from_ms == whole.from_ms
    assert all(younger.from_ms == older.to_ms for younger, older in pairwise(parts))


def newest_first(page: int) -> list[int]:
    return [RUN - (page * 250 + n) * MINUTE for n in range(250)]


def in_pages(times: list[int]) -> list[list[int]]:
    return [times[n : n + 250] for n in range(0, len(times), 250)]


@given(SPANS, st.integers(0, 400 * DAY))
def test_the_parts_are_the_whole_and_do_not_overlap(span: Span, page_ms: int) -> None:
    assert_parts_are(split(span, page_ms), span)


@given(SPANS, st.integers(MINUTE, 400 * DAY))
def test_there_are_not_too_many(span: Span, page_ms: int) -> None:
    assert len(split(span, page_ms)) <= 30


def test_a_short_search_is_not_parted() -> None:
    day = Span(RUN - DAY, RUN)

    assert split(day, DAY // 3) == [day]


@pytest.mark.parametrize("days", [30, 365, 3650])
def test_of_a_long_search_no_span_has_much_more_than_half(days: int) -> None:
    parts = split(Span(None, RUN), days * DAY // 400)

    begin = RUN - days * DAY
    lengths = [max(0, p.to_ms - max(p.from_ms or 0, begin)) for p in parts]
    assert max(lengths) <= 0.6 * days * DAY


@given(
    ago=st.lists(st.lists(st.integers(0, DAY)), min_size=1, max_size=16),
    from_ms=st.none() | st.just(RUN - DAY),
    is_sorted=st.booleans(),
)
def test_whatever_was_read_that_and_the_rest_are_the_whole(
    ago: list[list[int]], from_ms: int | None, *, is_sorted: bool
) -> None:
    span = Span(from_ms, RUN)
    pages = [[RUN - time for time in page] * 30 for page in ago]
    if is_sorted:
        pages = [sorted(page, reverse=True) for page in pages]

    parted = part(span, pages)

    assert_parts_are([*([parted.read] if parted.read else []), *parted.rest], span)


def test_pages_with_the_newest_first_need_not_be_read_again() -> None:
    pages = [newest_first(n) for n in range(4)]

    parted = part(Span(RUN - 90 * DAY, RUN), pages)

    assert parted.read is not None
    assert parted.read.from_ms is not None
    # Up to a quarter of an hour of the last page is read again.
    assert max(pages[-1]) <= parted.read.from_ms <= max(pages[-1]) + QUARTER_MS


def test_late_events_among_them_change_nothing() -> None:
    pages = [newest_first(n) for n in range(4)]
    for n, page in enumerate(pages):
        page[100] = RUN - (30 + n) * DAY

    assert part(Span(RUN - 90 * DAY, RUN), pages).read is not None


@pytest.mark.parametrize("order", ["oldest first", "any", "too few to tell"])
def test_pages_in_another_order_are_read_again(order: str) -> None:
    times = [time for n in range(4) for time in newest_first(n)]
    if order == "oldest first":
        times.reverse()
    elif order == "any":
        random.Random(1).shuffle(times)  # noqa: S311 (repeatable, not secret)
    else:
        times = times[::10]

    parted = part(Span(RUN - 90 * DAY, RUN), in_pages(times))

    assert parted.read is None
    assert len(parted.rest) > 1


def test_what_cannot_be_parted_is_read_to_its_end() -> None:
    quarter = Span(RUN - QUARTER_MS // 2, RUN)
    pages = [[RUN - 1000] * 250] * 4

    parted = part(quarter, pages)

    assert parted.read is None
    assert [span.pages_at_most for span in parted.rest] == [None]
