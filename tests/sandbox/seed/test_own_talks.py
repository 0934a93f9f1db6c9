"""The talks and events of the invented conversations of the own channel."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox import (
    OWN_ORIGIN,
    ConversationStore,
    CrmStore,
    generated_store,
    seeded_crm,
    seeded_store,
)


@pytest.fixture(scope="module")
def store() -> ConversationStore:
    return seeded_store()


@pytest.fixture(scope="module")
def seeded(store: ConversationStore) -> CrmStore:
    return seeded_crm(store)


def own(crm: CrmStore) -> dict[str, list[dict[str, Any]]]:
    """Return the talks of the own channel by conversation, oldest first."""
    talks: dict[str, list[dict[str, Any]]] = {}
    for talk in reversed(crm.talks.all()):
        if talk["origin"] == OWN_ORIGIN:
            talks.setdefault(talk["chat_id"], []).append(talk)
    return talks


def test_every_conversation_has_a_talk_and_every_seventh_two(
    store: ConversationStore, seeded: CrmStore
) -> None:
    talks = own(seeded)
    assert set(talks) == set(store.conversation_ids())
    counts = [len(talks[chat]) for chat in store.conversation_ids()]
    assert counts == [2 if n % 7 == 6 else 1 for n in range(len(counts))]


def test_a_seeded_talk_was_updated_with_its_newest_message(
    store: ConversationStore, seeded: CrmStore
) -> None:
    for chat, talks in own(seeded).items():
        if store.size(chat):
            assert talks[-1]["updated_at"] == store.newest_at(chat)
        assert all(talk["created_at"] <= talk["updated_at"] for talk in talks)


def test_an_earlier_seeded_talk_is_closed_and_of_the_same_contact(
    seeded: CrmStore,
) -> None:
    pairs = [talks for talks in own(seeded).values() if len(talks) == 2]
    for earlier, current in pairs:
        assert not earlier["is_in_work"]
        assert earlier["updated_at"] <= current["created_at"]
        assert earlier["contact_id"] == current["contact_id"]


def test_some_seeded_talks_are_closed_and_most_are_not(seeded: CrmStore) -> None:
    current = [talks[-1]["is_in_work"] for talks in own(seeded).values()]
    assert 0 < current.count(False) < current.count(True)


def test_the_newest_messages_have_raised_seeded_events(
    store: ConversationStore, seeded: CrmStore
) -> None:
    raised = {
        message["message"]["id"]: (event["created_at"], event["type"])
        for event in seeded.events.all()
        for message in event["value_after"]
        if "message" in message
    }
    for chat in store.conversation_ids():
        for each in store.page(chat, 0, 3):
            way = "outgoing" if "receiver" in each else "incoming"
            expected = (each["timestamp"], f"{way}_chat_message")
            assert raised[each["message"]["id"]] == expected


def test_of_a_closed_seeded_talk_an_event_tells_when(seeded: CrmStore) -> None:
    told = {
        event["entity_id"]: event["created_at"]
        for event in seeded.events.all()
        if event["type"] == "talk_closed"
    }
    # One conversation is empty, and nothing has ever happened in it.
    talks = [talk for talks in own(seeded).values() for talk in talks]
    happened = [t for t in talks if t["updated_at"] > t["created_at"]]
    for talk in happened:
        closed_at = None if talk["is_in_work"] else talk["updated_at"]
        assert told.get(talk["talk_id"]) == closed_at


def test_a_seeded_event_names_the_user_who_wrote(
    store: ConversationStore, seeded: CrmStore
) -> None:
    users = {user["amojo_id"]: user["id"] for user in seeded.users.all()}
    created_by = {
        event["value_after"][0]["message"]["id"]: event["created_by"]
        for event in seeded.events.all()
        if event["type"] == "outgoing_chat_message"
    }
    written = [
        (row["sender"]["id"], created_by[row["message"]["id"]])
        for chat in store.conversation_ids()
        for row in store.page(chat, 0, 3)
        if "receiver" in row
    ]
    known = [(sender, user_id) for sender, user_id in written if sender in users]
    assert {users[sender] for sender, _ in known} == {user_id for _, user_id in known}
    assert all(users[sender] == user_id for sender, user_id in known)
    assert 0 in {user_id for _, user_id in written}


def test_no_two_seeded_talks_share_an_id(seeded: CrmStore) -> None:
    ids = [talk["talk_id"] for talk in seeded.talks.all()]
    assert len(ids) == len(set(ids))


def test_seeded_ids_depend_on_nothing_but_the_conversations_place() -> None:
    def ids(crm: CrmStore) -> dict[str, list[tuple[int, int]]]:
        return {
            chat: [(talk["talk_id"], talk["contact_id"]) for talk in talks]
            for chat, talks in own(crm).items()
        }

    few, many = (
        ids(seeded_crm(generated_store(8, 1))),
        seeded_crm(generated_store(9, 6)),
    )
    assert ids(many).items() >= few.items()


def test_raw_and_empty_conversations_have_a_talk_and_no_event() -> None:
    store = ConversationStore()
    store.add_conversation("empty")
    store.put_raw("raw", [None, {"timestamp": "soon"}])
    crm = seeded_crm(store)
    assert set(own(crm)) == {"empty", "raw"}
    about = {event["entity_id"] for event in crm.events.all()}
    assert not about & {talks[-1]["entity_id"] for talks in own(crm).values()}
