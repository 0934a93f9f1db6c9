"""Talks and events of invented conversations of the own channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.crm.events import INCOMING, OUTGOING, TALK_CLOSED, TALK_CREATED
from sandbox.seed.times import FIRST, HOUR, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sandbox.chats.store import ConversationStore, Row
    from sandbox.crm.item import Item

# Every so many conversations one has had an earlier talk, or a talk that is closed by
# now.
_TWO_TALKS_EVERY = 7
_CLOSED_EVERY = 5
_EVENTS_OF_MESSAGES = 3
_FIRST_TALK = 1001
_FIRST_CONTACT = 3_100_001
_FIRST_LEAD = 26_000_001


def own_talks(
    store: ConversationStore, user_ids: Mapping[str, int]
) -> tuple[list[Item], list[Item]]:
    """Return the talks and events of a store's conversations, each as one is added.

    Each conversation has a talk, every seventh an earlier one as well. The newest few
    messages of each have raised events. The ids of talks and contacts depend on nothing
    but the conversation's place in the store.

    Args:
        store: The conversations.
        user_ids: Who writes in them, by the id of the sender.
    """
    talks: list[Item] = []
    events: list[Item] = []
    for place, conversation_id in enumerate(store.conversation_ids()):
        # Nothing can be counted on in raw rows.
        raw_or_empty = store.newest_at(conversation_id) is None
        rows = [] if raw_or_empty else store.rows(conversation_id)
        # Of two talks, the earlier one has the older half of the messages.
        earlier = len(rows) // 2 if _has_two_talks(place) else 0
        talks_here = _talks_of(place, conversation_id, rows, earlier)
        talks += talks_here
        events += _events_of(talks_here, rows, earlier, user_ids)
    return talks, events


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


def _events_of(
    talks: list[Item], rows: list[Row], earlier: int, user_ids: Mapping[str, int]
) -> Iterator[Item]:
    """Yield the events of one conversation.

    Args:
        talks: Its talks. The earlier one, if any, has the id before the current one's.
        rows: Its messages, newest first.
        earlier: How many of them are of the earlier talk.
        user_ids: Who writes in it, by the id of the sender.
    """
    if not rows:
        return
    current = talks[-1]
    talk_id = current["talk_id"]
    yield {
        "created_at": current["created_at"],
        "type": TALK_CREATED,
        "talk_id": talk_id,
    }
    for place, row in enumerate(rows[:_EVENTS_OF_MESSAGES]):
        yield {
            "created_at": _seconds(row),
            "type": OUTGOING if "receiver" in row else INCOMING,
            "talk_id": talk_id if place < len(rows) - earlier else talk_id - 1,
            "message_id": row["message"]["id"],
            "created_by": user_ids.get(row["sender"]["id"], 0),
        }
    for talk in talks:
        if not talk["is_in_work"]:
            yield {
                "created_at": talk["updated_at"],
                "type": TALK_CLOSED,
                "talk_id": talk["talk_id"],
            }


def _has_two_talks(place: int) -> bool:
    return place % _TWO_TALKS_EVERY == _TWO_TALKS_EVERY - 1


def _seconds(row: Row) -> int:
    seconds: int = row["timestamp"]
    return seconds
