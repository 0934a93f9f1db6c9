"""Which span of time the CRM is searched in, and which part of it is whose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tap_kommo_chats.run.search import Search, plan_search

if TYPE_CHECKING:
    from collections.abc import Mapping

HOUR = 60 * 60 * 1000
RUN = 1_700_000_000_000


def search(until_ms: Mapping[str, int | None], start_ms: int | None = None) -> Search:
    return plan_search(until_ms, margin_ms=HOUR, start_ms=start_ms, started_ms=RUN)


def test_a_first_search_begins_with_all_there_is() -> None:
    window = search({"a": None, "b": None}).window

    assert (window.from_ms, window.to_ms, window.is_first) == (None, RUN, True)


def test_a_first_search_begins_at_the_start_date() -> None:
    assert search({"a": None}, RUN - 5 * HOUR).window.from_ms == RUN - 5 * HOUR


def test_a_later_search_begins_where_the_last_one_ended_less_the_margin() -> None:
    found = search({"a": RUN - 5 * HOUR, "b": RUN - 5 * HOUR})

    assert (found.window.from_ms, found.window.is_first) == (RUN - 6 * HOUR, False)
    assert found.since_ms == {}


def test_a_stream_that_lags_gets_what_it_missed_alone() -> None:
    found = search({"lags": RUN - 50 * HOUR, "b": RUN - 5 * HOUR})

    assert found.window.from_ms == RUN - 51 * HOUR
    assert found.since_ms == {"b": RUN - 6 * HOUR}


def test_a_stream_that_comes_later_is_searched_for_from_the_beginning() -> None:
    found = search({"new": None, "b": RUN - 5 * HOUR})

    assert (found.window.from_ms, found.window.is_first) == (None, True)
    assert found.since_ms == {"b": RUN - 6 * HOUR}


@given(
    st.dictionaries(
        st.sampled_from("abc"),
        st.none() | st.integers(0, 9).map(lambda hours: RUN - hours * HOUR),
        min_size=1,
    ),
    st.none() | st.integers(0, 9).map(lambda hours: RUN - hours * HOUR),
)
def test_no_stream_begins_later_than_it_was_searched_for(
    until_ms: dict[str, int | None], start_ms: int | None
) -> None:
    found = search(until_ms, start_ms)

    for stream, until in until_ms.items():
        begin = found.since_ms.get(stream, found.window.from_ms)
        if until is None:
            assert stream not in found.since_ms
            assert begin == start_ms
        else:
            assert begin is None or begin <= until - HOUR
