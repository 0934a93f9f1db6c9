"""The messages of a talk, as the CRM serves them."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox import BOT_AUTHOR, PHONE_AUTHOR, CrmRequest, CrmStore, Sandbox, Terms
from tests.sandbox.crm.asking import AT, ask, asked, ids, problem_of, rows, with_talks

TIMES = range(AT, AT + 40)


@pytest.fixture(autouse=True)
def a_talk(crm: CrmStore) -> None:
    with_talks(crm, 1, origin="waba", contact_id=70)


def with_messages(crm: CrmStore, count: int = len(TIMES)) -> list[str]:
    """Add messages a second apart; return their ids, oldest first."""
    return [crm.add_message(1, at, message_id=f"m{at - AT}") for at in TIMES[:count]]


def test_an_incoming_message_has_the_documented_form(
    sandbox: Sandbox, crm: CrmStore
) -> None:
    crm.add_message(1, AT, message_id="m", text="Hi")
    response = ask(sandbox, "talks/1/messages")
    assert response.headers["Content-Type"].startswith("application/hal+json")
    (message,) = response.json()["_embedded"]["messages"]
    author_id = message["author"].pop("id")
    assert author_id
    assert message == {
        "id": "m",
        "chat_id": "chat 1",
        "type": "incoming",
        "message_type": "text",
        "author": {"type": "external", "name": "Contact 70", "avatar_url": ""},
        "text": "Hi",
        "created_at": AT,
        "sec_created_at": AT * 1000,
        "origin": "waba",
        "attachment": None,
    }


def test_an_outgoing_message_names_its_recipient_and_its_delivery(
    crm: CrmStore,
) -> None:
    crm.users.add(5, "Ann", amojo_id="a")
    crm.add_message(1, AT, author=crm.agent(5), delivery_status="error")
    crm.add_message(1, AT)
    incoming, message = sorted(rows(crm, "talks/1/messages"), key=lambda m: m["type"])
    assert message["author"] == {
        "id": "a",
        "type": "internal",
        "name": "Ann",
        "avatar_url": "",
        "user_id": 5,
    }
    assert message["recipient"] == incoming["author"]
    assert message["delivery_status"] == "error"


@pytest.mark.parametrize(
    ("author", "kind"), [(BOT_AUTHOR, "bot"), (PHONE_AUTHOR, "internal")]
)
def test_what_bots_and_phones_write_is_outgoing_and_of_no_user(
    crm: CrmStore, author: dict[str, Any], kind: str
) -> None:
    crm.add_message(1, AT, author=author)
    (message,) = rows(crm, "talks/1/messages")
    assert (message["type"], message["author"]["type"]) == ("outgoing", kind)
    assert "user_id" not in message["author"]


def test_a_message_may_have_more_and_other_fields(crm: CrmStore) -> None:
    crm.add_message(1, AT, sec_created_at=AT * 1000 + 7, location={"lat": 1.5})
    (message,) = rows(crm, "talks/1/messages")
    assert (message["sec_created_at"], message["location"]["lat"]) == (
        AT * 1000 + 7,
        1.5,
    )


def test_a_message_may_be_changed_and_removed(crm: CrmStore) -> None:
    with_messages(crm, 2)
    crm.messages.update("m0", text="new")
    crm.messages.remove("m1")
    assert [m["text"] for m in rows(crm, "talks/1/messages")] == ["new"]


def test_a_talk_without_messages_is_204_and_an_unknown_one_404(
    sandbox: Sandbox,
) -> None:
    assert ask(sandbox, "talks/1/messages").status_code == 204
    assert problem_of(ask(sandbox, "talks/2/messages")) == (404, "Not Found")


def test_the_messages_of_a_closed_talk_are_answered(crm: CrmStore) -> None:
    with_messages(crm, 1)
    crm.close_talk(1, AT)
    assert ids(crm, "talks/1/messages") == ["m0"]


def test_messages_come_in_an_order_that_is_not_that_of_time(crm: CrmStore) -> None:
    by_time = with_messages(crm)
    mixed = ids(crm, "talks/1/messages")
    assert sorted(mixed) == sorted(by_time)
    assert mixed not in (by_time, by_time[::-1])
    assert ids(crm, "talks/1/messages") == mixed


def test_another_seed_gives_another_order(crm: CrmStore) -> None:
    with_messages(crm)
    orders = [ids(crm, "talks/1/messages", terms=Terms(message_seed=n)) for n in (0, 1)]
    assert orders[0] != orders[1]


def test_a_new_message_leaves_the_others_in_their_order(crm: CrmStore) -> None:
    with_messages(crm, 20)
    before = ids(crm, "talks/1/messages")
    with_messages(crm, 40)
    known = [each for each in ids(crm, "talks/1/messages") if each in before]
    assert known == before


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_messages_may_come_by_their_times(crm: CrmStore, order: Any) -> None:
    by_time = with_messages(crm)
    terms = Terms(message_order=order)
    expected = by_time if order == "asc" else by_time[::-1]
    assert ids(crm, "talks/1/messages", terms=terms) == expected


@pytest.mark.parametrize("order", ["mixed", "asc", "desc"])
def test_pages_go_through_all_messages_once(
    sandbox: Sandbox, crm: CrmStore, order: Any
) -> None:
    expected = with_messages(crm)
    sandbox.crm.terms = Terms(message_order=order)
    target, seen, sizes = "talks/1/messages?limit=15", [], []
    while target:
        page = ask(sandbox, target).json()
        messages = [each["id"] for each in page["_embedded"]["messages"]]
        seen += messages
        sizes.append(len(messages))
        target = page["_links"].get("next", {}).get("href")
    assert (sorted(seen), sizes) == (sorted(expected), [15, 15, 10])
    assert ask(sandbox, "talks/1/messages?limit=15&page=4").status_code == 204


def test_pages_may_go_without_a_link_to_the_next(crm: CrmStore) -> None:
    with_messages(crm, 3)
    terms = Terms(message_links=False)
    _, page = asked(crm, "talks/1/messages?limit=2", terms=terms)
    assert set(page["_links"]) == {"self"}
    assert len(ids(crm, "talks/1/messages?limit=2&page=2", terms=terms)) == 1


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [(AT + 1, None, [1, 2, 3]), (None, AT + 1, [0, 1]), (AT + 1, AT + 2, [1, 2])],
)
def test_both_ends_of_a_span_belong_to_it_for_messages_too(
    crm: CrmStore, since: int | None, until: int | None, expected: list[int]
) -> None:
    with_messages(crm, 4)
    query = "&".join(
        f"filter[created_at][{edge}]={at}"
        for edge, at in (("from", since), ("to", until))
        if at is not None
    )
    found = ids(crm, f"talks/1/messages?{query}", terms=Terms(message_order="asc"))
    assert found == [f"m{number}" for number in expected]


def test_the_filter_may_be_ignored(crm: CrmStore) -> None:
    with_messages(crm, 4)
    target = f"talks/1/messages?filter[created_at][from]={AT + 3}"
    assert len(ids(crm, target)) == 1
    assert len(ids(crm, target, terms=Terms(message_filter=False))) == 4


def test_the_second_time_of_a_message_may_be_in_seconds(crm: CrmStore) -> None:
    crm.add_message(1, AT, sec_created_at=AT * 1000 + 7)
    terms = Terms(message_milliseconds=False)
    (message,) = rows(crm, "talks/1/messages", terms=terms)
    assert message["sec_created_at"] == message["created_at"] == AT


def test_an_answer_holds_the_talks_messages_or_all_of_its_chat(crm: CrmStore) -> None:
    for talk_id in (2, 3):
        with_talks(crm, talk_id)
    crm.talks.update(2, chat_id="chat 1")
    for talk_id in (1, 2, 3):
        crm.add_message(talk_id, AT + talk_id, message_id=f"of {talk_id}")
    asc = Terms(message_order="asc")
    assert ids(crm, "talks/1/messages", terms=asc) == ["of 1"]
    whole = Terms(message_order="asc", whole_chat=True)
    for talk_id in (1, 2):
        target = f"talks/{talk_id}/messages"
        assert ids(crm, target, terms=whole) == ["of 1", "of 2"]
    assert ids(crm, "talks/3/messages", terms=whole) == ["of 3"]


def test_a_message_may_be_given_by_two_talks_and_once_by_their_chat(
    crm: CrmStore,
) -> None:
    with_talks(crm, 2)
    crm.talks.update(2, chat_id="chat 1")
    crm.add_message(1, AT, message_id="m")
    crm.messages.add(2, crm.messages.all()[0])
    assert ids(crm, "talks/2/messages") == ids(crm, "talks/1/messages") == ["m"]
    assert ids(crm, "talks/1/messages", terms=Terms(whole_chat=True)) == ["m"]


def test_pages_never_settle_if_messages_come_with_each(
    sandbox: Sandbox, crm: CrmStore
) -> None:
    def write(asked: CrmRequest) -> None:
        for _ in range(asked.limit):
            crm.add_message(1, AT)

    sandbox.crm.before_page = write
    for page in range(1, 6):
        target = f"talks/1/messages?limit=2&page={page}"
        assert len(ask(sandbox, target).json()["_embedded"]["messages"]) == 2
