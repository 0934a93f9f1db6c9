"""What happens in a CRM, and which events it raises."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sandbox import BOT_AUTHOR, PHONE_AUTHOR, USER_ID, CrmStore
from tests.sandbox.crm.asking import AT, with_talks


def told(crm: CrmStore) -> list[tuple[Any, ...]]:
    """Return type, time, author and entity of all events, oldest first."""
    return [
        (each["type"], each["created_at"], each["created_by"], each["entity_id"])
        for each in reversed(crm.events.all())
    ]


def talk(crm: CrmStore, talk_id: int = 1) -> dict[str, Any]:
    found = crm.talks.get(talk_id)
    assert found is not None
    return found


def test_a_message_raises_an_event_that_names_message_talk_and_origin(
    crm: CrmStore,
) -> None:
    with_talks(crm, 1, origin="waba", entity_id=80)
    message_id = crm.add_message(1, AT + 5)
    (event,) = crm.events.all()
    assert event["value_after"] == [
        {"message": {"id": message_id, "talk_id": 1, "origin": "waba"}}
    ]
    assert told(crm) == [("incoming_chat_message", AT + 5, 0, 80)]


def test_a_message_touches_its_talk_and_no_other_of_the_chat(crm: CrmStore) -> None:
    with_talks(crm, 1, 2)
    crm.talks.update(2, chat_id="chat 1")
    crm.add_message(1, AT + 5)
    assert (talk(crm, 1)["updated_at"], talk(crm, 2)["updated_at"]) == (AT + 5, AT)


def test_an_older_message_does_not_turn_back_its_talk(crm: CrmStore) -> None:
    with_talks(crm, 1)
    crm.add_message(1, AT - 3)
    assert talk(crm)["updated_at"] == AT


@pytest.mark.parametrize(
    ("author", "created_by"),
    [
        ({"id": "a", "type": "internal", "user_id": 7}, 7),
        (BOT_AUTHOR, 0),
        (PHONE_AUTHOR, 0),
    ],
)
def test_the_event_of_a_reply_names_its_user_if_it_has_one(
    crm: CrmStore, author: dict[str, Any], created_by: int
) -> None:
    with_talks(crm, 1, entity_id=80)
    crm.add_message(1, AT, author=author)
    assert told(crm) == [("outgoing_chat_message", AT, created_by, 80)]


def test_a_message_may_raise_no_event(crm: CrmStore) -> None:
    with_talks(crm, 1)
    crm.add_message(1, AT, event=False)
    assert (len(crm.messages.all()), crm.events.all()) == (1, [])


def test_a_message_of_no_talk_is_an_error_and_is_not_kept(crm: CrmStore) -> None:
    with pytest.raises(KeyError):
        crm.add_message(1, AT)
    assert (crm.messages.all(), crm.events.all()) == ([], [])


def test_an_agent_who_was_removed_can_still_be_an_author(crm: CrmStore) -> None:
    crm.users.add(7, "Ann")
    before = crm.agent(7)
    crm.users.remove(7)
    after = crm.agent(7)
    assert before["name"] == "Ann"
    assert (after["id"], after["user_id"]) == (before["id"], 7)


def test_a_talk_that_is_opened_raises_an_event_of_its_own(crm: CrmStore) -> None:
    crm.open_talk(1, "chat", AT, origin="telegram", contact_id=70)
    assert (talk(crm)["created_at"], talk(crm)["is_in_work"]) == (AT, True)
    (event,) = crm.events.all()
    assert (event["entity_type"], event["value_after"]) == ("talk", [])
    assert told(crm) == [("talk_created", AT, 0, 1)]


def test_a_talk_that_is_closed_raises_an_event_that_tells_when(crm: CrmStore) -> None:
    with_talks(crm, 1)
    crm.close_talk(1, AT + 5)
    assert (talk(crm)["status"], talk(crm)["updated_at"]) == ("closed", AT + 5)
    assert crm.events.all()[0]["entity_type"] == "talk"
    assert told(crm) == [("talk_closed", AT + 5, 0, 1)]


def test_a_talk_that_is_reopened_raises_no_event(crm: CrmStore) -> None:
    with_talks(crm, 1, is_in_work=False)
    crm.reopen_talk(1, AT + 5)
    assert (talk(crm)["status"], talk(crm)["updated_at"]) == ("in_work", AT + 5)
    assert crm.events.all() == []


@pytest.mark.parametrize("change", ["close_talk", "reopen_talk"])
def test_an_unknown_talk_cannot_be_closed_or_reopened(
    crm: CrmStore, change: str
) -> None:
    with pytest.raises(KeyError):
        getattr(crm, change)(1, AT)
    assert crm.events.all() == []


def test_a_lead_that_moves_raises_an_event_and_leaves_its_talk(crm: CrmStore) -> None:
    with_talks(crm, 1, entity_id=80)
    crm.leads.add(80, created_at=AT, pipeline_id=1, status_id=11)
    crm.move_lead(80, 21, AT + 5, pipeline_id=2)
    (lead,) = crm.leads.all()
    assert (lead["pipeline_id"], lead["status_id"]) == (2, 21)
    assert (lead["updated_at"], lead["updated_by"]) == (AT + 5, USER_ID)
    (event,) = crm.events.all()
    assert event["value_before"] == [{"lead_status": {"id": 11, "pipeline_id": 1}}]
    assert event["value_after"] == [{"lead_status": {"id": 21, "pipeline_id": 2}}]
    assert told(crm) == [("lead_status_changed", AT + 5, USER_ID, 80)]
    assert talk(crm)["updated_at"] == AT


def test_a_lead_is_closed_at_the_ends_and_open_again_elsewhere(crm: CrmStore) -> None:
    crm.leads.add(80, created_at=AT)
    closed = []
    for number, status_id in enumerate((143, 60_012, 142)):
        reason = 5_501 if status_id == 143 else None
        crm.move_lead(80, status_id, AT + number, loss_reason_id=reason)
        (lead,) = crm.leads.all()
        closed.append((lead["closed_at"], lead["loss_reason_id"]))
    assert closed == [(AT, 5_501), (None, None), (AT + 2, None)]


def test_an_unknown_lead_cannot_be_moved(crm: CrmStore) -> None:
    with pytest.raises(KeyError):
        crm.move_lead(80, 142, AT)
    assert crm.events.all() == []


def test_messages_arrive_from_several_threads(crm: CrmStore) -> None:
    with_talks(crm, 1)
    with ThreadPoolExecutor(8) as pool:
        added = set(pool.map(lambda n: crm.add_message(1, AT + n % 3), range(400)))
    assert len(added) == len(crm.messages.of([1])) == len(crm.events.all()) == 400
