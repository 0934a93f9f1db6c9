"""Which channels' conversations are taken, and what becomes of the others."""

from __future__ import annotations

import logging

import pytest

from sandbox import OWN_ORIGIN
from tap_kommo_chats.errors import IncompleteRunError
from tests.support.account import DAY, WABA, Account, names
from tests.support.tap import failing_run


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

    assert account.crm_requests("/api/v4/talks") == []


def test_an_events_own_channel_is_told_by_its_talk(account: Account) -> None:
    first = account.run()
    account.now += 10 * DAY
    account.talk(1, "a")
    account.event(talk_id=1, origin="amo.ext.other-name")

    account.run(first.state)

    assert account.asked() == ["a"]


def test_an_origin_that_was_not_looked_for_before_is_searched_from_the_beginning(
    account: Account,
) -> None:
    account.talk(1, "a")
    account.talk(2, "b", origin="amo.ext.2")
    messages = [account.message("a"), account.message("b")]
    account.event(talk_id=1)
    account.now += 5 * DAY
    first = account.run(crm_origins=["amo.ext.2"])
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


# Origins that match nothing


def test_origins_that_match_no_talk_are_an_error_that_lists_those_there_are(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(1, 4):
        account.talk(number, f"w{number}", origin=WABA)
        for _ in range(4):
            account.event(talk_id=number, origin=WABA)
    account.talk(9, "b", origin="amo.ext.999")

    with account.clock():
        failed = failing_run(account.config(crm_origins=["amo.ext.wrong"]), caplog)

    assert isinstance(failed.error, IncompleteRunError)
    assert "crm_origins match no talk" in str(failed.error)
    assert str(failed.error).endswith("There are waba (3), amo.ext.999 (1)")


def test_a_message_of_an_origin_is_a_match_though_its_talk_is_gone(
    account: Account,
) -> None:
    account.talk(1, "w", origin=WABA)
    account.event(talk_id=2)

    account.run()


def test_an_account_without_talks_is_no_error(account: Account) -> None:
    account.run(crm_origins=["amo.ext.wrong"])


def test_a_quiet_hour_is_no_error(account: Account) -> None:
    account.talk(1, "a")
    account.talk(2, "w", origin=WABA)
    first = account.run()
    account.now += 10 * DAY
    account.event(talk_id=2, origin=WABA)

    account.run(first.state)


def test_origins_that_were_matched_before_are_no_error_when_all_is_searched_again(
    account: Account,
) -> None:
    account.talk(1, "a")
    account.talk(2, "w", origin=WABA)
    first = account.run()
    account.now += 10 * DAY
    account.crm.store.talks.remove(1)
    state = first.state
    for part in state["bookmarks"].values():
        part.pop("searched_until", None)

    account.run(state)


@pytest.mark.parametrize("listed", [[], ["listed"]])
def test_origins_that_match_nothing_are_an_error_in_each_run_until_they_are_set_right(
    account: Account, caplog: pytest.LogCaptureFixture, listed: list[str]
) -> None:
    account.talk(1, "a")
    names_of_all = [account.message("a"), *map(account.message, listed)]
    wrong = account.config(crm_origins=["amo.ext.wrong"], conversation_ids=listed)
    with account.clock():
        first = failing_run(wrong, caplog)
    account.now += 10 * DAY
    with account.clock():
        second = failing_run(wrong, caplog, first.output.state)
    account.now += 10 * DAY

    third = account.run(second.output.state, conversation_ids=listed)

    assert "crm_origins match no talk" in str(second.error)
    assert set(names(first.output) + names(third)) == set(names_of_all)


def test_a_shard_that_has_none_of_the_conversations_is_no_error(
    account: Account,
) -> None:
    account.talk(1, "a")
    account.talk(2, "w", origin=WABA)

    for shard in ("1/2", "2/2"):
        account.run(shard=shard)
