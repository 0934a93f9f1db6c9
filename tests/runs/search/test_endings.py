"""Any walk through the pages of the CRM ends, and says so when that is too early."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from sandbox import OWN_ORIGIN
from tap_kommo_chats.errors import IncompleteRunError
from tests.support.account import DAY, HOUR, Account, names
from tests.support.tap import failing_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox import SeenRequest

EVENTS, TALKS = "/api/v4/events", "/api/v4/talks?"


def page_of(request: SeenRequest) -> int:
    return int(parse_qs(urlsplit(request.target).query).get("page", ["1"])[0])


def pages(path: str, name: str, of: Callable[[int], tuple[list[Any], int]]) -> Any:
    """Answer a list: of a page's number, its rows and the page it names as next."""

    def answer(request: SeenRequest) -> web.Response | None:
        if not request.target.startswith(path):
            return None
        rows, following = of(page_of(request))
        link = {"next": {"href": f"{path}?page={following}"}}
        return web.json_response({"_embedded": {name: rows}, "_links": link})

    return answer


def event(number: int, talk_id: int) -> dict[str, Any]:
    message = {"talk_id": talk_id, "origin": OWN_ORIGIN}
    return {"id": f"e{number}", "value_after": [{"message": message}]}


ROUND = {
    "A, B, A": lambda number: ([event(number, number)], 3 - number),
    "itself": lambda number: ([event(number, number)], number),
    "empty": lambda number: ([event(1, 1)] if number == 1 else [], number + 1),
    "the same": lambda number: ([event(1, 1)], number + 1),
    "two in turn": lambda number: (
        [event(number % 2, 2 - number % 2)],
        number + 1,
    ),
}


@pytest.mark.parametrize("of", ROUND.values(), ids=ROUND)
def test_events_that_go_round_keep_what_was_found_and_end_the_run_in_an_error(
    account: Account, caplog: pytest.LogCaptureFixture, of: Any
) -> None:
    account.talk(1, "a")
    first = account.run()
    account.now += 10 * DAY
    new = account.message("a")
    account.talk(2, "b")
    account.sandbox.answer = pages(EVENTS, "events", of)
    account.sandbox.forget_requests()

    with account.clock():
        failed = failing_run(account.config(), caplog, first.state)

    assert isinstance(failed.error, IncompleteRunError)
    assert "the CRM's pages of events go round without an end" in str(failed.error)
    assert new in names(failed.output)
    assert failed.output.records_of("talks")
    assert len(account.crm_requests(EVENTS)) <= 9


def test_what_events_that_went_round_did_not_tell_is_found_by_the_next_run(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    account.talk(1, "a")
    account.message("a")
    account.now += 2 * HOUR
    first = account.run(lookback_days=0)
    account.now += 10 * DAY
    new = account.message("a")
    account.event(talk_id=1)
    account.sandbox.answer = pages(EVENTS, "events", lambda number: ([], number + 1))
    with account.clock():
        failed = failing_run(account.config(lookback_days=0), caplog, first.state)
    account.sandbox.answer = None
    account.now += 10 * DAY

    second = account.run(failed.output.state, lookback_days=0)

    assert names(failed.output) == []
    assert names(second) == [new]
    streams = ("chat_history", "conversations", "talks")
    for stream in streams:
        part = failed.output.state["bookmarks"][stream]
        assert part == first.state["bookmarks"][stream]


def test_a_message_that_came_late_while_events_went_round_is_found(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    account.talk(1, "a")
    account.message("a")
    account.now += DAY
    first = account.run()
    account.now += 10 * DAY
    late = account.message("a", 10 * DAY + HOUR)
    account.event(talk_id=1)
    account.sandbox.answer = pages(EVENTS, "events", lambda number: ([], number + 1))
    with account.clock():
        failed = failing_run(account.config(), caplog, first.state)
    account.sandbox.answer = None
    account.now += DAY

    assert late in names(account.run(failed.output.state))


@pytest.mark.parametrize(
    "of",
    [
        lambda _number: ([], 1),
        lambda number: ([], number + 1),
        lambda number: ([{"talk_id": 1, "chat_id": "a"}], 3 - number),
        lambda number: ([{"talk_id": 1, "chat_id": "a", "n": number}], number + 1),
    ],
    ids=["itself", "empty", "A, B, A", "the same"],
)
def test_the_list_of_talks_ends_quietly_when_its_pages_bring_nothing_new(
    account: Account, of: Any
) -> None:
    account.sandbox.answer = pages("/api/v4/talks", "talks", of)

    account.run()

    assert len(account.crm_requests(TALKS)) <= 5


def test_full_pages_of_talks_without_a_link_are_followed_by_the_next(
    account: Account,
) -> None:
    for number in range(1, 521):
        account.talk(number, f"c{number}")

    def without_link(request: SeenRequest) -> web.Response | None:
        if not request.target.startswith(TALKS):
            return None
        begin = 250 * (page_of(request) - 1)
        rows = account.crm.store.talks.all()[begin : begin + 250]
        return web.json_response({"_embedded": {"talks": rows}})

    account.sandbox.answer = without_link

    output = account.run_some(["talks"])

    assert len(output.records_of("talks")) == 520
    assert len(account.crm_requests(TALKS)) == 3
