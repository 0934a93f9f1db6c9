"""Which conversations are read, and from when on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tap_kommo_chats.records.conversations import Entry
from tap_kommo_chats.run.plan import Plan, ReadJob
from tap_kommo_chats.state.bookmarks import Bookmarks

HOUR = 60 * 60 * 1000
DAY = 24 * HOUR
RUN = 1_700_000_000_000

PLAN = Plan(
    start_ms=None,
    lookback_ms=DAY,
    hint_margin_ms=DAY,
    hints_since_ms=RUN,
    from_beginning=False,
)


def entry(last_activity_ms: int | None = None) -> Entry:
    return Entry("a", ("file",), last_activity_ms)


def known(read_until_ms: int = RUN - 30 * DAY) -> Bookmarks:
    return Bookmarks({"conversations": {"a": read_until_ms}, "read_since": RUN})


def test_a_conversation_that_was_never_read_is_read_whole() -> None:
    assert PLAN.job_for(entry(), Bookmarks({})) == ReadJob("a", None)


def test_a_conversation_without_a_hint_is_read_from_its_bookmark() -> None:
    assert PLAN.job_for(entry(), known()) == ReadJob("a", RUN - 30 * DAY + 1)


def test_a_conversation_in_which_nothing_happened_is_not_read() -> None:
    assert PLAN.job_for(entry(RUN - 2 * DAY), known()) is None


def test_a_hint_may_be_late_by_its_margin() -> None:
    assert PLAN.job_for(entry(RUN - DAY + 1), known()) is not None


def test_a_conversation_that_is_owed_is_read_whatever_its_hint() -> None:
    bookmarks = known()
    bookmarks.owe("a")

    assert PLAN.job_for(entry(RUN - 300 * DAY), bookmarks) is not None


def test_a_conversation_that_was_never_read_is_read_whatever_its_hint() -> None:
    job = PLAN.job_for(entry(RUN - 300 * DAY), Bookmarks({}))

    assert job == ReadJob("a", None)


@pytest.mark.parametrize("hint", [None, RUN - 300 * DAY, RUN])
def test_from_the_beginning_everything_is_read_whole(hint: int | None) -> None:
    plan = replace(PLAN, from_beginning=True)

    assert plan.job_for(entry(hint), known()) == ReadJob("a", None)


def test_nothing_before_the_start_date_is_read() -> None:
    start = RUN - 10 * DAY
    plan = replace(PLAN, start_ms=start)

    assert plan.job_for(entry(), Bookmarks({})) == ReadJob("a", start)
    assert plan.job_for(entry(), known()) == ReadJob("a", start)
    assert plan.job_for(entry(start - 2 * DAY), Bookmarks({})) is None


@pytest.mark.parametrize(
    ("sent_ms", "wanted"),
    [(RUN, True), (RUN - 1, False), (None, True), (0, True), (-5, True)],
)
def test_a_message_before_the_job_is_wanted_only_if_its_time_tells_nothing(
    *, sent_ms: int | None, wanted: bool
) -> None:
    assert ReadJob("a", RUN).wants(sent_ms) is wanted
