"""What the state holds, and what it takes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tap_kommo_chats.state.bookmarks import Bookmarks

DAY = 24 * 60 * 60 * 1000
RUN = 1_700_000_000_000


def test_a_conversation_that_is_not_in_the_state_was_never_read() -> None:
    bookmarks = Bookmarks({"conversations": {"a": 1}, "read_since": RUN})

    assert bookmarks.cutoff_ms("b", DAY) is None


def test_an_idle_conversation_is_cut_off_at_its_newest_message() -> None:
    idle = RUN - 30 * DAY
    bookmarks = Bookmarks({"conversations": {"a": idle}, "read_since": RUN})

    assert bookmarks.cutoff_ms("a", DAY) == idle


def test_a_lively_conversation_is_cut_off_a_look_back_before_the_complete_run() -> None:
    bookmarks = Bookmarks({"conversations": {"a": RUN - 60}, "read_since": RUN})

    assert bookmarks.cutoff_ms("a", DAY) == RUN - DAY


def test_the_first_run_is_what_the_look_back_counts_from_until_one_is_complete() -> (
    None
):
    bookmarks = Bookmarks({})
    bookmarks.advance("a", RUN - 60, start_ms=RUN)
    bookmarks.advance("b", RUN - 60, start_ms=RUN + 2 * DAY)

    assert bookmarks.cutoff_ms("a", DAY) == RUN - DAY
    assert bookmarks.cutoff_ms("b", DAY) == RUN - DAY


def test_a_complete_run_is_what_the_look_back_counts_from() -> None:
    bookmarks = Bookmarks({})
    bookmarks.advance("a", RUN + 2 * DAY, start_ms=RUN + 3 * DAY)
    bookmarks.complete(RUN + 3 * DAY, ["a"])

    assert bookmarks.cutoff_ms("a", DAY) == RUN + 2 * DAY


def test_a_bookmark_never_goes_back() -> None:
    bookmarks = Bookmarks({"conversations": {"a": 500}, "read_since": RUN})

    bookmarks.advance("a", 400, start_ms=RUN)

    assert bookmarks.cutoff_ms("a", 0) == 500


def test_a_message_from_the_future_does_not_keep_later_ones_out() -> None:
    bookmarks = Bookmarks({})

    bookmarks.advance("a", RUN + 400 * DAY, start_ms=RUN)
    bookmarks.complete(RUN + 10 * DAY, ["a"])

    assert bookmarks.cutoff_ms("a", 0) == RUN - 1


def test_the_second_in_which_a_run_started_is_read_again() -> None:
    bookmarks = Bookmarks({})

    bookmarks.advance("a", RUN, start_ms=RUN + 300)
    bookmarks.complete(RUN + 300, ["a"])

    assert bookmarks.cutoff_ms("a", 0) == RUN - 1


def test_a_conversation_that_was_not_listed_keeps_its_own_look_back() -> None:
    bookmarks = Bookmarks({})
    for conversation_id in ("a", "b"):
        bookmarks.advance(conversation_id, RUN - 60, start_ms=RUN)
    bookmarks.complete(RUN, ["a", "b"])

    bookmarks.complete(RUN + 10 * DAY, ["a"])

    assert bookmarks.cutoff_ms("a", DAY) == RUN - 60
    assert bookmarks.cutoff_ms("b", DAY) == RUN - DAY


def test_an_empty_conversation_counts_as_read() -> None:
    state: dict[str, Any] = {}
    bookmarks = Bookmarks(state)

    bookmarks.advance("a", 0, start_ms=RUN)

    assert state == {"version": 1, "conversations": {"a": 0}, "read_since": RUN}


def test_a_bookmark_takes_at_most_64_bytes() -> None:
    state: dict[str, Any] = {}
    bookmarks = Bookmarks(state)
    ids = [f"30477717-9f3c-4d3f-8101-{n:012d}" for n in range(1000)]
    for conversation_id in ids:
        bookmarks.advance(conversation_id, RUN, start_ms=RUN)

    # With the spaces that others put in when they write it again.
    assert len(json.dumps(state)) <= 64 * len(ids)
    assert bookmarks.size_bytes == pytest.approx(len(json.dumps(state)), rel=0.1)
