"""Which of the conversations that there are have to be read, and from when on. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_kommo_chats.records.conversations import STATE
from tap_kommo_chats.state.known import margin_ms
from tap_kommo_chats.times import DAY_MS

if TYPE_CHECKING:
    from tap_kommo_chats.records.conversations import Entry
    from tap_kommo_chats.state.bookmarks import Bookmarks
    from tap_kommo_chats.state.known import Known


@dataclass(frozen=True, slots=True)
class ReadJob:
    """A conversation to read.

    Attributes:
        conversation_id: Kommo's id of it.
        since_ms: Messages sent before this are not wanted, in milliseconds since
            1970; None for all.
        known: What is known of it; None when it is read as if it never was.
        activity_ms: When something last happened in it, the latest time that a source
            gave, in milliseconds since 1970; None when none did.
        expects_messages: Whether somebody knows of a message in it, so that none would
            be odd.
    """

    conversation_id: str
    since_ms: int | None
    known: Known | None = None
    activity_ms: int | None = None
    expects_messages: bool = False

    def wants(self, sent_ms: int | None) -> bool:
        """Tell whether a message is wanted that was sent at some time."""
        return (
            self.since_ms is None
            or sent_ms is None
            or sent_ms >= self.since_ms
            # A broken clock's, so nothing tells whether it is new.
            or sent_ms <= 0
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run reads. All times are in milliseconds, those of moments since 1970.

    Attributes:
        started_ms: When the run began.
        start_ms: Messages sent before it are not wanted; None for all.
        lookback_ms: How long before a reading a message may have been sent and still
            be late or edited.
        has_crm: Whether a CRM is searched.
        from_beginning: Whether all is read as if nothing ever was.
    """

    started_ms: int
    start_ms: int | None
    lookback_ms: int
    has_crm: bool
    from_beginning: bool

    def job_for(self, entry: Entry, bookmarks: Bookmarks) -> ReadJob | None:
        """Say what to read of a conversation; None when that is nothing."""
        id_ = entry.conversation_id
        if bookmarks.is_owed(id_) or self._is_wanted(entry, bookmarks):
            return self.job(entry, bookmarks)
        return None

    def job(self, entry: Entry, bookmarks: Bookmarks) -> ReadJob:
        """Say what to read of a conversation, whether or not anything is new in it."""
        id_, activity_ms = entry.conversation_id, self._activity_ms(entry)
        known = self._known(id_, bookmarks)
        since_ms = self.start_ms
        if known is not None:
            since_ms = max(known.cutoff_ms(self.lookback_ms) + 1, self.start_ms or 0)
        expects = entry.has_messages or bookmarks.expects_messages(id_)
        return ReadJob(id_, since_ms, known, activity_ms, expects)

    def _known(self, conversation_id: str, bookmarks: Bookmarks) -> Known | None:
        return None if self.from_beginning else bookmarks.known(conversation_id)

    def _activity_ms(self, entry: Entry) -> int | None:
        """Tell when something last happened; None when no source tells."""
        activity_ms = entry.last_activity_ms
        # A time that is still to come tells nothing, but for the end of a day.
        if activity_ms is None or activity_ms > self.started_ms + DAY_MS:
            return None
        return activity_ms

    def _is_wanted(self, entry: Entry, bookmarks: Bookmarks) -> bool:
        id_, activity_ms = entry.conversation_id, self._activity_ms(entry)
        known = self._known(id_, bookmarks)
        if activity_ms is not None and (
            activity_ms + margin_ms(self.lookback_ms) < (self.start_ms or 0)
        ):
            # Nothing of it is wanted.
            return False
        settled_after_ms = bookmarks.settled_after_ms(id_)
        is_given_up = bookmarks.troubles.given_up_ms(id_) is not None
        if settled_after_ms is not None and (is_given_up or not self.from_beginning):
            if activity_ms is not None:
                return activity_ms > settled_after_ms
            if is_given_up:
                return False
        if known is None or (
            activity_ms is None and not self._is_watched(entry, known)
        ):
            return True
        if settled_after_ms is None and known.is_due(self.started_ms, self.lookback_ms):
            return True
        return activity_ms is not None and (
            known.has_news(activity_ms, self.lookback_ms)
            # It had none when it was read.
            or (entry.has_messages and known.newest_ms == 0)
        )

    def _is_watched(self, entry: Entry, known: Known) -> bool:
        """Tell whether a source would tell if something happened in a conversation.

        The CRM does of those that it has shown before. Those that only the state names
        are there for a visit.
        """
        return entry.sources == (STATE,) or (self.has_crm and known.is_in_crm)
