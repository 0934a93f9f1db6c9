"""Talks that are asked for by their numbers, because the list may end early."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from aiohttp import web

from sandbox import CRM_ROOT, OWN_ORIGIN, Refusal, Terms
from tests.support.account import DAY, WABA, names
from tests.support.native import NativeAccount, said

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox import SeenRequest

TALKS = "/api/v4/talks?"
NUMBERED = "filter[talk_id][]"


def numbers_in(request: SeenRequest) -> list[int]:
    pairs = parse_qsl(urlsplit(request.target).query)
    return [int(value) for name, value in pairs if name == NUMBERED]


def lists_nothing(request: SeenRequest) -> web.Response | None:
    """Give no talk that is not asked for, as a list that ends early."""
    if request.target.startswith(TALKS) and not numbers_in(request):
        return web.Response(status=204)
    return None


@pytest.fixture
def old(account: NativeAccount) -> NativeAccount:
    """An account whose talks no list and no event names any more."""
    account.sandbox.answer = lists_nothing
    return account


def says(account: NativeAccount, talk_ids: list[int], **more: Any) -> set[str]:
    for talk_id in talk_ids:
        account.open_talk(talk_id, f"c{talk_id}", **more)
    said_now = {account.say(talk_id) for talk_id in talk_ids}
    for event in account.crm.store.events.all():
        account.crm.store.events.remove(event["id"])
    return said_now


def asked_by_number(account: NativeAccount) -> list[int]:
    return [n for r in account.sandbox.requests for n in numbers_in(r)]


def test_talks_that_the_list_leaves_out_are_found_and_read(
    old: NativeAccount,
) -> None:
    wanted = says(old, [3, 70, 119])
    says(old, [121])

    output = old.run(talk_ids="1-120")

    assert set(said(output)) == wanted
    assert {row["talk_id"] for row in output.records_of("talks")} == {3, 70, 119}


def test_those_of_a_channel_of_ones_own_are_found_too(old: NativeAccount) -> None:
    old.talk(7, "own", origin=OWN_ORIGIN)
    mine = old.message("own")

    output = old.run_with(old.with_channel(talk_ids="1-120"))

    assert names(output) == [mine]


def test_a_run_makes_so_many_requests_and_the_next_goes_on(
    old: NativeAccount,
) -> None:
    wanted = says(old, list(range(1, 261)))
    found: list[str] = []
    state: Any = None
    runs = 0
    while set(found) != wanted:
        old.sandbox.forget_requests()
        output = old.run(state, talk_ids="1-1000", talk_ids_requests=100)
        state = output.state
        found += said(output)
        runs += 1
        # What every run asks for comes besides, and what was being read then.
        assert len(old.sandbox.requests) <= 100 + 20
    assert runs == 3
    assert len(found) == len(wanted)


def test_what_a_run_reads_besides_does_not_count(old: NativeAccount) -> None:
    state = old.run().state
    wanted = says(old, list(range(1, 51)))
    for talk_id in range(1001, 1151):
        old.open_talk(talk_id, f"c{talk_id}")
        wanted.add(old.say(talk_id))

    output = old.run(state, talk_ids="1-100", talk_ids_requests=100)

    assert set(said(output)) == wanted


def test_numbers_are_asked_for_once(old: NativeAccount) -> None:
    says(old, [1])
    state = old.run(talk_ids="1-300").state
    old.sandbox.forget_requests()
    old.now += DAY

    old.run(state, talk_ids="1-300")
    assert asked_by_number(old) == []

    old.run(state, talk_ids="1-400")
    assert min(asked_by_number(old)) == 301


@pytest.mark.parametrize(
    "settings", [{"talk_ids": "2-300"}, {"native_channels": ["waba", "telegram"]}]
)
def test_another_beginning_or_channel_goes_back_anew(
    old: NativeAccount, settings: dict[str, Any]
) -> None:
    state = old.run(talk_ids="1-300").state
    old.sandbox.forget_requests()

    old.run(state, **{"talk_ids": "1-300", **settings})

    assert len(asked_by_number(old)) >= 299


def heeds_nothing(_numbers: list[int], talks: list[Any]) -> list[Any]:
    return talks[:5]


def heeds_the_last(numbers: list[int], talks: list[Any]) -> list[Any]:
    return [talk for talk in talks if talk["talk_id"] == numbers[-1]]


def heeds_the_first(numbers: list[int], talks: list[Any]) -> list[Any]:
    return [talk for talk in talks if talk["talk_id"] in numbers[:10]]


@pytest.mark.parametrize("heeds", [heeds_nothing, heeds_the_last, heeds_the_first])
def test_a_filter_that_does_not_give_all_of_them_loses_none(
    old: NativeAccount, heeds: Callable[[list[int], list[Any]], list[Any]]
) -> None:
    wanted = says(old, list(range(101, 151)))

    def answer(request: SeenRequest) -> web.Response | None:
        numbers = numbers_in(request)
        if not numbers:
            return lists_nothing(request)
        found = heeds(numbers, old.crm.store.talks.all())
        return web.json_response({"_embedded": {"talks": found}})

    old.sandbox.answer = answer

    assert set(said(old.run(talk_ids="101-150"))) == wanted


def test_numbers_that_nobody_has_cost_four_requests_for_fifty(
    old: NativeAccount,
) -> None:
    without = len(old.run().state and old.sandbox.requests)
    old.sandbox.forget_requests()

    old.run(talk_ids="1-1000")

    assert len(old.sandbox.requests) - without == 4 * 20


def test_a_talk_that_cannot_be_read_is_owed_and_not_asked_for_by_number_again(
    old: NativeAccount,
) -> None:
    first, second = says(old, [1]), says(old, [2])
    path = f"{CRM_ROOT}/talks/1/messages"
    old.sandbox.crm.terms = Terms(refused={path: Refusal(404, "no")})
    output, error = old.try_config(old.config(talk_ids="1-50"), None)
    assert error is not None
    assert set(said(output)) == second
    old.sandbox.crm.terms = Terms()
    old.sandbox.forget_requests()

    assert set(said(old.run(output.state, talk_ids="1-50"))) == first
    assert asked_by_number(old) == []


def test_a_stream_that_was_added_later_gets_all_of_them(old: NativeAccount) -> None:
    says(old, [1, 2])
    state = old.run(talk_ids="1-50").state
    del state["bookmarks"]["talks"]

    output = old.run(state, talk_ids="1-50")

    assert {row["talk_id"] for row in output.records_of("talks")} == {1, 2}


def leaves_out_the_closed(numbers: list[int], talks: list[Any]) -> list[Any]:
    return [t for t in talks if t["talk_id"] in numbers and t["is_in_work"]]


def test_what_was_believed_not_to_be_there_is_asked_for_once_that_proves_wrong(
    old: NativeAccount,
) -> None:
    # Of the first fifties, what is asked for alone was deleted.
    there = sorted({*range(1, 149)} - {1, 26, 50, 51, 76, 100})
    wanted = says(old, there)
    for talk_id in there:
        old.crm.store.close_talk(talk_id, old.now // 1000)
    for event in old.crm.store.events.all():
        old.crm.store.events.remove(event["id"])

    def answer(request: SeenRequest) -> web.Response | None:
        numbers = numbers_in(request)
        if not numbers:
            return lists_nothing(request)
        found = leaves_out_the_closed(numbers, old.crm.store.talks.all())
        return web.json_response({"_embedded": {"talks": found}})

    old.sandbox.answer = answer

    assert set(said(old.run(talk_ids="1-148"))) == wanted


def test_a_talk_that_another_question_brought_is_read_too(old: NativeAccount) -> None:
    wanted = says(old, [60, 61])

    def answer(request: SeenRequest) -> web.Response | None:
        numbers = numbers_in(request)
        if numbers and max(numbers) <= 50:
            talks = old.crm.store.talks.all()
            return web.json_response({"_embedded": {"talks": talks}})
        return lists_nothing(request)

    old.sandbox.answer = answer

    assert set(said(old.run(talk_ids="1-100"))) == wanted


def test_each_run_gets_on_however_little_it_may_cost(old: NativeAccount) -> None:
    wanted = says(old, [7, 140])
    found: set[str] = set()
    state: Any = None

    def heeds_no_filter(request: SeenRequest) -> web.Response | None:
        if not numbers_in(request):
            return lists_nothing(request)
        return web.json_response({"_embedded": {"talks": [{"talk_id": 999}]}})

    old.sandbox.answer = heeds_no_filter
    for _ in range(4):
        output = old.run(state, talk_ids="1-250", talk_ids_requests=100)
        state = output.state
        found |= set(said(output))

    assert found == wanted


def test_many_hidden_talks_end_the_walk_and_nothing_else(old: NativeAccount) -> None:
    old.talk(500, "seen", origin=WABA)
    new = old.say(500)
    hidden = {f"{CRM_ROOT}/talks/{n}": Refusal(403, "no") for n in range(1, 401)}
    old.sandbox.crm.terms = Terms(refused=hidden)

    output, error = old.try_config(old.config(talk_ids="1-400"), None)

    assert "talk_ids" in str(error)
    assert said(output) == [new]
    assert output.records_of("runs")


def test_a_search_that_is_not_complete_does_not_hold_up_the_numbers(
    old: NativeAccount,
) -> None:
    def takes_no_messages(request: SeenRequest) -> web.Response | None:
        if "outgoing_chat_message" in request.target:
            return web.json_response({"title": "Bad Request"}, status=400)
        return lists_nothing(request)

    old.sandbox.answer = takes_no_messages
    output, error = old.try_config(old.config(talk_ids="1-50"), None)
    assert error is not None
    old.sandbox.forget_requests()

    old.try_config(old.config(talk_ids="1-50"), output.state)

    assert asked_by_number(old) == []
