"""A first search says what it could not know, in one line."""

from __future__ import annotations

import logging

import pytest

from tests.support.account import DAY, Account


def gaps(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [
        (record.levelname, record.getMessage())
        for record in caplog.records
        if "may not have shown all" in record.getMessage()
    ]


def test_a_first_search_that_saw_all_says_nothing(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for number in range(1, 4):
        account.talk(number, f"c{number}")
        account.event(type="talk_created", talk_id=number)

    account.run()

    assert gaps(caplog) == []


def test_a_list_of_talks_that_leaves_out_what_events_name_is_told(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(1, 6):
        account.talk(number, f"c{number}")
        account.event(talk_id=number)
    account.crm.store.talks.listed_at_most = 2

    account.run()

    ((level, line),) = gaps(caplog)
    assert level == "WARNING"
    assert "its list of talks ended after 2, and events lead to 3 more" in line


@pytest.mark.parametrize("size", [250, 100])
def test_a_list_of_talks_that_ends_after_250_is_told_by_their_numbers(
    account: Account, caplog: pytest.LogCaptureFixture, size: int
) -> None:
    account.crm.max_limit = size
    for number in range(1, 601):
        account.talk(number, "a")
    account.event(type="talk_created", talk_id=600)
    account.crm.store.talks.listed_at_most = 250

    account.run()

    ((level, line),) = gaps(caplog)
    assert level == "WARNING"
    assert "its list of talks ended after 250, and they are numbered up to 600" in line


def test_events_that_do_not_go_back_to_the_first_talks_are_told(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    account.talk(1, "a")
    account.now += 100 * DAY
    account.talk(2, "b")
    account.event(talk_id=2)
    account.now += DAY

    account.run()

    ((level, line),) = gaps(caplog)
    assert level == "INFO"
    assert "its events begin at 2026-01-17T08:53:20.000+00:00, and its talks at" in line
    assert "2025-10-09T08:53:20" in line


def test_a_later_search_says_nothing_of_what_the_first_could_not_know(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    account.talk(1, "a")
    account.now += 100 * DAY
    first = account.run()
    account.now += 10 * DAY
    caplog.clear()

    account.run(first.state)

    assert gaps(caplog) == []
