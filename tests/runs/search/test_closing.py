"""A talk that was closed or read is told, and costs its conversation no request."""

from __future__ import annotations

import pytest

from sandbox import OWN_ORIGIN
from tests.support.account import DAY, HOUR, WABA, Account, names


def close(account: Account, talk_id: int) -> None:
    account.crm.store.talks.update(
        talk_id, is_in_work=False, updated_at=account.now // 1000
    )
    account.event(type="talk_closed", talk_id=talk_id)


@pytest.mark.parametrize("origin", [OWN_ORIGIN, WABA])
def test_a_talk_that_was_closed_is_told_and_its_conversation_is_not_asked_for(
    account: Account, origin: str
) -> None:
    account.talk(1, "a", origin=origin)
    account.talk(2, "b")
    first = account.run()
    account.now += 10 * DAY
    close(account, 1)
    account.sandbox.forget_requests()

    second = account.run(first.state)

    assert [
        (row["talk_id"], row["status"], row["is_in_work"])
        for row in second.records_of("talks")
    ] == [(1, "closed", False)]
    assert account.asked() == []
    assert second.records_of("conversations") == []


def test_a_message_and_a_closing_of_one_talk_are_one_request(account: Account) -> None:
    account.talk(1, "a")
    account.now += DAY
    first = account.run()
    account.now += 10 * DAY
    new = account.message("a")
    account.event(talk_id=1)
    account.now += HOUR
    close(account, 1)
    account.sandbox.forget_requests()

    second = account.run(first.state)

    assert names(second) == [new]
    assert account.asked() == ["a"]
    (row,) = second.records_of("conversations")
    assert row["last_activity_at"][:19] == "2025-10-20T08:53:20"


def test_a_talk_that_was_read_after_its_last_message_costs_no_request(
    account: Account,
) -> None:
    account.talk(1, "a")
    first = account.run()
    account.now += 10 * DAY
    account.message("a")
    account.event(talk_id=1)
    account.now += 5 * DAY
    second = account.run_some(["chat_history", "conversations"], first.state)
    account.now += 10 * DAY
    account.crm.store.talks.update(1, is_read=True, updated_at=account.now // 1000)
    account.now += DAY
    account.sandbox.forget_requests()

    # The search goes back to the event, for the stream of talks.
    third = account.run(second.state)

    assert [row["is_read"] for row in third.records_of("talks")] == [True]
    assert account.asked() == []


def test_a_conversation_that_first_shows_up_by_its_closing_is_read_whole(
    account: Account,
) -> None:
    first = account.run()
    account.now += 100 * DAY
    old = account.message("a", 50 * DAY)
    account.talk(1, "a", created_at=(account.now - 60 * DAY) // 1000)
    close(account, 1)

    second = account.run(first.state)

    assert names(second) == [old]
    (row,) = second.records_of("conversations")
    assert row["outcome"] == "read"


def test_a_closing_that_shows_up_while_messages_are_not_selected_is_read_later(
    account: Account,
) -> None:
    first = account.run()
    account.now += 10 * DAY
    new = account.message("a")
    account.talk(1, "a")
    close(account, 1)
    second = account.run_some(["conversations", "talks"], first.state)
    account.now += 10 * DAY

    third = account.run(second.state)

    assert second.records_of("conversations") == []
    assert [row["talk_id"] for row in second.records_of("talks")] == [1]
    assert names(third) == [new]


def test_a_closing_of_a_talk_that_is_gone_is_nobodys_loss(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    account.event(type="talk_closed", talk_id=9, contact_id=77)

    account.run()

    assert "lead to no conversation" not in caplog.text
    assert account.crm_requests("/api/v4/talks?filter%5Bcontact_id") == []
