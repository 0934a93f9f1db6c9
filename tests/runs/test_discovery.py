"""Conversations found through the CRM: what changed is read, whatever happens."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from copy import deepcopy
from typing import TYPE_CHECKING, Any
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from singer_sdk.exceptions import SyncError

from sandbox import OWN_ORIGIN, ConversationStore, Faults, Refusal, Sandbox
from tap_kommo_chats.state.bookmarks import StatePace
from tap_kommo_chats.streams.chat_history import ChatHistoryStream
from tap_kommo_chats.tap import TapKommoChats
from tests.support.tap import (
    Output,
    captured_output,
    config_for,
    failing_run,
    no_wait,
    run,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox import CrmRequest, SeenRequest

SECOND = 1000
HOUR = 60 * 60 * SECOND
DAY = 24 * HOUR
START = 1_760_000_000_000
"""When the first run of each test starts."""

WABA = "waba"


def message(name: str, sent_ms: int) -> dict[str, Any]:
    return {
        "timestamp": sent_ms // 1000,
        "msec_timestamp": sent_ms,
        "sender": {"id": "s"},
        "message": {"id": name, "type": "text", "text": name},
    }


class Account:
    """An account whose clock the test moves.

    Attributes:
        now: The current time, in milliseconds since 1970.
        sandbox: Serves it.
        crm: Its CRM.
    """

    def __init__(self, sandbox: Sandbox) -> None:  # noqa: D107
        self.now = START
        self.sandbox = sandbox
        self.crm = sandbox.crm
        self._named = 0

    def config(self, **more: object) -> dict[str, Any]:
        config = config_for(self.sandbox, ["unused"])
        del config["conversation_ids"]
        return {
            **config,
            "crm_url": self.sandbox.url,
            "crm_access_token": self.sandbox.crm_token,
            "crm_origins": [OWN_ORIGIN],
            "max_concurrency": 2,
            **more,
        }

    def talk(self, talk_id: int, chat_id: str, **more: Any) -> None:
        seconds = self.now // 1000
        times = {"created_at": seconds, "updated_at": seconds}
        self.crm.store.talks.add(talk_id, chat_id, **{**times, **more})

    def message(self, chat_id: str, age_ms: int = 0) -> str:
        """Let a message arrive, which no event tells of yet."""
        self._named += 1
        name = f"m{self._named}"
        self.sandbox.store.add(chat_id, message(name, self.now - age_ms))
        return name

    def event(self, **more: Any) -> None:
        self.crm.store.events.add(self.now // 1000, **more)

    def run(self, state: dict[str, Any] | None = None, **more: object) -> Output:
        with self.clock():
            return run(self.config(**more), state)

    @contextlib.contextmanager
    def clock(self) -> Iterator[None]:
        with mock.patch.object(
            TapKommoChats,
            "initialized_at",
            new_callable=mock.PropertyMock,
            return_value=self.now,
        ):
            yield

    def asked(self) -> list[str]:
        """The conversations that were asked for, once per request."""
        return [
            request.conversation_id
            for request in self.sandbox.requests
            if request.conversation_id is not None
        ]

    def crm_requests(self, path: str = "/api/v4/") -> list[str]:
        return [
            request.target
            for request in self.sandbox.requests
            if request.target.startswith(path)
        ]


@pytest.fixture
def account(sandbox: Sandbox) -> Account:
    return Account(sandbox)


def names(output: Output) -> list[str]:
    return sorted(record["message_id"] for record in output.records)


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
        account.message(f"c{number}", age_ms=2 * DAY)
    first = account.run()
    account.now += 10 * DAY
    new = account.message("c7")
    account.event(talk_id=8)
    account.sandbox.forget_requests()

    second = account.run(first.state)

    assert names(second) == [new]
    assert account.asked() == ["c7"]
    # One page of events, one talk.
    assert len(account.crm_requests()) == 2


def test_nothing_new_costs_one_request(account: Account) -> None:
    account.talk(1, "a")
    account.message("a")
    first = account.run()
    account.now += 10 * DAY
    account.sandbox.forget_requests()

    second = account.run(first.state)

    assert second.records == []
    assert len(account.sandbox.requests) == 1


def test_events_are_asked_for_from_the_look_back_before_the_last_run_to_this_runs_start(
    account: Account,
) -> None:
    first = account.run()
    account.now += 10 * DAY
    account.sandbox.forget_requests()

    account.run(first.state, lookback_days=2)

    (target,) = account.crm_requests()
    asked = parse_qs(urlsplit(target).query)
    assert asked["filter[created_at][from]"] == [str((START - 2 * DAY) // 1000)]
    assert asked["filter[created_at][to]"] == [str(account.now // 1000)]
    assert asked["filter[type][]"] == [
        "incoming_chat_message",
        "outgoing_chat_message",
        "talk_created",
    ]


def test_without_a_look_back_events_of_the_last_hour_are_asked_for_again(
    account: Account,
) -> None:
    first = account.run()
    account.now += DAY
    account.sandbox.forget_requests()

    account.run(first.state, lookback_days=0)

    (target,) = account.crm_requests()
    asked = parse_qs(urlsplit(target).query)
    assert asked["filter[created_at][from]"] == [str((START - HOUR) // 1000)]


def test_the_first_run_asks_for_events_from_the_start_date_on(account: Account) -> None:
    account.run(start_date="2024-01-01T00:00:00Z")

    (target,) = account.crm_requests("/api/v4/events")
    asked = parse_qs(urlsplit(target).query)
    assert asked["filter[created_at][from]"] == ["1704067200"]


def test_an_event_counts_though_its_talk_looks_unchanged(account: Account) -> None:
    account.talk(1, "a")
    account.now += 10 * DAY
    first = account.run()
    account.now += 10 * DAY
    new = account.message("a")
    account.event(talk_id=1)

    assert names(account.run(first.state)) == [new]


def test_an_event_counts_though_the_list_of_talks_says_otherwise(
    account: Account,
) -> None:
    account.talk(1, "a")
    account.now += 10 * DAY
    with account.clock():
        first = run(config_for(account.sandbox, ["a"]))
    account.now += 10 * DAY
    new = account.message("a")
    account.event(talk_id=1)

    output = account.run(first.state)

    assert names(output) == [new]
    (row,) = output.records_of("conversations")
    assert row["outcome"] == "read"


def test_an_event_that_shows_up_late_is_found(account: Account) -> None:
    account.talk(1, "a")
    account.message("a")
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


def test_two_talks_of_one_chat_are_one_conversation(account: Account) -> None:
    account.talk(1, "a")
    account.talk(2, "a")
    account.message("a")
    account.event(talk_id=1)
    account.event(talk_id=2)

    output = account.run()

    assert account.asked() == ["a"]
    (row,) = output.records_of("conversations")
    assert row["talk_ids"] == [1, 2]


def test_a_chat_first_seen_after_months_is_read_whole(account: Account) -> None:
    account.talk(1, "a")
    account.message("a")
    first = account.run()
    account.now += 200 * DAY
    old = account.message("b", age_ms=150 * DAY)
    new = account.message("b")
    account.talk(2, "b")
    account.event(talk_id=2)

    assert names(account.run(first.state)) == sorted([old, new])


def test_an_event_without_a_talk_is_found_by_its_contact(account: Account) -> None:
    account.talk(1, "a", contact_id=77)
    account.talk(2, "b", contact_id=78)
    first = account.run()
    account.now += 10 * DAY
    new = account.message("a")
    account.event(contact_id=77)
    account.sandbox.forget_requests()

    assert names(account.run(first.state)) == [new]
    assert account.asked() == ["a"]


def test_an_event_without_a_talk_or_a_contact_is_found_by_its_lead(
    account: Account,
) -> None:
    account.talk(1, "a", entity_id=500, entity_type="lead")
    first = account.run()
    account.now += 10 * DAY
    new = account.message("a")
    account.event(entity_id=500, entity_type="lead")

    assert names(account.run(first.state)) == [new]


def test_a_talk_that_is_gone_is_replaced_by_the_others_of_its_contact(
    account: Account,
) -> None:
    account.talk(1, "a", contact_id=77)
    account.talk(2, "a", contact_id=77)
    first = account.run()
    account.now += 10 * DAY
    new = account.message("a")
    account.event(talk_id=2, contact_id=77)
    account.crm.store.talks.remove(2)

    assert names(account.run(first.state)) == [new]


def test_an_event_that_leads_nowhere_is_told(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    account.event(talk_id=99, contact_id=77)

    account.run()

    assert "1 chat event(s) lead to no conversation" in caplog.text


def test_the_beginning_of_a_talk_counts_as_an_event(account: Account) -> None:
    first = account.run()
    account.now += 10 * DAY
    new = account.message("a")
    account.talk(1, "a")
    account.event(type="talk_created", talk_id=1)

    assert names(account.run(first.state)) == [new]
    assert account.crm_requests("/api/v4/talks/1")


def test_an_id_may_be_text(account: Account) -> None:
    first = account.run()
    account.now += 10 * DAY
    new = account.message("a")
    account.talk(1, "a")
    account.event(talk_id=1, talk_id_as_text=True)

    assert names(account.run(first.state)) == [new]


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


def test_the_list_of_talks_ends_when_a_page_brings_nothing_new(
    account: Account,
) -> None:
    def round_and_round(request: SeenRequest) -> web.Response | None:
        if not request.target.startswith("/api/v4/talks?"):
            return None
        talks = [{"talk_id": 1, "chat_id": "a", "origin": OWN_ORIGIN}]
        page = len(account.crm_requests("/api/v4/talks")) + 2
        link = {"next": {"href": f"{account.sandbox.url}/api/v4/talks?page={page}"}}
        return web.json_response({"_embedded": {"talks": talks}, "_links": link})

    account.sandbox.answer = round_and_round

    account.run()

    assert account.asked() == ["a"]


def test_a_page_of_events_that_names_itself_as_the_next_stops_the_run(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    def itself(request: SeenRequest) -> web.Response | None:
        if not request.target.startswith("/api/v4/events"):
            return None
        link = {"next": {"href": account.sandbox.url + request.target}}
        return web.json_response({"_embedded": {"events": []}, "_links": link})

    account.sandbox.answer = itself

    failed = failing_run(account.config(), caplog)

    assert "a page names itself as the next one" in str(failed.error)


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


def test_channels_of_others_are_left_out_and_told_in_one_line(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    account.talk(1, "a")
    for number in range(2, 5):
        account.talk(number, f"w{number}", origin=WABA)
    account.talk(9, "b", origin="amo.ext.999")

    account.run()

    assert account.asked() == ["a"]
    (line,) = [r.getMessage() for r in caplog.records if "crm_origins" in r.message]
    assert line.endswith("waba (3), amo.ext.999 (1)")


def test_a_talk_of_a_channel_that_kommo_brings_along_is_not_asked_for(
    account: Account,
) -> None:
    first = account.run()
    account.now += 10 * DAY
    account.talk(1, "w", origin=WABA)
    account.event(talk_id=1, origin=WABA)
    account.sandbox.forget_requests()

    account.run(first.state)

    assert len(account.sandbox.requests) == 1


def test_an_events_own_channel_is_told_by_its_talk(account: Account) -> None:
    first = account.run()
    account.now += 10 * DAY
    account.talk(1, "a")
    account.event(talk_id=1, origin="amo.ext.other-name")

    account.run(first.state)

    assert account.asked() == ["a"]


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
    monkeypatch.setattr(ChatHistoryStream, "backoff_wait_generator", no_wait)
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
    assert chat_history["discovered_until"] == {OWN_ORIGIN: account.now}
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


@pytest.mark.parametrize("before", ["amo.ext.wrong", "amo.ext.2"])
def test_an_origin_that_was_not_looked_for_before_is_searched_from_the_beginning(
    account: Account, before: str
) -> None:
    account.talk(1, "a")
    account.talk(2, "b", origin="amo.ext.2")
    messages = [account.message("a"), account.message("b")]
    account.event(talk_id=1)
    account.now += 5 * DAY
    first = account.run(crm_origins=[before])
    account.now += 10 * DAY

    second = account.run(first.state, crm_origins=[OWN_ORIGIN, "amo.ext.2"])

    assert sorted(names(first) + names(second)) == messages


def test_what_happened_while_an_origin_was_left_out_is_found(account: Account) -> None:
    account.talk(1, "a")
    account.message("a")
    first = account.run()
    account.now += 10 * DAY
    new = account.message("a")
    account.event(talk_id=1)
    account.now += 10 * DAY
    second = account.run(first.state, crm_origins=["amo.ext.2"])
    account.now += 10 * DAY

    third = account.run(second.state, crm_origins=[OWN_ORIGIN])

    assert new not in names(second)
    assert new in names(third)


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


def test_a_filter_that_is_not_heeded_makes_no_other_look_changed(
    account: Account,
) -> None:
    for number in range(30):
        account.talk(number + 1, f"c{number}")
    first = account.run()
    account.now += 10 * DAY
    everything = account.crm.store.talks.all()
    account.event(contact_id=everything[0]["contact_id"])
    account.sandbox.answer = lambda request: (
        web.json_response({"_embedded": {"talks": everything}})
        if request.target.startswith("/api/v4/talks?filter")
        else None
    )
    account.sandbox.forget_requests()

    account.run(first.state)

    assert account.asked() == [everything[0]["chat_id"]]


def test_a_404_without_a_body_is_a_talk_that_is_gone(account: Account) -> None:
    account.talk(1, "a")
    name = account.message("a")
    account.event(talk_id=2)
    account.sandbox.answer = lambda request: (
        web.Response(status=404)
        if request.target.startswith("/api/v4/talks/")
        else None
    )

    assert names(account.run()) == [name]


def test_a_talk_without_a_conversation_is_replaced_by_the_others_of_its_contact(
    account: Account,
) -> None:
    account.talk(1, "a", contact_id=77)
    account.talk(2, "", contact_id=77)
    account.now += 10 * DAY
    first = account.run()
    account.now += 10 * DAY
    new = account.message("a")
    account.event(talk_id=2, contact_id=77)

    assert names(account.run(first.state)) == [new]


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


def test_an_id_in_another_case_is_the_same_conversation(account: Account) -> None:
    chat = "30477717-9f3c-4d3f-8101-60327e14dc48"
    account.talk(1, chat.upper())
    name = account.message(chat)

    output = account.run(conversation_ids=[chat.upper()])

    assert output.keys == [(chat, name)]
    assert account.asked() == [chat]


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
        if asked.page == 3:
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


def test_a_conversation_that_is_listed_too_is_read_whatever_the_crm_knows(
    account: Account,
) -> None:
    account.message("listed")
    first = account.run(conversation_ids=["listed"])
    account.now += 10 * DAY
    account.sandbox.forget_requests()

    account.run(first.state, conversation_ids=["listed"])

    assert account.asked() == ["listed"]


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
    first = account.run()
    account.now += 100 * DAY
    assert names(account.run(first.state)) == []

    with account.clock(), captured_output() as collected:
        tap = TapKommoChats(config=account.config(), state=deepcopy(first.state))
        tap.streams["chat_history"].forced_replication_method = "FULL_TABLE"
        tap.sync_all()

    assert names(collected[0]) == [name]


# What the other streams tell


def test_a_conversation_tells_its_talks_its_contact_and_its_lead(
    account: Account,
) -> None:
    account.talk(1, "a", contact_id=7, entity_id=70, updated_at=START // 1000 - 60)
    account.talk(2, "a", contact_id=8, entity_id=80)
    account.message("a")

    (row,) = account.run().records_of("conversations")

    assert row["talk_ids"] == [1, 2]
    assert (row["contact_id"], row["entity_type"], row["entity_id"]) == (8, "lead", 80)
    assert row["origin"] == OWN_ORIGIN
    assert row["sources"] == ["crm"]
    assert row["outcome"] == "read"
    assert row["newest_message_at"] == "2025-10-09T08:53:20.000+00:00"
    assert row["last_activity_at"] == "2025-10-09T08:53:20.000+00:00"


def test_a_contact_whose_number_is_text_is_told_too(account: Account) -> None:
    account.talk(1, "a", contact_id=0)
    account.crm.store.talks.update(1, contact_id="77")

    (row,) = account.run().records_of("conversations")

    assert row["contact_id"] == 77


def test_a_talk_travels_as_the_crm_gave_it(account: Account) -> None:
    account.talk(1, "a", rate=4, brand_new={"deep": [1]})
    (given,) = account.crm.store.talks.all()

    (row,) = account.run().records_of("talks")

    extra = row.pop("extra")
    assert row.pop("scope_id") == account.sandbox.scope_id
    assert {**row, **extra} == given
    assert extra["brand_new"] == {"deep": [1]}


def test_a_later_run_tells_the_talks_it_saw_only(account: Account) -> None:
    account.talk(1, "a")
    account.talk(2, "b")
    first = account.run()
    account.now += 10 * DAY
    account.event(talk_id=2)

    second = account.run(first.state)

    assert [row["talk_id"] for row in first.records_of("talks")] == [1, 2]
    assert [row["talk_id"] for row in second.records_of("talks")] == [2]


def test_talks_that_were_not_written_are_told_by_the_next_run(account: Account) -> None:
    account.talk(1, "a")
    account.message("a")
    lines = account.run().messages
    talks = next(n for n, m in enumerate(lines) if m.get("stream") == "talks")
    written = lines[:talks]
    states = [m["value"] for m in written if m["type"] == "STATE"]
    account.now += 10 * DAY

    second = account.run(states[-1])

    assert [row["talk_id"] for row in second.records_of("talks")] == [1]


def test_conversations_that_were_not_written_are_met_again_by_the_next_run(
    account: Account,
) -> None:
    account.talk(1, "a")
    with account.clock(), captured_output() as collected:
        catalog = TapKommoChats(config=account.config()).catalog_dict
        for entry in catalog["streams"]:
            entry["metadata"][-1]["metadata"]["selected"] = (
                entry["tap_stream_id"] != "talks"
            )
        TapKommoChats(config=account.config(), catalog=catalog).sync_all()

    lines = collected[0].messages
    told = next(n for n, m in enumerate(lines) if m.get("stream") == "conversations")
    assert "discovered_until" not in str(lines[:told])
    assert "discovered_until" in str(collected[0].state)


def test_talks_alone_can_be_selected(account: Account) -> None:
    account.talk(1, "a")
    account.message("a")
    with account.clock(), captured_output() as collected:
        tap = TapKommoChats(config=account.config())
        catalog = tap.catalog_dict
        for entry in catalog["streams"]:
            entry["metadata"][-1]["metadata"]["selected"] = (
                entry["tap_stream_id"] == "talks"
            )
        TapKommoChats(config=account.config(), catalog=catalog).sync_all()

    assert [row["talk_id"] for row in collected[0].records_of("talks")] == [1]
    assert account.asked() == []
    # What was found was not read, so it has to be found again.
    assert "discovered_until" not in str(collected[0].state)


class Discovery(RuleBasedStateMachine):
    """Messages arrive and events tell of them, in whatever way, while runs happen.

    Some runs fail, at the CRM or at a conversation, and some are cut short. After a
    run to the end, every message that an event told of is loaded.
    """

    chats = ("a", "b", "c", "d", "e")

    def __init__(self) -> None:  # noqa: D107
        super().__init__()
        sandbox = Sandbox(ConversationStore())
        sandbox.__enter__()
        self.account = Account(sandbox)
        # So that pages end in the middle of a second.
        self.account.crm.max_limit = 3
        self.loaded: set[str] = set()
        self.told: set[str] = set()
        self.state: dict[str, Any] = {}
        self.talks: dict[str, list[int]] = {}
        self.created = 0
        self.untold: list[tuple[int, str, str]] = []
        self.often = mock.patch.object(StatePace, "due", return_value=True)
        self.often.start()

    def teardown(self) -> None:
        try:
            self.late_events_show_up()
            self.run_to_the_end()
        finally:
            self.often.stop()
            self.account.sandbox.__exit__(None, None, None)

    def contact(self, chat: str) -> int:
        return 100 + self.chats.index(chat)

    @rule(hours=st.sampled_from([1, 5, 30, 24 * 100]))
    def time_passes(self, hours: int) -> None:
        if hours > 5:
            self.late_events_show_up()
        self.account.now += hours * HOUR

    @rule(chat=st.sampled_from(chats), told=st.booleans())
    def a_talk_begins(self, chat: str, told: bool) -> None:  # noqa: FBT001 (hypothesis names it)
        self.created += 1
        self.account.talk(self.created, chat, contact_id=self.contact(chat))
        self.talks.setdefault(chat, []).append(self.created)
        if told:
            self.account.event(type="talk_created", talk_id=self.created)

    @precondition(lambda self: self.talks)
    @rule(
        data=st.data(),
        count=st.sampled_from([1, 2, 60]),
        late_ms=st.sampled_from([0, HOUR, 15 * HOUR]),
        names_talk=st.booleans(),
    )
    def messages_arrive(
        self,
        data: st.DataObject,
        count: int,
        late_ms: int,
        names_talk: bool,  # noqa: FBT001 (hypothesis names it)
    ) -> None:
        chat = data.draw(st.sampled_from(sorted(self.talks)))
        for _ in range(count):
            self.told.add(self.account.message(chat, late_ms))
        talk_id = data.draw(st.sampled_from(self.talks[chat])) if names_talk else None
        self.account.event(talk_id=talk_id, contact_id=self.contact(chat))

    @precondition(lambda self: self.talks)
    @rule(data=st.data())
    def a_message_arrives_whose_event_is_late(self, data: st.DataObject) -> None:
        chat = data.draw(st.sampled_from(sorted(self.talks)))
        name = self.account.message(chat)
        self.untold.append((self.account.now, chat, name))

    @rule()
    def late_events_show_up(self) -> None:
        for at_ms, chat, name in self.untold:
            self.account.crm.store.events.add(
                at_ms // 1000, talk_id=self.talks[chat][-1], contact_id=None
            )
            self.told.add(name)
        self.untold.clear()

    @precondition(lambda self: any(len(ids) > 1 for ids in self.talks.values()))
    @rule(data=st.data())
    def a_talk_goes(self, data: st.DataObject) -> None:
        several = sorted(chat for chat, ids in self.talks.items() if len(ids) > 1)
        chat = data.draw(st.sampled_from(several))
        self.account.crm.store.talks.remove(self.talks[chat].pop(0))

    @rule(part=st.floats(0, 1))
    def a_run_is_cut_short(self, part: float) -> None:
        lines = self.output().messages
        self.load(lines[: round(part * len(lines))])

    @rule(requests=st.integers(0, 6))
    def a_run_fails_at_the_crm(self, requests: int) -> None:
        left = iter(range(requests))

        def breaks_off(_asked: CrmRequest) -> None:
            if next(left, None) is None:
                self.account.crm.problem = Refusal(402, "")

        self.account.crm.before_page = breaks_off
        self.load(self.output().messages)
        self.account.crm.before_page = None
        self.account.crm.problem = None

    @rule(chat=st.sampled_from(chats))
    def a_run_fails_at_a_conversation(self, chat: str) -> None:
        def not_found(request: SeenRequest) -> web.Response | None:
            broken = request.conversation_id == chat
            return web.Response(status=404) if broken else None

        self.account.sandbox.answer = not_found
        self.load(self.output().messages)
        self.account.sandbox.answer = None

    @rule(arrives=st.sampled_from(chats))
    def a_message_arrives_during_a_run(self, arrives: str) -> None:
        def change(_request: object) -> None:
            self.account.sandbox.chats.before_page = None
            if arrives in self.talks:
                name = self.account.message(arrives)
                self.account.event(talk_id=self.talks[arrives][-1])
                self.told.add(name)

        self.account.sandbox.chats.before_page = change
        self.load(self.output().messages)
        self.account.sandbox.chats.before_page = None

    @rule()
    def run_to_the_end(self) -> None:
        # An event of the second in which a run starts may be its next one's.
        self.account.now += SECOND
        self.load(self.output().messages)

        assert self.told <= self.loaded

    def output(self) -> Output:
        with (
            self.account.clock(),
            captured_output() as collected,
            contextlib.suppress(SyncError),
        ):
            config = self.account.config()
            TapKommoChats(config=config, state=deepcopy(self.state)).sync_all()
        return collected[0]

    def load(self, messages: list[dict[str, Any]]) -> None:
        for line in messages:
            if line["type"] == "STATE":
                self.state = line["value"]
            elif line["type"] == "RECORD" and line["stream"] == "chat_history":
                self.loaded.add(line["record"]["message_id"])


Discovery.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None
)
TestDiscovery = Discovery.TestCase
