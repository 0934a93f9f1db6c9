"""Which conversations are read, and from when on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

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
    job = PLAN.job_for(entry(), known())

    assert job == ReadJob("a", RUN - 30 * DAY + 1, expects_messages=True)


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

    job = plan.job_for(entry(hint), known())

    assert job == ReadJob("a", None, expects_messages=True)


def test_nothing_before_the_start_date_is_read() -> None:
    start = RUN - 10 * DAY
    plan = replace(PLAN, start_ms=start)

    assert plan.job_for(entry(), Bookmarks({})) == ReadJob("a", start)
    assert plan.job_for(entry(), known()) == ReadJob("a", start, expects_messages=True)
    assert plan.job_for(entry(start - 2 * DAY), Bookmarks({})) is None


@pytest.mark.parametrize(
    ("sent_ms", "wanted"),
    [(RUN, True), (RUN - 1, False), (None, True), (0, True), (-5, True)],
)
def test_a_message_before_the_job_is_wanted_only_if_its_time_tells_nothing(
    *, sent_ms: int | None, wanted: bool
) -> None:
    assert ReadJob("a", RUN).wants(sent_ms) is wanted


GIVEN_UP = {"owed": {"a": RUN - DAY}, "troubles": {"given_up": {"a": RUN + 999}}}


@pytest.mark.parametrize(
    ("hint", "is_read"), [(None, False), (RUN - 1, False), (RUN, True)]
)
@pytest.mark.parametrize("from_beginning", [False, True])
def test_one_that_was_given_up_is_read_when_something_happens_after(
    *, hint: int | None, is_read: bool, from_beginning: bool
) -> None:
    bookmarks = Bookmarks({"conversations": {"a": 1}, "read_since": RUN, **GIVEN_UP})
    plan = replace(PLAN, from_beginning=from_beginning)

    assert (plan.job_for(entry(hint), bookmarks) is not None) is is_read


def test_one_that_was_empty_is_read_when_an_event_names_a_message_whatever_its_hint() -> (  # noqa: E501 (the rule)
    None
):
    told = replace(entry(RUN - 300 * DAY), has_messages=True)

    assert PLAN.job_for(told, known(0)) is not None
    assert PLAN.job_for(told, known(RUN - 300 * DAY)) is None


@pytest.mark.parametrize(
    ("state", "is_named", "expects"),
    [
        ({}, False, False),
        ({}, True, True),
        ({"conversations": {"a": 0}}, False, False),
        ({"conversations": {"a": 1}}, False, True),
        ({"unread": {"a": RUN}}, False, True),
        ({"conversations": {"a": 1}, "troubles": {"emptied": {"a": 2}}}, False, False),
        ({"conversations": {"a": 1}, "troubles": {"gone": {"a": 2}}}, True, True),
    ],
)
def test_a_conversation_has_messages_when_somebody_knows_of_one(
    *, state: dict[str, Any], is_named: bool, expects: bool
) -> None:
    told = replace(entry(), has_messages=is_named)

    job = PLAN.job_for(told, Bookmarks({"read_since": RUN, **state}))

    assert job is not None
    assert job.expects_messages is expects
