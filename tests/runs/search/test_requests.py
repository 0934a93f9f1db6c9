"""How the CRM is asked: how often, page by page, and with which token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from sandbox import ConversationStore, Sandbox
from tests.support.account import DAY, SECOND, START, Account, message
from tests.support.tap import failing_run

if TYPE_CHECKING:
    from sandbox import SeenRequest


def test_many_talks_are_asked_for_at_once_and_none_twice(account: Account) -> None:
    first = account.run()
    account.now += 10 * DAY
    for number in range(120):
        account.talk(number + 1, f"c{number}")
        account.event(talk_id=number + 1)
        account.event(talk_id=number + 1)
    account.crm.max_limit = 100
    account.sandbox.forget_requests()

    account.run(first.state)

    # 240 events, and 120 talks that each page of them names 34 to 50 of.
    assert len(account.crm_requests("/api/v4/events")) == 3
    assert len(account.crm_requests("/api/v4/talks")) <= 4
    assert sorted(account.asked()) == sorted(f"c{n}" for n in range(120))


@pytest.mark.parametrize("status", [200, 400])
def test_where_talks_cannot_be_asked_for_at_once_each_is_asked_for(
    account: Account, status: int
) -> None:
    def no_filter(request: SeenRequest) -> web.Response | None:
        if not request.target.startswith("/api/v4/talks?filter"):
            return None
        return web.json_response({"_embedded": {"talks": []}}, status=status)

    first = account.run()
    account.now += 10 * DAY
    for number in range(5):
        account.talk(number + 1, f"c{number}")
        account.event(talk_id=number + 1)
    account.sandbox.answer = no_filter

    account.run(first.state)

    assert sorted(set(account.asked())) == [f"c{n}" for n in range(5)]


def test_a_limit_that_is_refused_is_lowered(account: Account) -> None:
    account.crm.max_limit = 100
    account.crm.strict_limit = True
    for number in range(150):
        account.talk(number + 1, f"c{number}")

    account.run()

    assert len(set(account.asked())) == 150
    assert sum("limit=250" in target for target in account.crm_requests()) == 1


def test_the_token_goes_to_no_other_host(account: Account) -> None:
    with Sandbox(ConversationStore()) as other:

        def elsewhere(request: SeenRequest) -> web.Response | None:
            if "page=2" in request.target or "events" not in request.target:
                return None
            href = f"{other.url}/api/v4/events?page=2"
            return web.json_response({"_links": {"next": {"href": href}}})

        account.sandbox.answer = elsewhere
        account.run()

        assert other.requests == ()
    assert account.crm_requests("/api/v4/events?page=2")


def test_talks_that_are_gone_leave_the_others_to_be_asked_for_at_once(
    account: Account,
) -> None:
    first = account.run()
    account.now += 10 * DAY
    for number in range(100):
        account.talk(number + 1, f"c{number}")
        account.event(talk_id=number + 1)
    account.now += SECOND
    for number in (901, 902, 903):
        account.event(talk_id=number)
    account.crm.max_limit = 3
    account.sandbox.forget_requests()

    account.run(first.state)

    assert len(account.crm_requests("/api/v4/talks")) < 60
    assert len(account.asked()) == 100


def test_an_unusable_token_is_told_before_anything_is_read(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    account.sandbox.store.add("listed", message("m", START))
    config = account.config(
        crm_access_token="wrong-token",  # noqa: S106 (it is none)
        conversation_ids=["listed"],
    )

    failed = failing_run(config, caplog)

    assert "crm_access_token is expired" in str(failed.error)
    assert "wrong-token" not in failed.log
    assert account.asked() == []
