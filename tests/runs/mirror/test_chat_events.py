"""The chat events that a run met."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox import ACCOUNT_ID, CRM_ROOT, OWN_ORIGIN
from tests.support.account import DAY, HOUR, WABA, Account

if TYPE_CHECKING:
    from tests.support.tap import Output


def event_ids(output: Output) -> list[str]:
    return [row["event_id"] for row in output.records_of("chat_events")]


def test_an_event_names_message_talk_channel_and_who_did_it(account: Account) -> None:
    account.talk(1, "a", contact_id=7, entity_id=9)
    account.message("a")
    account.event(talk_id=1, type="outgoing_chat_message", message_id="m", created_by=5)

    (row,) = account.run().records_of("chat_events")

    assert row["account_id"] == ACCOUNT_ID
    assert row["type"] == "outgoing_chat_message"
    assert (row["message_id"], row["talk_id"]) == ("m", 1)
    assert (row["origin"], row["contact_id"], row["entity_id"]) == (OWN_ORIGIN, 7, 9)
    assert row["created_by"] == 5
    assert row["created_at"] == account.now // 1000
    assert row["happened_at"] == "2025-10-09T08:53:20.000+00:00"


@pytest.mark.parametrize("kind", ["talk_created", "talk_closed"])
def test_an_event_of_a_talk_names_the_talk(account: Account, kind: str) -> None:
    account.talk(1, "a")
    account.event(talk_id=1, type=kind)

    (row,) = account.run().records_of("chat_events")

    assert (row["type"], row["talk_id"], row["message_id"]) == (kind, 1, None)


def test_events_of_all_channels_are_written(account: Account) -> None:
    account.talk(1, "a")
    account.talk(2, "b", origin=WABA)
    account.event(talk_id=1)
    account.event(talk_id=2, origin=WABA)

    rows = account.run().records_of("chat_events")

    assert sorted(row["origin"] for row in rows) == [OWN_ORIGIN, WABA]


def test_an_event_that_leads_nowhere_is_written(account: Account) -> None:
    account.talk(1, "a")
    account.event(talk_id=1)
    account.event(talk_id=404)

    rows = account.run().records_of("chat_events")

    assert sorted(row["talk_id"] for row in rows) == [1, 404]


def test_an_event_is_written_once_though_searches_overlap(account: Account) -> None:
    account.talk(1, "a")
    for _ in range(3):
        account.now += 10 * 60_000
        account.event(talk_id=1)
    first = account.run()
    account.now += HOUR
    account.event(talk_id=1)

    second = account.run(first.state)
    third = account.run(second.state)

    assert [len(event_ids(each)) for each in (first, second, third)] == [3, 1, 0]


def test_an_event_that_shows_up_late_is_written(account: Account) -> None:
    account.talk(1, "a")
    account.message("a")
    first = account.run()
    late = account.crm.store.events.add(account.now // 1000 - 600, talk_id=1)
    account.now += HOUR

    assert event_ids(account.run(first.state)) == [late]


def test_events_that_the_stream_missed_are_written_when_it_is_selected(
    account: Account,
) -> None:
    account.talk(1, "a")
    account.event(talk_id=1)
    first = account.run_some(["chat_history", "talks"])
    account.now += 10 * DAY
    account.event(talk_id=1)

    second = account.run(first.state)

    assert len(event_ids(second)) == 2


def test_events_cost_no_request_of_their_own(account: Account) -> None:
    account.talk(1, "a")
    account.event(talk_id=1)

    account.run_some(["chat_history"])
    without = account.crm_requests()
    account.sandbox.forget_requests()
    account.run_some(["chat_history", "chat_events"])

    assert account.crm_requests() == without


def test_they_can_be_had_alone(account: Account) -> None:
    account.talk(1, "a")
    account.message("a")
    account.event(talk_id=1)

    output = account.run_some(["chat_events"])

    assert len(event_ids(output)) == 1
    assert account.asked() == []
    assert account.crm_requests(f"{CRM_ROOT}/events")


def test_each_event_is_one_shards(account: Account) -> None:
    account.talk(1, "a")
    for _ in range(20):
        account.event(talk_id=1)

    halves = [event_ids(account.run(shard=f"{number}/2")) for number in (1, 2)]

    assert all(halves)
    assert len({*halves[0], *halves[1]}) == len(halves[0] + halves[1]) == 20
