"""A chat event, and the record it becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_kommo_chats.integers import read_id
from tap_kommo_chats.records.columns import (
    Mirror,
    moment,
    moment_of,
    number,
    seconds_ms,
    text,
)

if TYPE_CHECKING:
    from tap_kommo_chats.records.messages import Record

EVENTS = Mirror.of(
    "chat_events",
    ("account_id", "event_id", "happened_at"),
    (
        number("account_id", "Kommo's number of the account.", required=True),
        text("event_id", "Kommo's id of the event.", required=True),
        text(
            "type",
            "incoming_chat_message, outgoing_chat_message, talk_created or "
            "talk_closed.",
        ),
        number("talk_id", "The talk: talk_id of talks."),
        text("message_id", "The message: message_id of chat_history."),
        text("origin", "The channel, where it is about a message and tells."),
        text("entity_type", "What it is about, such as lead, contact or talk."),
        number("entity_id", "Its number."),
        number("contact_id", "The contact of the talk."),
        number("created_by", "The user who did it; 0 for a contact, a bot, an API."),
        number("created_at", "When it happened, in Unix seconds."),
    ),
    {
        "event_id": ("id",),
        "talk_id": ("value_after", 0, "message", "talk_id"),
        "message_id": ("value_after", 0, "message", "id"),
        "origin": ("value_after", 0, "message", "origin"),
        "contact_id": ("_embedded", "entity", "linked_talk_contact_id"),
    },
    (moment("happened_at", "created_at as a time in UTC."),),
)
"""One row per chat event."""


def event_record(
    event_id: str, talk_id: int | None, value: dict[str, Any], account_id: int
) -> Record:
    """Make an event's record.

    Args:
        event_id: Kommo's id of it.
        talk_id: The talk it leads to; None where it leads to none.
        value: The event as the CRM gave it.
        account_id: Kommo's number of its account, where the event does not tell.
    """
    return EVENTS.record(
        value,
        event_id=event_id,
        talk_id=talk_id,
        account_id=account_id,
        happened_at=moment_of(seconds_ms(read_id(value.get("created_at")))),
    )
