"""What the state holds of the messages, and what it takes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tap_kommo_chats.sharding import Shard
from tap_kommo_chats.state.bookmarks import Bookmarks
from tap_kommo_chats.state.known import Known

HOUR = 60 * 60 * 1000
DAY = 24 * HOUR
RUN = 1_700_000_000_000


def known(newest_ms: int = RUN - 60_000, digest: str | None = "abc") -> Known:
    return Known(newest_ms, RUN, RUN, None, digest=digest)


def test_a_conversation_that_is_not_in_the_state_was_never_read() -> None:
    assert Bookmarks({}, DAY).known("a") is None


def test_what_is_kept_is_known_to_the_next_run() -> None:
    state: dict[str, Any] = {}
    Bookmarks(state, DAY).keep("a", known())

    assert Bookmarks(json.loads(json.dumps(state)), DAY).known("a") == known()


def test_a_bookmark_never_goes_back() -> None:
    bookmarks = Bookmarks({}, DAY)
    bookmarks.keep("a", known(RUN - 500))

    assert bookmarks.newest_ms("a", RUN - 700, RUN) == RUN - 500


def test_a_message_from_the_future_does_not_keep_later_ones_out() -> None:
    assert Bookmarks({}, DAY).newest_ms("a", RUN + 400 * DAY, RUN) == RUN - 1


def test_the_second_in_which_a_run_started_is_read_again() -> None:
    assert Bookmarks({}, DAY).newest_ms("a", RUN, RUN + 300) == RUN - 1


def test_a_conversation_that_failed_is_owed_until_it_was_read() -> None:
    state: dict[str, Any] = {}
    bookmarks = Bookmarks(state, DAY)
    bookmarks.owe("a", RUN)
    assert bookmarks.is_owed("a")

    bookmarks.keep("a", known())

    assert not bookmarks.is_owed("a")
    assert "owed" not in state


def test_what_is_owed_or_due_is_pending() -> None:
    bookmarks = Bookmarks({}, DAY)
    bookmarks.keep("quiet", Known(RUN - 30 * DAY, RUN - 9 * DAY, RUN - 30 * DAY))
    acted = RUN - 2 * HOUR
    bookmarks.keep("due", Known(RUN - 3 * HOUR, RUN - 2 * HOUR, acted, acted))
    bookmarks.keep("waits", Known(RUN - HOUR, RUN - HOUR // 2, RUN - HOUR // 2))
    bookmarks.owe("owed", RUN - DAY)

    pending = list(bookmarks.pending(RUN))

    assert pending == [("owed", RUN - DAY), ("due", RUN - 2 * HOUR)]


def test_digests_hold_for_what_they_were_made_of() -> None:
    state: dict[str, Any] = {}
    Bookmarks(state, DAY, "one").keep("a", known())

    same = Bookmarks(json.loads(json.dumps(state)), DAY, "one").known("a")
    other = Bookmarks(json.loads(json.dumps(state)), DAY, "another").known("a")

    assert same == known()
    assert other == known(digest=None)


def test_a_run_that_was_cut_after_a_change_takes_no_digest_for_another() -> None:
    state: dict[str, Any] = {}
    Bookmarks(state, DAY, "one").keep("a", known())
    Bookmarks(state, DAY, "another")

    assert Bookmarks(state, DAY, "another").known("a") == known(digest=None)


def test_what_the_crm_showed_is_noted_and_forgotten() -> None:
    bookmarks = Bookmarks({}, DAY)
    bookmarks.keep("a", known())
    bookmarks.note_in_crm("a")
    bookmarks.note_in_crm("never read")
    shown = bookmarks.known("a")
    bookmarks.forget_crm()

    assert shown is not None
    assert shown.is_in_crm
    assert bookmarks.known("a") == known()


def test_bookmarks_of_other_shards_are_left_out() -> None:
    state: dict[str, Any] = {}
    bookmarks = Bookmarks(state, DAY)
    for number in range(20):
        bookmarks.keep(str(number), known())
        bookmarks.owe(f"owed {number}", RUN)

    said = bookmarks.take_shard(Shard(1, 2))

    kept = [*state["conversations"], *state["owed"]]
    assert kept
    assert all(Shard(1, 2).holds(id_) for id_ in kept)
    assert said is not None


def test_a_quiet_conversation_takes_at_most_64_bytes() -> None:
    state: dict[str, Any] = {}
    bookmarks = Bookmarks(state, DAY)
    ids = [f"30477717-9f3c-4d3f-8101-{n:012d}" for n in range(1000)]
    for conversation_id in ids:
        quiet = Known(RUN, RUN + 4000 * DAY, RUN, RUN, is_in_crm=True)
        bookmarks.keep(conversation_id, quiet)

    written = json.dumps(state, separators=(",", ":"))
    assert len(written) <= 64 * len(ids) + 100
    assert bookmarks.size_bytes == pytest.approx(len(written), rel=0.1)
