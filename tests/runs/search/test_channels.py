"""Which channels' conversations are taken, and what becomes of the others."""

from __future__ import annotations

import logging

import pytest

from sandbox import OWN_ORIGIN
from tests.support.account import DAY, WABA, Account, names


def test_channels_of_others_are_left_out_and_told_in_one_line(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    account.talk(1, "a")
    for number in range(2, 5):
        account.talk(number, f"w{number}", origin=WABA)
    account.talk(9, "b", origin="amo.ext.999")

    account.run()

    assert account.asked() == ["a"]
    (line,) = [r.getMessage() for r in caplog.records if "crm_origins" in r.message]
    assert line.endswith("waba (3), amo.ext.999 (1)")


def test_a_talk_of_a_channel_that_kommo_brings_along_is_not_asked_for(
    account: Account,
) -> None:
    first = account.run()
    account.now += 10 * DAY
    account.talk(1, "w", origin=WABA)
    account.event(talk_id=1, origin=WABA)
    account.sandbox.forget_requests()

    account.run(first.state)

    assert len(account.sandbox.requests) == 1


def test_an_events_own_channel_is_told_by_its_talk(account: Account) -> None:
    first = account.run()
    account.now += 10 * DAY
    account.talk(1, "a")
    account.event(talk_id=1, origin="amo.ext.other-name")

    account.run(first.state)

    assert account.asked() == ["a"]


@pytest.mark.parametrize("before", ["amo.ext.wrong", "amo.ext.2"])
def test_an_origin_that_was_not_looked_for_before_is_searched_from_the_beginning(
    account: Account, before: str
) -> None:
    account.talk(1, "a")
    account.talk(2, "b", origin="amo.ext.2")
    messages = [account.message("a"), account.message("b")]
    account.event(talk_id=1)
    account.now += 5 * DAY
    first = account.run(crm_origins=[before])
    account.now += 10 * DAY

    second = account.run(first.state, crm_origins=[OWN_ORIGIN, "amo.ext.2"])

    assert sorted(names(first) + names(second)) == messages


def test_what_happened_while_an_origin_was_left_out_is_found(account: Account) -> None:
    account.talk(1, "a")
    account.message("a")
    first = account.run()
    account.now += 10 * DAY
    new = account.message("a")
    account.event(talk_id=1)
    account.now += 10 * DAY
    second = account.run(first.state, crm_origins=["amo.ext.2"])
    account.now += 10 * DAY

    third = account.run(second.state, crm_origins=[OWN_ORIGIN])

    assert new not in names(second)
    assert new in names(third)
