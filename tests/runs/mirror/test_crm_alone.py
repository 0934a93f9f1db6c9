"""The CRM alone, and a channel whose scope the account tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandbox import AMOJO_ID, SCOPE_ID
from tests.support.account import DAY, WABA, Account, names
from tests.support.tap import failing_run, run

if TYPE_CHECKING:
    from tests.support.tap import Output

CHANNEL_ID = SCOPE_ID.split("_")[0]


def alone(account: Account, **more: object) -> dict[str, Any]:
    return {
        "crm_url": account.sandbox.url,
        "crm_access_token": account.sandbox.crm_token,
        "requests_per_second": 0,
        **more,
    }


def run_alone(account: Account, state: dict[str, Any] | None = None) -> Output:
    with account.clock():
        return run(alone(account), state)


def counts(output: Output) -> dict[str, int]:
    found: dict[str, int] = {}
    for message in output.messages:
        if message["type"] == "RECORD":
            found[message["stream"]] = found.get(message["stream"], 0) + 1
    return found


@pytest.fixture
def busy(account: Account) -> Account:
    crm = account.crm.store
    crm.users.add(1, "Ana")
    crm.pipelines.add(6, "Sales", {60: "New"})
    for number, origin in ((1, WABA), (2, "telegram"), (3, "amo.ext.12345678")):
        crm.leads.add(number, created_at=account.now // 1000)
        account.talk(number, f"c{number}", origin=origin, entity_id=number)
        account.event(talk_id=number, origin=origin)
        account.message(f"c{number}")
    return account


def test_the_crm_alone_gives_all_but_the_messages(busy: Account) -> None:
    output = run_alone(busy)

    assert counts(output) == {
        "accounts": 1,
        "chat_events": 3,
        "leads": 3,
        "pipelines": 3,
        "runs": 1,
        "talks": 3,
        "users": 1,
    }
    assert busy.asked() == []
    (told,) = output.records_of("runs")
    assert told["scope_id"] == AMOJO_ID


def test_the_crm_alone_goes_on_where_it_ended(busy: Account) -> None:
    first = run_alone(busy)
    busy.now += 10 * DAY
    busy.event(talk_id=2, origin="telegram")
    busy.sandbox.forget_requests()

    second = run_alone(busy, first.state)

    assert counts(second) == {"chat_events": 1, "talks": 1, "runs": 1}
    assert len(busy.crm_requests()) <= 7


def test_a_channel_that_is_added_later_is_read_whole(busy: Account) -> None:
    first = run_alone(busy)
    busy.now += 10 * DAY

    second = busy.run(first.state)

    assert set(names(second)) == {
        row["message"]["id"] for row in busy.sandbox.store.rows("c3")
    }


def test_the_account_tells_the_other_half_of_the_scope(account: Account) -> None:
    account.talk(1, "a")
    name = account.message("a")

    output = account.run(scope_id=None, channel_id=CHANNEL_ID)

    assert names(output) == [name]
    assert output.records[0]["scope_id"] == SCOPE_ID
    assert output.records_of("conversations")[0]["scope_id"] == SCOPE_ID


@pytest.mark.parametrize("amojo_id", [None, "", "not a UUID"])
def test_an_account_that_does_not_tell_it_stops_the_run(
    account: Account, caplog: pytest.LogCaptureFixture, amojo_id: object
) -> None:
    account.crm.store.account["amojo_id"] = amojo_id
    config = account.config(scope_id=None, channel_id=CHANNEL_ID)

    failed = failing_run(config, caplog)

    assert "set scope_id in place of channel_id" in str(failed.error)
    assert account.asked() == []
