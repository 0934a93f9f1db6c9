"""What the token's user may not see, and a token of another account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from tap_kommo_chats.errors import RunError
from tests.support.account import DAY, Account, names
from tests.support.tap import failing_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox import SeenRequest

OTHER = "2f9c4b1e-7d35-4a86-9c0e-b85d1f6a3e27"


def forbidden(detail: str, of: Callable[[str], bool]) -> Any:
    def answer(request: SeenRequest) -> web.Response | None:
        if not of(request.target):
            return None
        problem = {"title": "Forbidden", "status": 403, "detail": detail}
        return web.json_response(problem, status=403)

    return answer


def test_a_talk_that_the_user_may_not_see_is_named_and_keeps_no_other_back(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    first = account.run()
    account.now += 10 * DAY
    new = account.message("b")
    for number, chat in ((7, "hidden"), (8, "b")):
        account.talk(number, chat)
        account.event(talk_id=number)
    # A list is filtered by the user's rights.
    account.crm.store.talks.remove(7)
    account.sandbox.answer = forbidden(
        "You may not see this contact.", lambda target: target.endswith("/talks/7")
    )
    caplog.clear()

    second = account.run(first.state)

    assert names(second) == [new]
    assert "1 talk(s) were left out (talk 7): the user" in caplog.text


def test_a_contact_that_the_user_may_not_see_is_named_and_keeps_no_other_back(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    first = account.run()
    account.now += 10 * DAY
    account.talk(8, "b", contact_id=78)
    new = account.message("b")
    account.event(contact_id=77)
    account.event(contact_id=78)
    account.sandbox.answer = forbidden(
        "You may not see this contact.", lambda target: "=77&" in target
    )

    assert names(account.run(first.state)) == [new]
    assert "1 talk(s) were left out (contact 77): the user" in caplog.text


def test_a_scope_that_is_missing_for_talks_stops_the_run_at_once(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(1, 4):
        account.event(talk_id=number)
    account.sandbox.answer = forbidden(
        "Invalid scope", lambda target: target.startswith("/api/v4/talks/")
    )

    failed = failing_run(account.config(), caplog)

    assert "lacks a scope" in str(failed.error)
    assert len(account.crm_requests("/api/v4/talks/")) == 1


def test_a_user_who_may_see_none_of_twenty_talks_stops_the_run(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(1, 31):
        account.event(talk_id=number)
    account.sandbox.answer = forbidden(
        "You may not.", lambda target: target.startswith("/api/v4/talks/")
    )

    failed = failing_run(account.config(), caplog)

    assert isinstance(failed.error, RunError)
    assert "403, 20 times in a row" in str(failed.error)
    assert len(account.crm_requests("/api/v4/talks/")) == 20


def test_a_token_of_another_account_stops_the_run_before_anything_is_read(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    account.message("listed")
    account.crm.store.account["amojo_id"] = OTHER

    failed = failing_run(account.config(conversation_ids=["listed"]), caplog)

    assert str(failed.error) == (
        f"crm_access_token is of the account with amojo_id {OTHER}, and scope_id is of "
        f"{account.sandbox.scope_id.split('_')[1]}: take both from one account"
    )
    assert len(account.sandbox.requests) == 1


def test_an_account_is_compared_once_in_a_run_whatever_the_case_of_its_id(
    account: Account,
) -> None:
    account.crm.store.account["amojo_id"] = account.crm.store.account[
        "amojo_id"
    ].upper()

    account.run()

    assert len(account.crm_requests("/api/v4/account")) == 1


@pytest.mark.parametrize("amojo_id", [None, "", 7, "not a UUID", f"{OTHER}\nforged"])
def test_an_account_that_does_not_say_who_it_is_is_not_compared(
    account: Account, amojo_id: object
) -> None:
    account.talk(1, "a")
    name = account.message("a")
    account.crm.store.account["amojo_id"] = amojo_id

    assert names(account.run()) == [name]


def test_a_scope_that_does_not_say_whose_it_is_is_not_compared(
    account: Account,
) -> None:
    account.sandbox.chats.scope_id = "channel_account"

    account.talk(1, "a")
    name = account.message("a")
    account.crm.store.account["amojo_id"] = OTHER

    assert names(account.run()) == [name]


def test_a_right_that_is_missing_for_the_account_alone_keeps_no_message_back(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    account.talk(1, "a")
    name = account.message("a")
    account.sandbox.answer = forbidden(
        "Invalid scope", lambda target: target.startswith("/api/v4/account")
    )

    with account.clock():
        failed = failing_run(account.config(), caplog)

    assert names(failed.output) == [name]
    assert failed.output.records_of("talks")
    assert "accounts could not be read" in str(failed.error)
