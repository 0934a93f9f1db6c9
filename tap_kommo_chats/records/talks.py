"""One talk of the CRM, and the Singer record it becomes.

A talk is a conversation's being worked on, from the first message until an agent closes
it; one conversation can have many over time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from singer_sdk import typing as th

from tap_kommo_chats.identifiers import normal_id, segment_flaw
from tap_kommo_chats.integers import read_id
from tap_kommo_chats.records.fields import known_fields, read_numbers, sort_out
from tap_kommo_chats.records.shape import EXTRA, extra_column
from tap_kommo_chats.times import CALENDAR_MS, SECOND_MS


def _text(name: str, description: str) -> th.Property[str]:
    return th.Property(name, th.StringType, description=description)


def _number(name: str, description: str) -> th.Property[int]:
    return th.Property(name, th.IntegerType, description=description)


def _flag(name: str, description: str) -> th.Property[bool]:
    return th.Property(name, th.BooleanType, description=description)


SCHEMA: dict[str, Any] = th.PropertiesList(
    th.Property(
        "account_id",
        th.IntegerType,
        required=True,
        description="Kommo's number of the account. Part of the key, because nobody "
        "promises that two accounts count their talks together.",
    ),
    th.Property(
        "talk_id",
        th.IntegerType,
        required=True,
        description="Kommo's number of the talk.",
    ),
    _text(
        "chat_id",
        "The conversation: conversation_id of chat_history and of conversations.",
    ),
    _text("origin", "The channel: amo.ext.<number> for an integration's own."),
    _number("contact_id", "The contact who writes."),
    _text("entity_type", "What the talk belongs to, such as lead or customer."),
    _number("entity_id", "Its number."),
    _text("status", "in_work, closed, and others."),
    _flag("is_in_work", "Whether it is open."),
    _flag("is_read", "Whether it was read."),
    _number("rate", "The customer's rating."),
    _number("source_id", "The source in the CRM it came from."),
    _number("created_at", "When it began, in Unix seconds."),
    _number("updated_at", "When it was last changed, in Unix seconds."),
    _number("missed_at", "When it was missed, in Unix seconds."),
    extra_column(
        "What the CRM gave and no field above takes. Null when there is none."
    ),
).to_dict()
"""JSON schema of the `talks` stream."""

_KNOWN = known_fields(
    {
        "properties": {
            name: field for name, field in SCHEMA["properties"].items() if name != EXTRA
        }
    }
)


@dataclass(frozen=True, slots=True)
class Talk:
    """A talk that can be told from others.

    Attributes:
        talk_id: Kommo's number of it.
        chat_id: Its conversation, fit to stand in a request's path; None when there is
            none or it is not fit.
        origin: The channel; empty when it is not known.
        updated_ms: When it was last changed, in milliseconds since 1970; None when that
            is not known.
        value: The talk as the CRM gave it.
    """

    talk_id: int
    chat_id: str | None
    origin: str
    updated_ms: int | None
    value: dict[str, Any]

    @property
    def began_ms(self) -> int:
        """When it began, in milliseconds since 1970; 0 when that is not known."""
        began_ms = (read_id(self.value.get("created_at")) or 0) * SECOND_MS
        return began_ms if began_ms in CALENDAR_MS else 0


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom talks are with, or what they belong to.

    Attributes:
        kind: `contact`, `lead` or `customer`.
        number: Kommo's number of it.
    """

    kind: str
    number: int

    def __str__(self) -> str:
        """Name it, for an operator."""
        return f"{self.kind} {self.number}"

    def has(self, talk: Talk) -> bool:
        """Tell whether a talk is theirs, or does not say whose it is."""
        if self.kind == "contact":
            return read_id(talk.value.get("contact_id")) in {None, self.number}
        number = read_id(talk.value.get("entity_id"))
        kind = talk.value.get("entity_type") or self.kind
        return number is None or (kind, number) == (self.kind, self.number)


def read_talk(value: object) -> Talk | None:
    """Read a talk leniently; None when what stands in its place has no id."""
    if not isinstance(value, dict):
        return None
    talk_id = read_id(value.get("talk_id"))
    if talk_id is None:
        return None
    chat_id, origin = value.get("chat_id"), value.get("origin")
    updated_ms = (read_id(value.get("updated_at")) or 0) * SECOND_MS
    return Talk(
        talk_id,
        normal_id(chat_id)
        if isinstance(chat_id, str) and not segment_flaw(chat_id)
        else None,
        origin if isinstance(origin, str) else "",
        updated_ms if updated_ms and updated_ms in CALENDAR_MS else None,
        value,
    )


def to_record(talk: Talk, account_id: int) -> dict[str, Any]:
    """Make a talk's record.

    Values travel as they came, but for numbers, which are numbers also where the CRM
    writes them as text.

    Args:
        talk: The talk.
        account_id: Kommo's number of its account, where the talk does not tell.
    """
    extra: dict[str, Any] = {}
    fields = sort_out(read_numbers(talk.value, _KNOWN), _KNOWN, extra)
    fields["talk_id"] = talk.talk_id
    if fields.get("account_id") is None:
        fields["account_id"] = account_id
    return {**fields, "extra": extra or None}
