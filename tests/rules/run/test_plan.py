"""Which conversations are read, and from when on."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from tap_kommo_chats.records.conversations import Entry
from tap_kommo_chats.run.plan import Plan, ReadJob
from tap_kommo_chats.state.bookmarks import Bookmarks
from tap_kommo_chats.state.known import Known, write_known
from tap_kommo_chats.state.layout import Trouble

HOUR = 60 * 60 * 1000
DAY = 24 * HOUR
RUN = 1_700_000_000_000

PLAN = Plan(
    started_ms=RUN, start_ms=None, lookback_ms=DAY, has_crm=False, from_beginning=False
)
QUIET = Known(RUN - 30 * DAY, RUN - 2 * DAY, RUN - 30 * DAY, None)


def entry(last_activity_ms: int | None = None, *sources: str) -> Entry:
    return Entry("a", sources or ("file",), last_activity_ms)


def bookmarks(known: Known | None = QUIET, *, is_owed: bool = False) -> Bookmarks:
    kept = Bookmarks({}, DAY)
    if known is not None:
        kept.keep("a", known)
    if is_owed:
        kept.owe("a", RUN - DAY)
    return kept


def job(plan: Plan, entry: Entry, kept: Bookmarks) -> tuple[str, int | None] | None:
    found = plan.job_for(entry, kept)
    return None if found is None else (found.conversation_id, found.since_ms)


@pytest.mark.parametrize("hint", [None, RUN - 300 * DAY, RUN, RUN + 300 * DAY])
def test_a_conversation_that_was_never_read_is_read_whole(hint: int | None) -> None:
    assert job(PLAN, entry(hint), bookmarks(None)) == ("a", None)


def test_a_conversation_without_a_hint_is_read_from_its_bookmark() -> None:
    assert job(PLAN, entry(), bookmarks()) == ("a", RUN - 30 * DAY + 1)


def test_a_lively_conversation_is_read_from_a_look_back_before_its_last_reading() -> (
    None
):
    lively = Known(RUN - 2 * HOUR, RUN - HOUR, RUN - 2 * HOUR)

    assert job(PLAN, entry(), bookmarks(lively)) == ("a", RUN - HOUR - DAY + 1)


def test_a_conversation_in_which_nothing_happened_is_not_read() -> None:
    assert job(PLAN, entry(RUN - 30 * DAY), bookmarks()) is None


def test_a_conversation_of_which_a_source_has_news_is_read() -> None:
    assert job(PLAN, entry(RUN - HOUR), bookmarks()) is not None


def test_a_time_that_is_still_to_come_tells_nothing() -> None:
    assert job(PLAN, entry(RUN + 300 * DAY), bookmarks()) is not None


def test_a_conversation_that_is_due_for_a_visit_is_read_though_nothing_is_new() -> None:
    due = Known(RUN - 3 * HOUR, RUN - 2 * HOUR, RUN - 2 * HOUR, RUN - 2 * HOUR)

    assert job(PLAN, entry(RUN - 2 * HOUR), bookmarks(due)) is not None


@pytest.mark.parametrize("hint", [None, RUN - 300 * DAY])
def test_a_conversation_that_is_owed_is_read_whatever_its_hint(
    hint: int | None,
) -> None:
    assert job(PLAN, entry(hint), bookmarks(is_owed=True)) is not None


@pytest.mark.parametrize("hint", [None, RUN - 300 * DAY, RUN])
def test_from_the_beginning_everything_is_read_whole(hint: int | None) -> None:
    plan = replace(PLAN, from_beginning=True)

    assert job(plan, entry(hint), bookmarks()) == ("a", None)


def test_nothing_before_the_start_date_is_read() -> None:
    start = RUN - 10 * DAY
    plan = replace(PLAN, start_ms=start)

    assert job(plan, entry(), bookmarks(None)) == ("a", start)
    assert job(plan, entry(), bookmarks()) == ("a", start)
    assert job(plan, entry(start - 2 * DAY), bookmarks(None)) is None


def test_one_that_the_crm_has_shown_is_read_when_the_crm_shows_it_again() -> None:
    plan = replace(PLAN, has_crm=True)
    shown = bookmarks(replace(QUIET, is_in_crm=True))

    assert job(plan, entry(None, "config"), shown) is None
    assert job(plan, entry(RUN - HOUR, "config", "crm"), shown) is not None


def test_one_that_the_crm_has_not_shown_is_read_beside_it() -> None:
    plan = replace(PLAN, has_crm=True)

    assert job(plan, entry(None, "config"), bookmarks()) is not None


def test_without_a_crm_one_that_it_has_shown_is_read_as_any_other() -> None:
    assert job(PLAN, entry(), bookmarks(replace(QUIET, is_in_crm=True))) is not None


def test_one_that_only_the_state_names_is_read_for_a_visit_only() -> None:
    due = Known(RUN - 3 * HOUR, RUN - 2 * HOUR, RUN - 2 * HOUR)

    assert job(PLAN, entry(None, "state"), bookmarks()) is None
    assert job(PLAN, entry(None, "state"), bookmarks(due)) is not None


@pytest.mark.parametrize(
    ("sent_ms", "wanted"),
    [(RUN, True), (RUN - 1, False), (None, True), (0, True), (-5, True)],
)
def test_a_message_before_the_job_is_wanted_only_if_its_time_tells_nothing(
    *, sent_ms: int | None, wanted: bool
) -> None:
    assert ReadJob("a", RUN).wants(sent_ms) is wanted


def given_up(known: Known | None = QUIET) -> Bookmarks:
    kept = bookmarks(known, is_owed=True)
    kept.troubles.begin("a", Trouble.GIVEN_UP, RUN - HOUR)
    return kept


@pytest.mark.parametrize(
    ("hint", "is_read"),
    [(None, False), (RUN - 2 * DAY, False), (RUN - DAY, False), (RUN - DAY + 1, True)],
)
@pytest.mark.parametrize("from_beginning", [False, True])
@pytest.mark.parametrize("known", [QUIET, None])
def test_one_that_was_given_up_is_read_when_something_happens_that_was_not_acted_on(
    *, hint: int | None, is_read: bool, from_beginning: bool, known: Known | None
) -> None:
    plan = replace(PLAN, from_beginning=from_beginning)

    assert (job(plan, entry(hint), given_up(known)) is not None) is is_read


def test_one_that_was_given_up_goes_on_from_where_it_was() -> None:
    assert job(PLAN, entry(RUN), given_up()) == job(PLAN, entry(RUN), bookmarks())


def gone(known: Known = QUIET) -> Bookmarks:
    kept = bookmarks(known, is_owed=True)
    kept.troubles.begin("a", Trouble.GONE, RUN - HOUR)
    return kept


@pytest.mark.parametrize(
    ("hint", "is_read"),
    [(None, True), (RUN - DAY, False), (RUN - DAY + 1, True)],
)
def test_one_that_is_gone_is_asked_for_by_a_list_that_knows_no_better(
    *, hint: int | None, is_read: bool
) -> None:
    assert (job(PLAN, entry(hint), gone()) is not None) is is_read


def test_one_that_is_gone_is_read_from_the_beginning_whatever_its_hint() -> None:
    plan = replace(PLAN, from_beginning=True)

    assert job(plan, entry(RUN - 300 * DAY), gone()) == ("a", None)


def test_one_that_is_gone_gets_no_visit() -> None:
    due = Known(RUN - 3 * HOUR, RUN - 2 * HOUR, RUN - 2 * HOUR, is_in_crm=True)
    plan = replace(PLAN, has_crm=True)

    assert job(plan, entry(), bookmarks(due)) is not None
    assert job(plan, entry(), gone(due)) is None


def test_one_that_was_empty_is_read_when_an_event_names_a_message_whatever_its_hint() -> (  # noqa: E501 (the rule)
    None
):
    told = replace(entry(RUN - 300 * DAY), has_messages=True)

    assert job(PLAN, told, bookmarks(replace(QUIET, newest_ms=0))) is not None
    assert job(PLAN, told, bookmarks()) is None


HAD_SOME = {"conversations": {"a": write_known(QUIET, DAY)}}
HAD_NONE = {"conversations": {"a": write_known(replace(QUIET, newest_ms=0), DAY)}}


@pytest.mark.parametrize(
    ("state", "is_named", "expects"),
    [
        ({}, False, False),
        ({}, True, True),
        (HAD_NONE, False, False),
        (HAD_SOME, False, True),
        ({"unread": {"a": RUN}}, False, True),
        ({**HAD_SOME, "troubles": {"emptied": {"a": RUN}}}, False, False),
        ({**HAD_SOME, "troubles": {"gone": {"a": RUN}}}, True, True),
    ],
)
def test_a_conversation_has_messages_when_somebody_knows_of_one(
    *, state: dict[str, Any], is_named: bool, expects: bool
) -> None:
    told = replace(entry(), has_messages=is_named)

    found = PLAN.job(told, Bookmarks(deepcopy(state), DAY))

    assert found.expects_messages is expects
