"""What `conversations` and the log tell of native chats."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from sandbox import ACCOUNT_ID, CRM_ROOT, Refusal, Terms
from tap_kommo_chats.run import progress
from tests.support.account import DAY, HOUR

if TYPE_CHECKING:
    import pytest

    from tests.support.native import NativeAccount
    from tests.support.tap import Output


def chats(output: Output) -> dict[str, dict[str, Any]]:
    rows = output.records_of("conversations")
    found = {row["conversation_id"]: row for row in rows}
    assert len(found) == len(rows)
    return found


def test_each_native_chat_has_a_row_without_a_scope(account: NativeAccount) -> None:
    account.open_talk(1, "a")
    account.say(1)

    row = chats(account.run())["a"]

    assert (row["scope_id"], row["account_id"]) == (None, ACCOUNT_ID)
    assert (row["sources"], row["outcome"], row["error"]) == (["crm"], "read", None)
    assert row["newest_message_at"] == "2025-10-09T08:53:20.000+00:00"
    assert row["last_read_at"] is not None


def test_a_chat_of_several_talks_has_one_row_that_tells_the_worst(
    account: NativeAccount,
) -> None:
    for talk_id in (1, 2, 3):
        account.open_talk(talk_id, "a")
        account.say(talk_id)
    path = f"{CRM_ROOT}/talks/2/messages"
    account.sandbox.crm.terms = Terms(refused={path: Refusal(404, "no")})

    output, _ = account.try_run()

    row = chats(output)["a"]
    assert row["outcome"] == "failed"
    assert "talk 2" in row["error"]


def test_a_chat_in_which_nothing_happened_has_no_row(account: NativeAccount) -> None:
    account.open_talk(1, "a")
    account.open_talk(2, "b")
    account.say(1)
    account.say(2)
    state = account.run().state
    account.now += 10 * DAY
    state = account.run(state).state
    account.now += HOUR
    account.say(2)

    assert chats(account.run(state)).keys() == {"b"}


def test_a_visit_that_finds_something_has_a_row(account: NativeAccount) -> None:
    account.open_talk(1, "a")
    account.say(1, HOUR)
    state = account.run().state
    for event in account.crm.store.events.all():
        account.crm.store.events.remove(event["id"])
    account.now += 2 * HOUR
    account.say(1)
    for event in account.crm.store.events.all():
        account.crm.store.events.remove(event["id"])
    account.now += HOUR

    assert chats(account.run(state))["a"]["outcome"] == "read"


def test_the_log_tells_how_far_the_reading_of_talks_is(
    account: NativeAccount,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress._Lines, "seconds_apart", 0.0)  # noqa: SLF001
    caplog.set_level(logging.INFO)
    for talk_id in (1, 2, 3):
        account.open_talk(talk_id, f"c{talk_id}")
        account.say(talk_id)

    account.run()

    assert any(line.startswith("Progress: 2/3 talks") for line in caplog.messages)
