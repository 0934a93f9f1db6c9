"""Talks and events of invented conversations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.crm.events import INCOMING, OUTGOING, TALK_CREATED
from sandbox.crm.store import CrmStore
from sandbox.seed.times import FIRST, HOUR, SECOND

if TYPE_CHECKING:
    from sandbox.chats.store import ConversationStore, Row
    from sandbox.crm.item import Item

# Every so many conversations one has had an earlier talk, has a talk that is closed
# by now, or stands beside a talk of another channel.
_TWO_TALKS_EVERY = 7
_CLOSED_EVERY = 5
_FOREIGN_EVERY = 10
_FEWEST_FOREIGN = 4
_FOREIGN_ORIGINS = ("waba", "telegram")
_EVENTS_OF_MESSAGES = 3
_FIRST_TALK = 1001
_FIRST_CONTACT = 3_100_001
_FIRST_LEAD = 26_000_001
_FIRST_FOREIGN = 10_000_001


def seeded_crm(store: ConversationStore) -> CrmStore:
    """Return a new store with the talks and events of a store's conversations.

    Each conversation has a talk of the own channel, every seventh an earlier one as
    well. The newest few messages of each have raised events. Some talks of other
    channels are among them, whose chats are not in the store. The ids of talks and
    contacts depend on nothing but the conversation's place in the store.

    Args:
        store: The conversations.
    """
    talks: list[Item] = []
    events: list[Item] = []
    for place, conversation_id in enumerate(store.conversation_ids()):
        # Nothing can be counted on in raw rows.
        raw_or_empty = store.newest_at(conversation_id) is None
        rows = [] if raw_or_empty else store.rows(conversation_id)
        # Of two talks, the earlier one has the older half of the messages.
        earlier = len(rows) // 2 if _has_two_talks(place) else 0
        talks += _talks_of(place, conversation_id, rows, earlier)
        events += _events_of(talks[-1], rows, earlier)
    times = [talk["updated_at"] for talk in talks] or [FIRST // SECOND]
    for number in range(max(_FEWEST_FOREIGN, len(times) // _FOREIGN_EVERY)):
        at = times[number * _FOREIGN_EVERY % len(times)]
        _foreign_talk(number, at, talks, events)
    crm = CrmStore()
    # In the order they began, as if they had come in one by one.
    for talk in sorted(talks, key=lambda each: (each["created_at"], each["talk_id"])):
        crm.talks.add(**talk)
    for event in sorted(events, key=lambda each: (each["created_at"], each["talk_id"])):
        crm.events.add(**event)
    return crm


def _talks_of(
    place: int, conversation_id: str, rows: list[Row], earlier: int
) -> list[Item]:
    """Return the talks of one conversation; the current one comes last.

    Args:
        place: The conversation's place in the store.
        conversation_id: The conversation.
        rows: Its messages, newest first.
        earlier: How many of them are of the earlier talk, if there is one.
    """
    times = [_seconds(row) for row in reversed(rows)] or [FIRST // SECOND]
    own = {
        "chat_id": conversation_id,
        "contact_id": _FIRST_CONTACT + place,
        "entity_id": _FIRST_LEAD + place,
    }
    # Two ids for each, so that the ids of none depend on how many talks others had.
    current_id = _FIRST_TALK + 2 * place + 1
    current = {
        **own,
        "talk_id": current_id,
        "created_at": times[earlier],
        "updated_at": times[-1],
        "is_in_work": place % _CLOSED_EVERY != _CLOSED_EVERY - 1,
    }
    if not _has_two_talks(place):
        return [current]
    earlier_times = times[:earlier] or [times[0] - HOUR // SECOND]
    closed = {
        **own,
        "talk_id": current_id - 1,
        "created_at": earlier_times[0],
        "updated_at": earlier_times[-1],
        "is_in_work": False,
    }
    return [closed, current]


def _events_of(current: Item, rows: list[Row], earlier: int) -> list[Item]:
    """Return the events of one conversation.

    Args:
        current: Its current talk. The earlier one, if any, has the id before.
        rows: Its messages, newest first.
        earlier: How many of them are of the earlier talk.
    """
    if not rows:
        return []
    talk_id = current["talk_id"]
    created = {
        "created_at": current["created_at"],
        "type": TALK_CREATED,
        "talk_id": talk_id,
    }
    of_messages = (
        {
            "created_at": _seconds(row),
            "type": OUTGOING if "receiver" in row else INCOMING,
            "talk_id": talk_id if place < len(rows) - earlier else talk_id - 1,
            "message_id": row["message"]["id"],
        }
        for place, row in enumerate(rows[:_EVENTS_OF_MESSAGES])
    )
    return [created, *of_messages]


def _foreign_talk(number: int, at: int, talks: list[Item], events: list[Item]) -> None:
    """Add a talk of another channel and its event."""
    ids = {
        "talk_id": _FIRST_FOREIGN + number,
        "origin": _FOREIGN_ORIGINS[number % len(_FOREIGN_ORIGINS)],
    }
    chat_id = f"{number:08x}-0000-4000-b000-000000000001"
    talks.append({**ids, "chat_id": chat_id, "created_at": at, "updated_at": at})
    events.append({**ids, "created_at": at})


def _has_two_talks(place: int) -> bool:
    return place % _TWO_TALKS_EVERY == _TWO_TALKS_EVERY - 1


def _seconds(row: Row) -> int:
    seconds: int = row["timestamp"]
    return seconds
