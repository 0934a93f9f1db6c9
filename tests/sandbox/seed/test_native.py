"""The invented chats of channels that are not one's own."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import (
    OWN_ORIGIN,
    ConversationStore,
    CrmStore,
    generated_store,
    seeded_crm,
    seeded_store,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

NATIVE = {"waba", "telegram", "instagram_business"}
REMOVED = 9_120_047
WITHOUT_AMOJO_ID = 9_120_048


@pytest.fixture(scope="module")
def store() -> ConversationStore:
    return seeded_store()


@pytest.fixture(scope="module")
def seeded(store: ConversationStore) -> CrmStore:
    return seeded_crm(store)


@pytest.fixture(scope="module")
def messages(seeded: CrmStore) -> list[dict[str, Any]]:
    return seeded.messages.all()


def native_talks(crm: CrmStore) -> list[dict[str, Any]]:
    """Return the talks of native channels, in the order they began."""
    return [talk for talk in crm.talks.all()[::-1] if talk["origin"] != OWN_ORIGIN]


def first_messages(crm: CrmStore) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for talk in native_talks(crm):
        of_talk = crm.messages.of([talk["talk_id"]])
        yield talk, min(of_talk, key=lambda each: each["created_at"])


def events_of(crm: CrmStore, kind: str) -> list[dict[str, Any]]:
    return [event for event in crm.events.all() if event["type"] == kind]


def everything(crm: CrmStore) -> list[Any]:
    return [
        each.all()
        for each in (
            crm.users,
            crm.pipelines,
            crm.leads,
            crm.talks,
            crm.messages,
            crm.events,
        )
    ]


def test_seeding_is_the_same_every_time(
    store: ConversationStore, seeded: CrmStore
) -> None:
    assert everything(seeded_crm(store)) == everything(seeded)


def test_native_messages_are_the_same_in_every_run_and_version() -> None:
    crm = seeded_crm(ConversationStore())
    content = json.dumps(crm.messages.all(), sort_keys=True).encode()
    assert hashlib.sha256(content).hexdigest() == (
        "a9565ed1553a3c0fca4159640c9032b27ce92e05f0ff1fd04e87a320545fdb32"
    )


def test_native_chats_are_the_same_beside_whatever_conversations(
    seeded: CrmStore,
) -> None:
    other = seeded_crm(generated_store(30, 1))
    assert native_talks(other) == native_talks(seeded)
    ids = [each["id"] for each in other.messages.all()]
    assert ids == [each["id"] for each in seeded.messages.all()]


def test_there_are_a_few_hundred_messages_of_three_channels(
    seeded: CrmStore, messages: list[dict[str, Any]]
) -> None:
    assert 200 < len(messages) < 500
    assert {each["origin"] for each in messages} == NATIVE
    assert {talk["origin"] for talk in native_talks(seeded)} == NATIVE


def test_native_chats_are_not_in_the_store(
    store: ConversationStore, seeded: CrmStore
) -> None:
    chats = {talk["chat_id"] for talk in native_talks(seeded)}
    assert not chats & set(store.conversation_ids())
    assert chats == {each["chat_id"] for each in seeded.messages.all()}


def test_each_native_message_has_an_event_of_its_talk_and_time(
    seeded: CrmStore,
) -> None:
    told = {
        event["value_after"][0]["message"]["id"]: event
        for event in seeded.events.all()
        if "chat_message" in event["type"]
    }
    for talk in native_talks(seeded):
        for each in seeded.messages.of([talk["talk_id"]]):
            event = told[each["id"]]
            assert event["value_after"][0]["message"] == {
                "id": each["id"],
                "talk_id": talk["talk_id"],
                "origin": each["origin"],
            }
            assert event["type"] == f"{each['type']}_chat_message"
            assert event["created_at"] == each["created_at"]
            assert event["created_by"] == each["author"].get("user_id", 0)


def test_most_native_talks_begin_after_their_first_message(seeded: CrmStore) -> None:
    late = [
        talk["created_at"] - message["created_at"]
        for talk, message in first_messages(seeded)
    ]
    assert Counter(late).most_common(1)[0][0] == 3
    # The company began the others.
    assert set(late) == {3, -1}


def test_some_chats_have_several_native_talks_one_after_the_other(
    seeded: CrmStore,
) -> None:
    chats: dict[str, list[dict[str, Any]]] = {}
    for talk in native_talks(seeded):
        chats.setdefault(talk["chat_id"], []).append(talk)
    assert {len(talks) for talks in chats.values()} == {1, 2, 3}
    for talks in chats.values():
        assert len({talk["contact_id"] for talk in talks}) == 1
        for earlier, later in pairwise(talks):
            assert earlier["updated_at"] < later["created_at"]
            assert not earlier["is_in_work"]


def test_some_native_talks_were_closed_twice_or_are_open_after_they_were_closed(
    seeded: CrmStore,
) -> None:
    closed = Counter(event["entity_id"] for event in events_of(seeded, "talk_closed"))
    talks = native_talks(seeded)
    times = Counter((closed[talk["talk_id"]], talk["is_in_work"]) for talk in talks)
    assert set(times) == {(0, True), (1, True), (1, False), (2, False)}


def test_native_authors_are_clients_agents_bots_and_phones(
    messages: list[dict[str, Any]],
) -> None:
    kinds = {
        (each["type"], each["author"]["type"], "user_id" in each["author"])
        for each in messages
    }
    assert kinds == {
        ("incoming", "external", False),
        ("outgoing", "internal", True),
        ("outgoing", "internal", False),
        ("outgoing", "bot", False),
    }


def test_agents_write_with_and_without_an_amojo_id(
    seeded: CrmStore, messages: list[dict[str, Any]]
) -> None:
    wrote = {each["author"].get("user_id"): each["author"]["id"] for each in messages}
    for user in seeded.users.all():
        if user["id"] in wrote and user["amojo_id"] is not None:
            assert wrote[user["id"]] == user["amojo_id"]
    without = seeded.users.get(WITHOUT_AMOJO_ID)
    assert without is not None
    assert without["amojo_id"] is None
    assert WITHOUT_AMOJO_ID in wrote


def test_a_removed_user_wrote_and_is_not_listed(
    store: ConversationStore, seeded: CrmStore, messages: list[dict[str, Any]]
) -> None:
    assert seeded.users.get(REMOVED) is None
    (amojo_id,) = {
        each["author"]["id"]
        for each in messages
        if each["author"].get("user_id") == REMOVED
    }
    assert any(
        row["sender"]["id"] == amojo_id
        for chat in store.conversation_ids()
        for row in store.rows(chat)
    )


def test_an_amojo_id_is_the_sender_of_messages_in_the_conversations(
    store: ConversationStore, seeded: CrmStore
) -> None:
    senders = {
        row["sender"]["id"]
        for chat in store.conversation_ids()
        for row in store.rows(chat)
        if "receiver" in row
    }
    given = {user["amojo_id"] for user in seeded.users.all()} - {None}
    assert len(given) == 3
    assert given < senders


def test_all_native_types_occur_and_media_is_an_attachment(
    messages: list[dict[str, Any]],
) -> None:
    media = {"file", "video", "picture", "voice", "audio", "sticker"}
    kinds = {each["message_type"] for each in messages}
    assert kinds == media | {"text", "contact", "location"}
    for each in messages:
        attachment = each["attachment"]
        assert (attachment is not None) == (each["message_type"] in media)
        if attachment is not None:
            assert set(attachment) == {"type", "link", "file_name"}
            assert attachment["type"] == each["message_type"]


def test_outgoing_native_messages_say_what_became_of_them_and_some_failed(
    messages: list[dict[str, Any]],
) -> None:
    status = {each.get("delivery_status") for each in messages}
    assert status == {None, "sent", "delivered", "read", "error"}
    for each in messages:
        outgoing = each["type"] == "outgoing"
        assert ("delivery_status" in each, "recipient" in each) == (outgoing,) * 2


def test_native_times_are_past_and_have_milliseconds(
    messages: list[dict[str, Any]],
) -> None:
    assert max(each["created_at"] for each in messages) < 1_782_777_600
    assert any(each["sec_created_at"] % 1000 for each in messages)
    for each in messages:
        assert each["sec_created_at"] // 1000 == each["created_at"]


def test_leads_went_through_the_pipelines_to_all_ends(seeded: CrmStore) -> None:
    known = {
        (pipeline["id"], status["id"])
        for pipeline in seeded.pipelines.all()
        for status in pipeline["_embedded"]["statuses"]
    }
    leads = seeded.leads.all()
    assert {(lead["pipeline_id"], lead["status_id"]) for lead in leads} <= known
    ends = {lead["status_id"] for lead in leads if lead["closed_at"] is not None}
    assert ends == {142, 143}
    lost = [lead for lead in leads if lead["status_id"] == 143]
    assert all(lead["loss_reason_id"] for lead in lost)
    assert len({lead["pipeline_id"] for lead in leads}) == 2
    assert events_of(seeded, "lead_status_changed")


def test_leads_have_tags_custom_fields_and_sources_or_none(seeded: CrmStore) -> None:
    leads = seeded.leads.all()
    for has in (
        lambda lead: bool(lead["_embedded"]["tags"]),
        lambda lead: lead["custom_fields_values"] is not None,
        lambda lead: lead["source_id"] is not None,
        lambda lead: lead["is_deleted"],
    ):
        assert {has(lead) for lead in leads} == {True, False}


def test_each_talk_names_a_lead_that_is_there_with_two_exceptions(
    seeded: CrmStore,
) -> None:
    without = [
        talk
        for talk in seeded.talks.all()
        if seeded.leads.get(talk["entity_id"]) is None
    ]
    assert {talk["entity_type"] for talk in without} == {"lead", "customer"}
    assert len({talk["contact_id"] for talk in without}) == 2


@pytest.mark.parametrize("conversations", [0, 1])
def test_there_are_native_chats_beside_however_few_conversations(
    conversations: int,
) -> None:
    crm = seeded_crm(generated_store(conversations, 1))
    assert {talk["origin"] for talk in native_talks(crm)} == NATIVE
