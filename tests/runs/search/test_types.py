"""A CRM that does not take every type of event is asked for those that it takes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from tap_kommo_chats.errors import BadRequestError, IncompleteRunError
from tests.support.account import DAY, Account, names
from tests.support.tap import failing_run

if TYPE_CHECKING:
    from sandbox import SeenRequest


def without(*types: str) -> Any:
    def answer(request: SeenRequest) -> web.Response | None:
        if any(f"={kind}&" in request.target for kind in types):
            return web.json_response({"title": "Bad Request"}, status=400)
        return None

    return answer


@pytest.mark.parametrize("kind", ["talk_created", "talk_closed"])
def test_a_type_that_tells_of_talks_may_be_refused(
    account: Account, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    account.sandbox.answer = without(kind)
    first = account.run()
    account.now += 10 * DAY
    account.talk(1, "a")
    account.talk(2, "b")
    new = [account.message("a"), account.message("b")]
    account.event(talk_id=1)
    account.event(type="outgoing_chat_message", talk_id=2)
    caplog.clear()

    second = account.run(first.state)

    assert names(second) == new
    (line,) = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert line.startswith(f"The CRM takes no events of type {kind}; ")


def test_without_one_type_of_messages_the_run_fails_and_is_done_again(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    account.talk(1, "a")
    account.talk(2, "b")
    first = account.run()
    account.now += 10 * DAY
    new = [account.message("a"), account.message("b")]
    account.event(talk_id=1)
    account.event(type="outgoing_chat_message", talk_id=2)
    account.sandbox.answer = without("incoming_chat_message")

    with account.clock():
        failed = failing_run(account.config(), caplog, first.state)
    account.sandbox.answer = None
    account.now += 10 * DAY

    assert isinstance(failed.error, IncompleteRunError)
    assert "takes no events of type incoming_chat_message" in str(failed.error)
    assert names(failed.output) == new[1:]
    assert new[0] in names(account.run(failed.output.state))


def test_a_crm_that_takes_no_messages_at_all_stops_the_run(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    account.sandbox.answer = without("incoming_chat_message", "outgoing_chat_message")

    failed = failing_run(account.config(), caplog)

    assert isinstance(failed.error, BadRequestError)


def test_types_that_are_taken_one_by_one_alone_are_asked_for_so(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    first = account.run()
    account.now += 10 * DAY
    account.talk(1, "a")
    new = account.message("a")
    account.event(type="outgoing_chat_message", talk_id=1)
    account.sandbox.answer = lambda request: (
        web.json_response({"title": "Bad Request"}, status=400)
        if request.target.count("type") > 1
        else None
    )
    caplog.clear()

    assert names(account.run(first.state)) == [new]
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_an_event_type_is_not_blamed_for_a_page_that_is_refused_later(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    account.crm.store.talks.listed_at_most = 0
    for number in range(1, 5):
        account.talk(number, f"c{number}")
        account.event(talk_id=number)
    account.sandbox.crm.max_limit = 2
    account.sandbox.answer = lambda request: (
        web.json_response({"title": "Bad Request"}, status=400)
        if "page=2" in request.target
        else None
    )

    failed = failing_run(account.config(), caplog)

    assert isinstance(failed.error, BadRequestError)
    assert len(account.crm_requests("/api/v4/events")) == 2
