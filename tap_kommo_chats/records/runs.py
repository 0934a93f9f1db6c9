"""One run, and the record it becomes: how fresh a warehouse is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

from tap_kommo_chats.times import format_instant

if TYPE_CHECKING:
    from tap_kommo_chats.records.messages import Record


def _text(name: str, description: str, *, required: bool = False) -> th.Property[str]:
    return th.Property(name, th.StringType, required=required, description=description)


def _count(name: str, description: str) -> th.Property[int]:
    return th.Property(name, th.IntegerType, description=description)


def _time(name: str, description: str, *, required: bool = False) -> th.Property[str]:
    return th.Property(
        name, th.DateTimeType, required=required, description=description
    )


SCHEMA: dict[str, Any] = th.PropertiesList(
    _text(
        "scope_id",
        "The channel and the account it read; the account's amojo_id alone where it "
        "read no channel of one's own.",
        required=True,
    ),
    _time(
        "run_started_at",
        "When it began. What was sent before it, and could be read, is in the "
        "warehouse.",
        required=True,
    ),
    _text(
        "shard",
        "Which part of the conversations it read, such as 2/8; 1/1 for all.",
        required=True,
    ),
    _time("run_ended_at", "When it had written all other rows."),
    _text("version", "The tap's."),
    _text(
        "outcome",
        "complete, or incomplete when something could not be read or delivered. A run "
        "that was stopped has no row.",
    ),
    _count("conversations_read", "Conversations that were read and have messages."),
    _count("conversations_empty", "Conversations that were read and have none."),
    _count("conversations_unchanged", "Conversations that were not asked for."),
    _count("conversations_failed", "Conversations that could not be read."),
    _count(
        "conversations_gone",
        "Conversations that had messages, and of which Kommo says that they have none.",
    ),
    _count(
        "conversations_given_up",
        "Conversations that Kommo refused for a week, and that are not asked for.",
    ),
    _count("messages", "Messages that were written: new, late or edited ones."),
    _count(
        "talk_messages",
        "Messages of native channels that were written. Null when none are read.",
    ),
    _count("requests", "Requests to the Chats API, each attempt counted."),
    _count("crm_requests", "The same to the CRM. Null without one."),
    _time("searched_until", "Up to when the CRM was searched. Null without one."),
).to_dict()
"""JSON schema of the `runs` stream."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """How a run went. Times are in milliseconds since 1970.

    Attributes:
        scope_id: The channel and the account it read, or the account alone.
        shard: Which part of the conversations, such as `2/8`.
        version: The tap's.
        started_ms: When it began.
        ended_ms: When it had written all other rows.
        is_complete: Whether everything could be read and delivered.
        counts: The numbers, by the names of their columns.
        searched_until_ms: Up to when the CRM was searched; None without one.
    """

    scope_id: str
    shard: str
    version: str
    started_ms: int
    ended_ms: int
    is_complete: bool
    counts: dict[str, int | None]
    searched_until_ms: int | None


def to_record(run: RunSummary) -> Record:
    """Make a run's record."""
    until_ms = run.searched_until_ms
    return {
        "scope_id": run.scope_id,
        "run_started_at": format_instant(run.started_ms),
        "shard": run.shard,
        "run_ended_at": format_instant(run.ended_ms),
        "version": run.version,
        "outcome": "complete" if run.is_complete else "incomplete",
        **run.counts,
        "searched_until": None if until_ms is None else format_instant(until_ms),
    }
