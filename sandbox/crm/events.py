"""The events there are, in memory."""

from __future__ import annotations

import threading
import uuid
from bisect import bisect_left, bisect_right, insort
from typing import TYPE_CHECKING

from sandbox.account import ACCOUNT_ID, USER_ID
from sandbox.crm.item import OWN_ORIGIN
from sandbox.crm.talks import default_entity

if TYPE_CHECKING:
    from sandbox.crm.item import Item
    from sandbox.crm.talks import Talks

INCOMING = "incoming_chat_message"
OUTGOING = "outgoing_chat_message"
TALK_CREATED = "talk_created"
TALK_CLOSED = "talk_closed"
STATUS_CHANGED = "lead_status_changed"

_OF_TALKS = (TALK_CREATED, TALK_CLOSED)
_MESSAGES_NAMESPACE = uuid.UUID("5a0c6a0e-2f36-4d1c-9d5f-0b8f7b6a1c11")
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"


class Events:
    """Events by time. Safe to use from several threads.

    An event that was handed out never changes.
    """

    def __init__(self, talks: Talks) -> None:
        """Start with no event.

        Args:
            talks: Where an event finds the contact and the entity of its talk.
        """
        self._talks = talks
        self._lock = threading.Lock()
        # Oldest first, so that adding the next event is an append.
        self._events: list[Item] = []
        self._by_id: dict[str, Item] = {}
        self._ever = 0

    def add(  # noqa: PLR0913 - each one is a field tests need on its own
        self,
        created_at: int,
        *,
        type: str = INCOMING,  # noqa: A002 - the field's name in Kommo
        talk_id: int | None = None,
        origin: str | None = OWN_ORIGIN,
        contact_id: int | None = None,
        entity_id: int | None = None,
        entity_type: str = "lead",
        event_id: str | None = None,
        talk_id_as_text: bool = False,
        message_id: str | None = None,
        created_by: int | None = None,
    ) -> str:
        """Add an event of a chat, or replace the one of this id.

        That a talk was created or closed is about the talk itself and has nothing in
        ``value_after``. All others are about a message.

        Args:
            created_at: When it happened, in Unix seconds.
            type: The type of the event.
            talk_id: The talk; None leaves it out.
            origin: The channel; None leaves it out.
            contact_id: The contact; the talk's if None and the talk is known.
            entity_id: The lead or customer; the talk's if None and the talk is known.
            entity_type: The kind of the entity, unless the entity is the talk's.
            event_id: The event's id; a new one that sorts by time if None.
            talk_id_as_text: Write the talk's id as text.
            message_id: The message's id; an invented one if None.
            created_by: The user who did it, 0 for nobody's user. If None, a user did
                what is outgoing.

        Returns:
            The event's id.
        """
        talk = None if talk_id is None else self._talks.get(talk_id)
        if contact_id is None and talk is not None:
            contact_id = talk["contact_id"]
        if type in _OF_TALKS:
            entity_type = "talk"
            entity_id = entity_id if talk_id is None else talk_id
        elif entity_id is None and talk is not None:
            entity_id, entity_type = talk["entity_id"], talk["entity_type"]
        if entity_id is None:
            entity_id = default_entity(talk_id or 0)
        told = str(talk_id) if talk_id_as_text and talk_id is not None else talk_id
        if created_by is None:
            created_by = USER_ID if type == OUTGOING else 0
        with self._lock:
            event_id = event_id or self._next_id(created_at)
            message = _message(event_id, message_id, told, origin)
            self._put(
                event_id,
                created_at,
                type=type,
                entity_id=entity_id,
                entity_type=entity_type,
                created_by=created_by,
                value_after=[] if type in _OF_TALKS else [message],
                value_before=[],
                _embedded=_entity(entity_id, contact_id),
            )
        return event_id

    def add_move(
        self, created_at: int, lead_id: int, before: Item, after: Item, created_by: int
    ) -> str:
        """Add the event that a lead moved, which is of no chat.

        Args:
            created_at: When it moved, in Unix seconds.
            lead_id: The lead.
            before: Where it was: ``id`` of the status, and ``pipeline_id``.
            after: Where it is now.
            created_by: The user who moved it, 0 for nobody's user.

        Returns:
            The event's id.
        """
        with self._lock:
            event_id = self._next_id(created_at)
            self._put(
                event_id,
                created_at,
                type=STATUS_CHANGED,
                entity_id=lead_id,
                entity_type="lead",
                created_by=created_by,
                value_after=[{"lead_status": after}],
                value_before=[{"lead_status": before}],
                _embedded=_entity(lead_id, None),
            )
        return event_id

    def remove(self, event_id: str) -> None:
        """Remove an event.

        Raises:
            KeyError: There is no such event.
        """
        with self._lock:
            self._drop(event_id)

    def all(self) -> list[Item]:
        """Return all events, newest first; of one time, the largest id first."""
        return self.between(None, None)

    def between(self, since: int | None, until: int | None) -> list[Item]:
        """Return the events of a span of time, newest first.

        Args:
            since: The first second; None for no such bound.
            until: The last second; None for no such bound.
        """
        with self._lock:
            begin = 0 if since is None else bisect_left(self._events, since, key=_time)
            end = (
                None if until is None else bisect_right(self._events, until, key=_time)
            )
            return self._events[begin:end][::-1]

    def _next_id(self, created_at: int) -> str:
        self._ever += 1
        return _sortable_id(created_at, self._ever)

    def _put(self, event_id: str, created_at: int, **fields: object) -> None:
        if event_id in self._by_id:
            self._drop(event_id)
        known = {"id": event_id, "created_at": created_at, "account_id": ACCOUNT_ID}
        event: Item = {**known, **fields}
        insort(self._events, event, key=_time_and_id)
        self._by_id[event_id] = event

    def _drop(self, event_id: str) -> None:
        event = self._by_id.pop(event_id)
        del self._events[
            bisect_left(self._events, _time_and_id(event), key=_time_and_id)
        ]


def _message(
    event_id: str, message_id: str | None, talk_id: int | str | None, origin: str | None
) -> Item:
    message: Item = {
        "id": message_id or str(uuid.uuid5(_MESSAGES_NAMESPACE, event_id)),
        "talk_id": talk_id,
        "origin": origin,
    }
    return {"message": {name: v for name, v in message.items() if v is not None}}


def _entity(entity_id: int, contact_id: int | None) -> Item:
    entity = {"id": entity_id}
    if contact_id is not None:
        entity["linked_talk_contact_id"] = contact_id
    return {"entity": entity}


def _time(event: Item) -> int:
    at: int = event["created_at"]
    return at


def _time_and_id(event: Item) -> tuple[int, str]:
    return event["created_at"], event["id"]


def _sortable_id(at: int, number: int) -> str:
    """Return an id of the form of Kommo's: it begins with the time."""
    return _base_32(at * 1000, 10) + _base_32(number, 16)


def _base_32(number: int, length: int) -> str:
    return "".join(
        _DIGITS[number >> 5 * place & 31] for place in reversed(range(length))
    )
