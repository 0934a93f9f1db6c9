"""Which spans of time are searched at once."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_kommo_chats.run.split import SPANS_AT_MOST, Span, split

MINUTE = 60 * 1000
DAY = 24 * 60 * MINUTE
RUN = 1_700_000_000_000

SPANS = st.builds(
    Span, st.none() | st.integers(0, RUN - 1), st.integers(RUN, RUN + 90 * DAY)
)


@given(SPANS, st.integers(0, 400 * DAY))
def test_the_parts_are_the_whole_and_do_not_overlap(span: Span, page_ms: int) -> None:
    parts = split(span, page_ms)

    assert parts[0].to_ms == span.to_ms
    assert parts[-1].from_ms == span.from_ms
    assert all(younger.from_ms == older.to_ms for younger, older in pairwise(parts))


@given(SPANS, st.integers(0, 400 * DAY))
def test_there_are_not_too_many(span: Span, page_ms: int) -> None:
    assert len(split(span, page_ms)) <= 2 * SPANS_AT_MOST


def test_a_short_search_is_not_parted() -> None:
    day = Span(RUN - DAY, RUN)

    assert split(day, DAY // 3) == [day]


def test_a_long_search_is_parted_into_spans_of_some_pages() -> None:
    assert len(split(Span(RUN - DAY, RUN), DAY // 400)) == SPANS_AT_MOST


@pytest.mark.parametrize("days", [30, 365, 3650])
def test_of_a_first_search_no_span_has_too_large_a_part(days: int) -> None:
    page_ms = days * DAY // 400
    parts = split(Span(None, RUN), page_ms)

    begin = RUN - days * DAY
    lengths = [max(0, p.to_ms - max(p.from_ms or 0, begin)) for p in parts]
    assert max(lengths) <= 0.25 * days * DAY
