"""A message of a talk, and the Singer record it becomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

from tap_kommo_chats.identifiers import normal_id, segment_flaw
from tap_kommo_chats.records.columns import Mirror, moment, number, text
from tap_kommo_chats.records.messages import Row, content_hash, instant, message_id
from tap_kommo_chats.times import SECOND_MS, format_instant

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_kommo_chats.records.messages import Record

MILLISECONDS_FROM = 100_000_000_000
"""`sec_created_at` has milliseconds in it, whatever its name says (seen). As seconds
this is the year 5138."""

BEFORE_ITS_TALK_MS = 60 * SECOND_MS
"""A talk may begin after its first message (seen: three seconds)."""


def _person(name: str, description: str) -> th.Property[Any]:
    return th.Property(
        name,
        th.ObjectType(
            th.Property("id", th.StringType),
            th.Property("type", th.StringType, description="internal, external, bot."),
            th.Property("name", th.StringType),
            th.Property("avatar_url", th.StringType),
            th.Property("user_id", th.IntegerType, description="user_id of users."),
        ),
        description=description,
    )


TALK_MESSAGES = Mirror.of(
    "talk_messages",
    ("account_id", "conversation_id", "message_id", "sent_at"),
    (
        text(
            "conversation_id",
            "Kommo's UUID of the chat: chat_id of talks.",
            required=True,
        ),
        text("message_id", "Kommo's id of the message.", required=True),
        text("direction", "incoming from the customer, or outgoing."),
        text("message_type", "text, picture, voice, and others."),
        text("origin", "The channel, such as waba or telegram."),
        _person("author", "Who wrote it."),
        _person("recipient", "Whom it was sent to."),
        text("text", "What it says."),
        th.Property(
            "attachment",
            th.ObjectType(
                th.Property("type", th.StringType),
                th.Property("link", th.StringType),
                th.Property("file_name", th.StringType),
            ),
            description="What is attached. Nobody says how long a link lives.",
        ),
        text("delivery_status", "sent, delivered, read, or error where it failed."),
        number("created_at", "When it was sent, in Unix seconds."),
        number("sec_created_at", "The same, mostly in milliseconds."),
    ),
    {
        "conversation_id": ("chat_id",),
        "message_id": ("id",),
        "direction": ("type",),
    },
    (
        number("account_id", "Kommo's number of the account.", required=True),
        number("talk_id", "The talk it belongs to, as far as is known."),
        moment("sent_at", "When it was sent, in UTC with milliseconds."),
    ),
)
"""One row per message of a channel that is not one's own."""


@dataclass(frozen=True, slots=True)
class TalkTimes:
    """A talk, and when it began.

    Attributes:
        talk_id: Kommo's number of it.
        began_ms: In milliseconds since 1970; 0 when that is not known.
    """

    talk_id: int
    began_ms: int


def read_talk_message(value: object, position: int) -> Row:
    """Read from a message of a talk what identifies and dates it, whatever its shape.

    Args:
        value: The message as decoded from JSON.
        position: Messages before it in the answers.
    """
    row = value if isinstance(value, dict) else {}
    return Row(
        position=position,
        value=value,
        message_id=message_id(row.get("id")),
        sent_ms=_sent_ms(row),
        content_hash=content_hash(value),
        is_as_known=False,
    )


def _sent_ms(row: dict[str, Any]) -> int | None:
    exact = instant(row.get("sec_created_at"), 1)
    if exact is not None and exact < MILLISECONDS_FROM:
        exact = instant(row.get("sec_created_at"), SECOND_MS)
    seconds = instant(row.get("created_at"), SECOND_MS)
    return exact if exact is not None and exact > 0 else seconds


def nearest_talk(sent_ms: int, read_from: int, talks: Iterable[TalkTimes]) -> int:
    """Say which talk a message belongs to that no event names.

    An answer may hold the messages of a talk, or of its whole chat: nobody knows. So it
    is the one of the chat's talks that began last before it. Where nobody told of any
    when it began, it is the one that was asked for.

    Args:
        sent_ms: When it was sent, in milliseconds since 1970.
        read_from: The talk whose messages were asked for.
        talks: The talks of its chat that are known.
    """
    latest_ms = sent_ms + BEFORE_ITS_TALK_MS
    before = [talk for talk in talks if talk.began_ms <= latest_ms]
    last = max(before, key=lambda talk: (talk.began_ms, talk.talk_id), default=None)
    if last is None or (not last.began_ms and TalkTimes(read_from, 0) in before):
        return read_from
    return last.talk_id


def chat_of(row: Row, chat_id: str | None) -> str:
    """Say which conversation a message is of.

    Args:
        row: A row without a flaw.
        chat_id: The conversation of its talk; None when the talk is not known.
    """
    own = row.value.get("chat_id")
    if isinstance(own, str) and not segment_flaw(own):
        return normal_id(own)
    return chat_id or ""


def to_record(row: Row, conversation_id: str, talk_id: int, account_id: int) -> Record:
    """Make a message's record.

    Args:
        row: A row without a flaw.
        conversation_id: Its conversation.
        talk_id: Its talk.
        account_id: Kommo's number of its account.
    """
    return {
        **TALK_MESSAGES.record(row.value, message_id=row.message_id),
        "account_id": account_id,
        "conversation_id": conversation_id,
        "talk_id": talk_id,
        "sent_at": None if row.sent_ms is None else format_instant(row.sent_ms),
    }
