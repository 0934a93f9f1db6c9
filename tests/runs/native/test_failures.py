"""What cannot be read of native channels stops only what it concerns."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from sandbox import CRM_ROOT, Refusal, Terms, long_lived_token
from tap_kommo_chats.errors import IncompleteRunError
from tests.support.account import DAY, SECOND
from tests.support.native import NativeAccount, said
from tests.support.tap import FailedRun, failing_run, wait_for_nothing

if TYPE_CHECKING:
    from sandbox import SeenRequest


def filled(account: NativeAccount, talks: int = 3) -> list[str]:
    """Fill an account with talks of one message each."""
    names = []
    for number in range(1, talks + 1):
        account.open_talk(number, f"c{number}", contact_id=number)
        names.append(account.say(number))
    # What is sent in the second in which a run begins may come twice.
    account.now += SECOND
    return names


def failing(account: NativeAccount, caplog: pytest.LogCaptureFixture) -> FailedRun:
    with account.clock():
        failed = failing_run(account.config(), caplog)
    assert isinstance(failed.error, IncompleteRunError)
    return failed


def test_a_plan_without_the_add_on_keeps_the_messages_back_and_nothing_else(
    account: NativeAccount, caplog: pytest.LogCaptureFixture
) -> None:
    filled(account)
    account.crm.terms = Terms(addon=False)

    failed = failing(account, caplog)

    assert "the account's plan" in str(failed.error)
    assert "Chats API add-on" in str(failed.error)
    assert said(failed.output) == []
    assert len(failed.output.records_of("chat_events")) == 6
    assert len(failed.output.records_of("talks")) == 3
    # One talk was enough to tell.
    assert len(account.talks_asked()) == 1


def test_a_token_without_the_scope_keeps_the_messages_back_and_nothing_else(
    account: NativeAccount, caplog: pytest.LogCaptureFixture
) -> None:
    filled(account)
    account.crm.token = long_lived_token(scopes=["crm"])

    failed = failing(account, caplog)

    assert "External chat history" in str(failed.error)
    assert "make a new token" in str(failed.error)
    assert said(failed.output) == []
    assert len(failed.output.records_of("talks")) == 3
    assert len(account.talks_asked()) == 1


def test_what_was_refused_is_read_once_it_is_not(
    account: NativeAccount, caplog: pytest.LogCaptureFixture
) -> None:
    names = filled(account)
    account.crm.terms = Terms(addon=False)
    failed = failing(account, caplog)
    account.crm.terms = Terms()
    account.now += 10 * DAY

    second = account.run(failed.output.state)

    assert sorted(said(second)) == sorted(names)


def test_what_stays_refused_costs_no_search_from_the_beginning(
    account: NativeAccount, caplog: pytest.LogCaptureFixture
) -> None:
    names = filled(account, 20)
    account.crm.terms = Terms(addon=False)
    first = failing(account, caplog).output
    account.now += 10 * DAY
    names.append(account.say(1))
    account.now += SECOND
    account.sandbox.forget_requests()
    with account.clock():
        second = failing_run(account.config(), caplog, first.state).output
    asked = account.crm_requests()
    account.crm.terms = Terms()
    account.now += 10 * DAY

    third = account.run(second.state)

    assert len(second.records_of("chat_events")) == 1
    assert len(asked) <= 9
    assert sorted(said(third)) == sorted(names)


@pytest.mark.parametrize(
    ("terms", "named"),
    [
        (Terms(forbidden_talks=frozenset((2,))), "may not see this"),
        (Terms(refused={f"{CRM_ROOT}/talks/2/messages": Refusal(404, "no")}), "404"),
        (Terms(refused={f"{CRM_ROOT}/talks/2/messages": Refusal(400, "no")}), "400"),
        (Terms(refused={f"{CRM_ROOT}/talks/2/messages": Refusal(503, "no")}), "503"),
    ],
)
def test_a_talk_that_cannot_be_read_is_named_and_owed_and_the_others_arrive(
    account: NativeAccount,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    terms: Terms,
    named: str,
) -> None:
    wait_for_nothing(monkeypatch)
    names = filled(account)
    account.crm.terms = terms
    failed = failing(account, caplog)
    account.crm.terms = Terms()
    account.now += 10 * DAY

    second = account.run(failed.output.state)

    assert sorted(said(failed.output)) == sorted([names[0], names[2]])
    (line,) = [
        r.getMessage()
        for r in caplog.records
        if r.levelno >= logging.WARNING
        and r.getMessage().startswith("Conversation of talk 2")
    ]
    assert named in line
    assert said(second) == [names[1]]


def test_a_talk_whose_pages_never_settle_is_named_and_the_others_arrive(
    account: NativeAccount, caplog: pytest.LogCaptureFixture
) -> None:
    names = filled(account)

    def round_and_round(seen: SeenRequest) -> web.Response | None:
        path = f"{CRM_ROOT}/talks/2/messages"
        if not seen.target.startswith(path):
            return None
        rows = [{"id": "x", "chat_id": "c2", "created_at": 1_700_000_000}]
        link = {"next": {"href": f"{path}?page=2"}}
        return web.json_response({"_embedded": {"messages": rows}, "_links": link})

    account.sandbox.answer = round_and_round

    failed = failing(account, caplog)

    assert {names[0], names[2]} <= set(said(failed.output))
    assert "Conversation of talk 2: its pages go round without an end" in failed.log


@pytest.mark.parametrize(
    "odd", [7, None, {}, {"id": "x"}, {"id": None, "created_at": 1}]
)
def test_a_message_that_cannot_be_delivered_is_counted_and_the_others_arrive(
    account: NativeAccount, caplog: pytest.LogCaptureFixture, odd: Any
) -> None:
    account.open_talk(1, "a")
    good = {"id": "m", "chat_id": "a", "created_at": account.now // 1000}
    account.sandbox.answer = lambda seen: (
        web.json_response({"_embedded": {"messages": [odd, good]}})
        if "/messages" in seen.target
        else None
    )

    failed = failing(account, caplog)

    assert said(failed.output) == ["m"]
    assert "1 row(s) could not be delivered" in str(failed.error)


def test_no_text_of_a_message_is_logged(
    account: NativeAccount, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    account.open_talk(1, "a")
    account.say(1, text="secret words")
    account.crm.terms = Terms(forbidden_talks=frozenset((1,)))

    failing(account, caplog)

    assert "secret words" not in caplog.text
    assert account.sandbox.crm_token not in caplog.text
