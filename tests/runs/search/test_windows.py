"""From when to when the CRM is searched, and what a later run asks for."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from sandbox import OWN_ORIGIN, Refusal
from tap_kommo_chats.state.event_memory import quarter_begin
from tap_kommo_chats.tap import TapKommoChats
from tests.support.account import DAY, HOUR, SECOND, START, Account, names
from tests.support.tap import captured_output, config_for, failing_run, run

if TYPE_CHECKING:
    from sandbox import CrmRequest


def seconds(milliseconds: int) -> str:
    return str(milliseconds // SECOND)


def test_a_first_run_reads_every_conversation_of_the_list_of_talks(
    account: Account,
) -> None:
    for number in range(7):
        account.talk(number + 1, f"c{number}")
        account.message(f"c{number}")
    account.crm.max_limit = 3

    output = account.run()

    assert Counter(key[0] for key in output.keys) == {f"c{n}": 1 for n in range(7)}


def test_a_first_run_finds_by_events_what_the_list_of_talks_leaves_out(
    account: Account,
) -> None:
    for number in range(6):
        account.talk(number + 1, f"c{number}")
        account.message(f"c{number}")
        account.event(talk_id=number + 1)
    account.crm.store.talks.listed_at_most = 2

    assert len(account.run().records) == 6


def test_a_later_run_asks_only_for_what_had_an_event(account: Account) -> None:
    for number in range(50):
        account.talk(number + 1, f"c{number}")
        account.message(f"c{number}")
    account.now += DAY
    first = account.run()
    account.now += 10 * DAY
    new = account.message("c7")
    account.event(talk_id=8)
    account.sandbox.forget_requests()

    second = account.run(first.state)

    assert names(second) == [new]
    assert account.asked() == ["c7"]
    # The account, one page of events, one talk; its lead, and leads that changed;
    # users and pipelines.
    assert len(account.crm_requests()) == 7


def test_nothing_new_costs_the_search_and_four_more_requests(account: Account) -> None:
    account.talk(1, "a")
    account.message("a")
    account.now += DAY
    first = account.run()
    account.now += 10 * DAY
    account.sandbox.forget_requests()

    second = account.run(first.state)

    assert second.records == []
    paths = [request.target.partition("?")[0] for request in account.sandbox.requests]
    assert paths == [
        "/api/v4/account",
        "/api/v4/events",
        "/api/v4/leads",
        "/api/v4/leads/pipelines",
        "/api/v4/users",
    ]


def test_events_are_asked_for_from_a_look_back_before_the_last_run_to_this_runs_start(
    account: Account,
) -> None:
    first = account.run()
    account.now += 10 * DAY
    account.sandbox.forget_requests()

    account.run(first.state, lookback_days=2)

    (target,) = account.crm_requests("/api/v4/events")
    asked = parse_qs(urlsplit(target).query)
    assert asked["filter[created_at][from]"] == [
        seconds(quarter_begin(START - 2 * DAY))
    ]
    assert asked["filter[created_at][to]"] == [seconds(account.now)]
    assert asked["filter[type][]"] == [
        "incoming_chat_message",
        "outgoing_chat_message",
        "talk_created",
        "talk_closed",
    ]


def test_without_a_look_back_events_of_the_last_hour_are_asked_for_again(
    account: Account,
) -> None:
    first = account.run()
    account.now += DAY
    account.sandbox.forget_requests()

    account.run(first.state, lookback_days=0)

    (target,) = account.crm_requests("/api/v4/events")
    asked = parse_qs(urlsplit(target).query)
    assert asked["filter[created_at][from]"] == [seconds(quarter_begin(START - HOUR))]


def test_the_first_run_asks_for_events_from_the_start_date_on(account: Account) -> None:
    account.run(start_date="2024-01-01T00:00:00Z")

    (target,) = account.crm_requests("/api/v4/events")
    asked = parse_qs(urlsplit(target).query)
    assert asked["filter[created_at][from]"] == ["1704067200"]


def test_an_event_that_shows_up_late_is_found(account: Account) -> None:
    account.talk(1, "a")
    account.message("a")
    account.now += DAY
    first = account.run()
    account.now += 2 * HOUR
    late = account.message("a")
    then = account.now
    account.now += HOUR
    second = account.run(first.state)
    account.crm.store.events.add(then // 1000, talk_id=1)
    account.now += 3 * HOUR

    third = account.run(second.state)

    assert late in names(third)


@pytest.mark.parametrize("at", [0, "soon", 2**62, None])
def test_an_event_without_a_usable_time_counts_as_new(
    account: Account, at: object
) -> None:
    account.talk(1, "a")
    account.now += 10 * DAY
    first = account.run()
    account.now += 10 * DAY
    new = account.message("a")
    value = [{"message": {"talk_id": 1, "origin": OWN_ORIGIN}}]
    event = {"id": "e", "created_at": at, "value_after": value}
    account.sandbox.answer = lambda request: (
        web.json_response({"_embedded": {"events": [event]}})
        if request.target.startswith("/api/v4/events")
        else None
    )

    assert names(account.run(first.state)) == [new]


def test_a_discovery_that_fails_part_way_is_done_again_from_where_it_began(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    first = account.run()
    account.now += 10 * DAY
    account.crm.max_limit = 5
    for number in range(20):
        account.talk(number + 1, f"c{number}")
        account.message(f"c{number}")
        account.event(talk_id=number + 1)

    def breaks_off(asked: CrmRequest) -> None:
        if "page=3" in asked.target:
            account.crm.problem = Refusal(403, "Invalid scope")

    account.crm.before_page = breaks_off
    with account.clock():
        failed = failing_run(account.config(), caplog, first.state)
    account.crm.before_page = None
    account.crm.problem = None
    account.now += 10 * DAY

    second = account.run(failed.output.state)

    assert "lacks a scope" in str(failed.error)
    found = set(names(failed.output)) | set(names(second))
    assert found == {f"m{n + 1}" for n in range(20)}


def test_the_crm_switched_on_later_asks_for_nothing_that_did_not_change(
    account: Account,
) -> None:
    account.talk(1, "a")
    account.message("a")
    account.now += 2 * DAY
    with account.clock():
        first = run(config_for(account.sandbox))
    account.now += 10 * DAY
    account.sandbox.forget_requests()

    account.run(first.state)

    assert account.asked() == []


def test_what_happened_while_the_crm_was_switched_off_is_found(
    account: Account,
) -> None:
    account.talk(1, "a")
    account.talk(2, "b")
    account.message("a")
    account.now += 2 * DAY
    first = account.run()
    account.now += 10 * DAY
    new = account.message("a")
    account.event(talk_id=1)
    account.now += DAY
    with account.clock():
        second = run(config_for(account.sandbox, ["b"]), first.state)
    account.now += 10 * DAY

    assert names(account.run(second.state)) == [new]


def test_nothing_before_the_start_date_is_asked_for(account: Account) -> None:
    account.talk(1, "old", updated_at=1_600_000_000)
    account.talk(2, "new")
    account.message("new")

    account.run(start_date="2025-01-01T00:00:00Z")

    assert account.asked() == ["new"]


def test_a_full_refresh_searches_from_the_beginning(account: Account) -> None:
    account.talk(1, "a")
    name = account.message("a")
    account.now += DAY
    first = account.run()
    account.now += 100 * DAY
    assert names(account.run(first.state)) == []

    with account.clock(), captured_output() as collected:
        tap = TapKommoChats(config=account.config(), state=deepcopy(first.state))
        tap.streams["chat_history"].forced_replication_method = "FULL_TABLE"
        tap.sync_all()

    assert names(collected[0]) == [name]
