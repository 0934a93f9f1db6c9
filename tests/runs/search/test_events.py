"""From an event to the conversation in which something happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from tests.support.account import DAY, Account, names
from tests.support.tap import config_for, run

if TYPE_CHECKING:
    import pytest


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


def test_two_talks_of_one_chat_are_one_conversation(account: Account) -> None:
    account.talk(1, "a")
    account.talk(2, "a")
    account.message("a")
    account.event(talk_id=1)
    account.event(talk_id=2)

    output = account.run()

    assert account.asked() == ["a"]
    assert len(output.records_of("conversations")) == 1
    assert [row["talk_id"] for row in output.records_of("talks")] == [1, 2]


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


def test_an_id_in_another_case_is_the_same_conversation(account: Account) -> None:
    chat = "30477717-9f3c-4d3f-8101-60327e14dc48"
    account.talk(1, chat.upper())
    name = account.message(chat)

    output = account.run(conversation_ids=[chat.upper()])

    assert output.keys == [(chat, name)]
    assert account.asked() == [chat]
