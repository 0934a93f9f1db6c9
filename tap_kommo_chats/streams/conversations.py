"""The streams that tell of conversations: what a run knows of each, and their talks.

They write down what the reading of messages met, and so come after it.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import typing as th

from tap_kommo_chats.errors import StopRequestedError
from tap_kommo_chats.records import talks
from tap_kommo_chats.records.messages import format_instant
from tap_kommo_chats.sources import CRM
from tap_kommo_chats.state.bookmarks import Bookmarks
from tap_kommo_chats.state.ledger import Outcome
from tap_kommo_chats.streams.plain import PlainStream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from singer_sdk.helpers.types import Context

    from tap_kommo_chats.records.messages import Record
    from tap_kommo_chats.state.ledger import Entry
    from tap_kommo_chats.tap import TapKommoChats

_SCHEMA: dict[str, Any] = th.PropertiesList(
    th.Property(
        "conversation_id",
        th.StringType,
        required=True,
        description="Kommo's UUID of the conversation.",
    ),
    th.Property(
        "scope_id",
        th.StringType,
        required=True,
        description="The channel and the account it was read from.",
    ),
    th.Property(
        "run_started_at",
        th.DateTimeType,
        required=True,
        description="When the run began that tells this.",
    ),
    th.Property(
        "sources",
        th.ArrayType(th.StringType),
        required=True,
        description="Where the run knows it from: config, file, sql, crm, or state "
        "when an earlier run found it and could not read it.",
    ),
    th.Property(
        "outcome",
        th.StringType,
        description="read, empty (it has no message), unchanged (nothing happened in "
        "it, so it was not asked for), or failed. Null when chat_history is not "
        "selected.",
    ),
    th.Property(
        "error",
        th.StringType,
        description="Why it failed, and what to do.",
    ),
    th.Property(
        "last_activity_at",
        th.DateTimeType,
        description="When something last happened in it, as far as a source knows.",
    ),
    th.Property(
        "newest_message_at",
        th.DateTimeType,
        description="When the newest message was sent that was read of it.",
    ),
    th.Property(
        "last_read_at",
        th.DateTimeType,
        description="When this run read it. Null when it did not.",
    ),
    th.Property(
        "talk_ids",
        th.ArrayType(th.IntegerType),
        description="Its talks, as far as the run saw them in the CRM.",
    ),
    th.Property(
        "contact_id",
        th.IntegerType,
        description="The contact of the talk that was updated last.",
    ),
    th.Property(
        "entity_type",
        th.StringType,
        description="What that talk belongs to, such as lead or customer.",
    ),
    th.Property("entity_id", th.IntegerType, description="Its number."),
    th.Property("origin", th.StringType, description="The channel of that talk."),
).to_dict()


# One that was asked for and never ended has no outcome.
_OUTCOMES: dict[Outcome | None, str] = {
    outcome: outcome.value for outcome in Outcome if outcome is not Outcome.ASKED
}


class _TellingStream(PlainStream):
    """A stream that tells of what the reading of messages met.

    It keeps no bookmark of its own.
    """

    def __init__(self, tap: TapKommoChats) -> None:
        """Make the stream.

        Args:
            tap: The tap it belongs to.
        """
        super().__init__(tap=tap)
        self.kommo_tap = tap

    def get_records(self, context: Context | None) -> Iterable[Record]:  # noqa: ARG002 (there are no partitions)
        """Tell what the run met.

        Args:
            context: Not used.

        Yields:
            The records.

        Raises:
            RunError: If a source of conversations cannot be used.
            SystemExit: If a signal asked to stop; its code is the signal's.
        """
        tap = self.kommo_tap
        self._survey()
        for record in self._told():
            tap.chat_history.stop_if_asked()
            yield record
        # Only now, so that a run that is cut short meets the same again.
        if tap.last_selected is self:
            tap.chat_history.complete_discovery()
            tap.state_writer.write_state(self.tap_state)

    @abstractmethod
    def _told(self) -> Iterable[Record]:
        """Go through the stream's records."""

    def _survey(self) -> None:
        """Go through the sources, if the messages are not selected and so did not."""
        tap = self.kommo_tap
        if not tap.was_surveyed:
            bookmarks = Bookmarks(tap.chat_history.stream_state)
            try:
                for _ in tap.survey(bookmarks, from_beginning=False):
                    pass
            except StopRequestedError:
                tap.chat_history.stop_if_asked()


class ConversationsStream(_TellingStream):
    """What the run knows of each conversation, one record each."""

    name = "conversations"
    primary_keys = ("conversation_id",)
    schema: ClassVar[dict[str, Any]] = _SCHEMA

    def _told(self) -> Iterable[Record]:
        for entry in self.kommo_tap.ledger.entries():
            known = list(self.kommo_tap.ledger.talks_of(entry.conversation_id))
            # With a CRM, a row without its talks would overwrite one that has them
            # and tell nothing new.
            says_less = (
                self.kommo_tap.settings.crm is not None
                and entry.outcome is Outcome.UNCHANGED
                and CRM not in entry.sources
            )
            if not says_less:
                yield self._to_record(entry, known)

    def _to_record(self, entry: Entry, known: list[talks.Talk]) -> Record:
        latest = known[-1].value if known else {}
        return {
            "conversation_id": entry.conversation_id,
            "scope_id": self.kommo_tap.settings.scope_id,
            "run_started_at": format_instant(self.kommo_tap.initialized_at),
            "sources": list(entry.sources),
            "outcome": _OUTCOMES.get(entry.outcome),
            "error": entry.error,
            "last_activity_at": _moment(entry.last_activity_ms),
            "newest_message_at": _moment(entry.newest_ms),
            "last_read_at": _moment(entry.read_ms),
            "talk_ids": sorted(talk.talk_id for talk in known) or None,
            "contact_id": talks.read_id(latest.get("contact_id")),
            "entity_type": _text(latest.get("entity_type")),
            "entity_id": talks.read_id(latest.get("entity_id")),
            "origin": _text(latest.get("origin")),
        }


class TalksStream(_TellingStream):
    """The talks that the run saw in the CRM, one record each."""

    name = "talks"
    primary_keys = ("scope_id", "talk_id")
    replication_key = "updated_at"
    schema: ClassVar[dict[str, Any]] = talks.SCHEMA

    def _told(self) -> Iterable[Record]:
        settings = self.kommo_tap.settings
        for talk in self.kommo_tap.ledger.talks():
            if settings.shard.holds(talk.chat_id or ""):
                yield talks.to_record(talk, settings.scope_id)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _moment(milliseconds: int | None) -> str | None:
    return format_instant(milliseconds) if milliseconds else None
