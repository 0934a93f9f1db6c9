"""What follows from what the state knows of one conversation."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_kommo_chats.state.known import (
    Known,
    margin_ms,
    read_known,
    visit_distances_ms,
    write_known,
)

SECOND = 1000
HOUR = 60 * 60 * SECOND
DAY = 24 * HOUR
RUN = 1_700_000_000_000

LOOKBACKS = st.sampled_from([0, DAY, 3 * DAY, 30 * DAY])


@st.composite
def knowns(draw: st.DrawFn) -> Known:
    """A conversation as a run leaves it: nothing in it is later than the run."""
    read_s = draw(st.integers(RUN // SECOND - 10**8, RUN // SECOND))
    newest_ms = draw(st.just(0) | st.integers(1, read_s * SECOND - 1))
    active_s = draw(st.integers(newest_ms // SECOND + 1, read_s))
    return Known(
        newest_ms,
        read_s * SECOND,
        active_s * SECOND,
        draw(st.none() | st.integers(0, 2 * 10**9).map(lambda s: s * SECOND)),
        draw(st.booleans()),
        draw(st.none() | st.text("abcABC+/", min_size=11, max_size=11)),
    )


def kept(state: Known, lookback_ms: int) -> Known:
    """Write it, and read it again."""
    again = read_known(write_known(state, lookback_ms))
    assert again is not None
    return again


def known(read: int = 0, active: int = 0, acted: int | None = None) -> Known:
    """All in hours before the run."""
    return Known(
        RUN - active * HOUR - 1,
        RUN - read * HOUR,
        RUN - active * HOUR,
        None if acted is None else RUN - acted * HOUR,
    )


# Visits


def test_visits_are_an_hour_a_quarter_of_the_lookback_and_the_whole_after() -> None:
    assert visit_distances_ms(DAY) == (HOUR, 6 * HOUR, DAY)
    assert visit_distances_ms(8 * DAY) == (HOUR, 2 * DAY, 8 * DAY)


def test_without_a_lookback_there_is_one_visit_an_hour_after() -> None:
    assert visit_distances_ms(0) == (HOUR,)


@pytest.mark.parametrize("minutes", [5, 15, 60, 24 * 60, 7 * 24 * 60])
def test_each_visit_falls_into_the_first_run_after_its_time(minutes: int) -> None:
    step = minutes * 60 * SECOND
    state = known(read=0, active=0)
    visits = []
    for number in range(1, 30 * DAY // step):
        now = RUN + number * step
        if state.is_due(now, DAY):
            visits.append(now - RUN)
            state = Known(state.newest_ms, now, state.active_ms)

    expected = [-(-distance // step) * step for distance in (HOUR, 6 * HOUR, DAY)]
    assert visits == sorted(set(expected))


def test_a_visit_that_was_missed_is_made_up_for() -> None:
    assert known(read=0, active=0).is_due(RUN + 300 * DAY, DAY)


def test_what_was_long_ago_when_it_was_read_needs_no_visit() -> None:
    assert not known(read=0, active=25).is_due(RUN + 300 * DAY, DAY)


# News


def test_a_time_that_was_acted_on_is_no_news() -> None:
    assert not known(acted=2).has_news(RUN - 2 * HOUR, DAY)


def test_a_later_time_is_news() -> None:
    assert known(acted=2).has_news(RUN - 2 * HOUR + SECOND, DAY)


def test_a_time_long_before_the_last_reading_is_no_news() -> None:
    assert not known(acted=60).has_news(RUN - 25 * HOUR, DAY)


def test_a_first_time_near_the_last_reading_is_news() -> None:
    assert known(acted=None).has_news(RUN - 23 * HOUR, DAY)


@given(knowns(), LOOKBACKS, st.integers(0, 10 * DAY))
def test_an_old_list_hides_nothing_once_a_newer_one_comes(
    state: Known, lookback_ms: int, later_ms: int
) -> None:
    after = max(state.read_ms, state.acted_ms or 0) + 1 + later_ms

    assert state.has_news(after, lookback_ms)


# Written


@given(knowns(), LOOKBACKS)
def test_an_active_one_is_read_as_it_was_written(
    state: Known, lookback_ms: int
) -> None:
    again = kept(state, lookback_ms)

    assert again.newest_ms == state.newest_ms
    assert again.is_in_crm == state.is_in_crm
    if not state.is_quiet(lookback_ms):
        assert again == state


@given(knowns(), LOOKBACKS, st.integers(0, 100 * DAY))
def test_a_quiet_one_asks_for_no_visit_and_takes_no_old_time_for_news(
    state: Known, lookback_ms: int, later_ms: int
) -> None:
    if not state.is_quiet(lookback_ms):
        return
    again = kept(state, lookback_ms)

    assert not again.is_due(state.read_ms + later_ms, lookback_ms)
    if state.acted_ms is not None:
        assert not again.has_news(state.acted_ms, lookback_ms)


@given(knowns(), LOOKBACKS, st.integers(0, 10 * DAY))
def test_a_quiet_one_sees_all_news_that_it_would_have_seen(
    state: Known, lookback_ms: int, age_ms: int
) -> None:
    again = kept(state, lookback_ms)
    time_ms = state.read_ms + margin_ms(lookback_ms) - age_ms

    if state.has_news(time_ms, lookback_ms):
        assert again.has_news(time_ms, lookback_ms)


@given(knowns(), LOOKBACKS)
def test_the_cut_off_stays(state: Known, lookback_ms: int) -> None:
    again = kept(state, lookback_ms)

    assert again.cutoff_ms(lookback_ms) == state.cutoff_ms(lookback_ms)


def test_a_quiet_one_takes_at_most_64_bytes() -> None:
    eleven_years = Known(RUN, RUN + 4000 * DAY, RUN, RUN, is_in_crm=True)
    written = write_known(eleven_years, DAY)
    line = json.dumps(
        {"30477717-9f3c-4d3f-8101-60327e14dc48": written}, separators=(",", ":")
    )

    assert len(line) - 1 <= 64


@pytest.mark.parametrize(
    "written",
    ["", "1", "1 2 3", "x 2", "1 2s", "1 2s 3s 4s 5s", "1.5 2", "1 2 CRM", "1 2s 3s ="],
)
def test_what_was_not_written_so_is_none(written: str) -> None:
    assert read_known(written) is None
