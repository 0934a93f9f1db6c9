"""A conversation as a source and as the run knows it, and the record it becomes.

The record has what one run knows whole. Of the CRM's talks a run sees some, so they are
left to a stream of their own, `talks`: their `chat_id` is the `conversation_id` here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

from tap_kommo_chats.times import format_instant

if TYPE_CHECKING:
    from tap_kommo_chats.records.messages import Record
    from tap_kommo_chats.records.talks import Talk

CONFIG = "config"
FILE = "file"
SQL = "sql"
CRM = "crm"
TALK = "talk"
"""The source of a talk that is read as a conversation is; its id is its number."""
STATE = "state"
"""The source of a conversation that is known from earlier runs only."""


def _text(name: str, description: str) -> th.Property[str]:
    return th.Property(name, th.StringType, description=description)


def _time(name: str, description: str, *, required: bool = False) -> th.Property[str]:
    return th.Property(
        name, th.DateTimeType, required=required, description=description
    )


SCHEMA: dict[str, Any] = th.PropertiesList(
    th.Property(
        "conversation_id",
        th.StringType,
        required=True,
        description="Kommo's UUID of the conversation.",
    ),
    th.Property(
        "scope_id",
        th.StringType,
        description="The channel and the account it was read from. Null for a chat of "
        "another channel.",
    ),
    th.Property(
        "account_id",
        th.IntegerType,
        description="Kommo's number of the account. Null without the CRM, unless a "
        "list tells it.",
    ),
    _time("run_started_at", "When the run began that tells this.", required=True),
    th.Property(
        "sources",
        th.ArrayType(th.StringType),
        required=True,
        description="Where the run knows it from: config, file, sql, crm, or state "
        "when only earlier runs found it, mostly because they could not read it.",
    ),
    _text(
        "outcome",
        "read, empty (it has no message), unchanged (nothing happened in it, so it was "
        "not asked for), failed, gone (it had messages, and two runs found none), or "
        "given_up (Kommo refused it for a week, so it is not asked for any more). Null "
        "when chat_history is not selected.",
    ),
    _text("error", "Why it failed or was given up, and what to do."),
    _time(
        "last_activity_at",
        "When something last happened in it, as far as a source knows; where none "
        "does, when its newest message was sent.",
    ),
    _time(
        "newest_message_at",
        "When the newest message was sent that was read of it.",
    ),
    _time("last_read_at", "When this run read it. Null when it did not."),
).to_dict()
"""JSON schema of the `conversations` stream."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation, as one source knows it.

    Attributes:
        conversation_id: Kommo's id of it, fit to stand in a request's path.
        source: Where it came from, one of the names above.
        last_activity_ms: When something last happened in it, in milliseconds since
            1970; None when the source does not know. A time too late costs a request,
            one too early costs messages.
        has_messages: Whether the source knows of a message in it.
        account_id: Kommo's number of its account; None when the source does not know.
        talk: The talk of it that a list names; None when it names none.
    """

    conversation_id: str
    source: str
    last_activity_ms: int | None = None
    has_messages: bool = False
    account_id: int | None = None
    talk: Talk | None = None


class Outcome(str, Enum):
    """What became of a conversation in a run."""

    ASKED = "asked"
    READ = "read"
    EMPTY = "empty"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    GONE = "gone"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Entry:
    """A conversation, as the run knows it.

    Attributes:
        conversation_id: Kommo's id of it.
        sources: The names of the sources that named it.
        last_activity_ms: When something last happened in it, the latest time that a
            source gave, in milliseconds since 1970; None when none did.
        outcome: What became of it so far; None before that was decided.
        newest_ms: The time of its newest message, in milliseconds since 1970; None
            when it has none, or none with a time, or that is not known.
        read_ms: When this run read it, in milliseconds since 1970; None if it did not.
        error: Why it could not be read; None when it could.
        has_messages: Whether a source knows of a message in it.
    """

    conversation_id: str
    sources: tuple[str, ...]
    last_activity_ms: int | None
    outcome: Outcome | None = None
    newest_ms: int | None = None
    read_ms: int | None = None
    error: str | None = None
    has_messages: bool = False


# One that was asked for and never ended has no outcome.
_OUTCOMES: dict[Outcome | None, str] = {
    outcome: outcome.value for outcome in Outcome if outcome is not Outcome.ASKED
}


def to_record(
    entry: Entry, scope_id: str | None, account_id: int | None, started_ms: int
) -> Record:
    """Make a conversation's record.

    Args:
        entry: What the run knows of it.
        scope_id: The scope the run reads; None for a chat of another channel.
        account_id: Kommo's number of its account; None when it is not known.
        started_ms: When the run began, in milliseconds since 1970.
    """
    activity_ms = entry.last_activity_ms
    return {
        "conversation_id": entry.conversation_id,
        "scope_id": scope_id,
        "account_id": account_id,
        "run_started_at": format_instant(started_ms),
        "sources": list(entry.sources),
        "outcome": _OUTCOMES.get(entry.outcome),
        "error": entry.error,
        "last_activity_at": _moment(
            entry.newest_ms if activity_ms is None else activity_ms
        ),
        "newest_message_at": _moment(entry.newest_ms),
        "last_read_at": _moment(entry.read_ms),
    }


def _moment(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else format_instant(milliseconds)
