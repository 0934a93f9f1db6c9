"""Conversations that are asked for whatever the CRM knows of them."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from aiohttp import web

from sandbox import OWN_ORIGIN, Faults
from tests.support.account import DAY, START, Account, names
from tests.support.tap import failing_run, wait_for_nothing

if TYPE_CHECKING:
    import pytest


def test_a_conversation_that_failed_is_asked_for_by_the_next_run_though_no_event_names_it(  # noqa: E501 (the rule)
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    for number, chat in enumerate("abc", start=1):
        account.talk(number, chat)
        account.message(chat)
    account.sandbox.answer = lambda request: (
        web.Response(status=404) if request.conversation_id == "b" else None
    )
    with account.clock():
        failed = failing_run(account.config(), caplog)
    account.sandbox.answer = None
    account.now += 30 * DAY
    account.sandbox.forget_requests()

    second = account.run(failed.output.state)

    assert account.asked() == ["b"]
    assert len(second.records) == 1
    (row,) = second.records_of("conversations")
    assert (row["sources"], row["outcome"]) == (["state"], "read")


def test_a_conversation_that_never_answers_keeps_no_other_from_being_read(
    account: Account,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wait_for_nothing(monkeypatch)
    account.talk(1, "dead")
    account.talk(2, "alive")
    first = account.run()
    state = deepcopy(first.state)
    state["bookmarks"]["chat_history"]["owed"] = {"dead": START}
    account.sandbox.faults = Faults(only=frozenset({"dead"}), reset_before=1.0)
    account.now += 10 * DAY
    new = account.message("alive")
    account.event(talk_id=2)

    with account.clock():
        failed = failing_run(account.config(), caplog, state)

    assert names(failed.output) == [new]
    chat_history = failed.output.state["bookmarks"]["chat_history"]
    assert chat_history["searched_until"] == {OWN_ORIGIN: account.now}
    assert set(chat_history["owed"]) == {"dead"}


def test_many_that_failed_before_do_not_stop_a_run(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    account.sandbox.answer = lambda request: (
        web.Response(status=404)
        if (request.conversation_id or "").startswith("dead")
        else None
    )
    dead = {f"dead{number}": START for number in range(60)}
    state = {
        "bookmarks": {
            "chat_history": {"conversations": {}, "read_since": START, "owed": dead}
        }
    }

    with account.clock():
        failed = failing_run(account.config(), caplog, state)

    assert "60 conversation(s) could not be read" in str(failed.error)
    assert len(account.asked()) == 60


def test_one_that_failed_is_asked_for_though_it_ended_before_the_start_date(
    account: Account,
) -> None:
    account.talk(1, "a", updated_at=(START - 100 * DAY) // 1000)
    state = {
        "bookmarks": {
            "chat_history": {"conversations": {}, "read_since": START, "owed": {"a": 0}}
        }
    }

    output = account.run(state, start_date="2025-10-01T00:00:00Z")

    assert account.asked() == ["a"]
    assert "owed" not in output.state["bookmarks"]["chat_history"]


def test_a_conversation_that_is_listed_too_is_read_whatever_the_crm_knows(
    account: Account,
) -> None:
    account.message("listed")
    first = account.run(conversation_ids=["listed"])
    account.now += 10 * DAY
    account.sandbox.forget_requests()

    account.run(first.state, conversation_ids=["listed"])

    assert account.asked() == ["listed"]
