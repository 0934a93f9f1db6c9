"""Which of the conversations that there are have to be read, and from when on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_kommo_chats.times import SECOND_MS

if TYPE_CHECKING:
    from tap_kommo_chats.records.conversations import Entry
    from tap_kommo_chats.state.bookmarks import Bookmarks


@dataclass(frozen=True, slots=True)
class ReadJob:
    """A conversation to read.

    Attributes:
        conversation_id: Kommo's id of it.
        since_ms: Messages sent before this are not wanted, in milliseconds since
            1970; None for all.
        expects_messages: Whether somebody knows of a message in it, so that none would
            be odd.
    """

    conversation_id: str
    since_ms: int | None
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
    """What a run reads. All times are in milliseconds.

    Attributes:
        start_ms: Messages sent before it are not wanted, since 1970; None for all.
        lookback_ms: How long before the last complete run messages are read again.
        hint_margin_ms: How long a source may be late to tell that something happened.
        hints_since_ms: What happened before, less that margin, was read; since 1970.
        from_beginning: Whether all is read as if nothing ever was.
    """

    start_ms: int | None
    lookback_ms: int
    hint_margin_ms: int
    hints_since_ms: int
    from_beginning: bool

    def job_for(self, entry: Entry, bookmarks: Bookmarks) -> ReadJob | None:
        """Say what to read of a conversation; None when nothing happened in it."""
        if _is_given_up(entry, bookmarks):
            return None
        id_ = entry.conversation_id
        expects = entry.has_messages or bookmarks.expects_messages(id_)
        if self.from_beginning:
            return ReadJob(id_, self.start_ms, expects)
        if self._has_nothing_new(entry, bookmarks):
            return None
        cutoff_ms = bookmarks.cutoff_ms(id_, self.lookback_ms)
        if cutoff_ms is None:
            return ReadJob(id_, self.start_ms, expects)
        return ReadJob(id_, max(cutoff_ms + 1, self.start_ms or 0), expects)

    def _has_nothing_new(self, entry: Entry, bookmarks: Bookmarks) -> bool:
        id_, activity_ms = entry.conversation_id, entry.last_activity_ms
        if activity_ms is None or bookmarks.is_owed(id_):
            return False
        activity_ms += self.hint_margin_ms
        if activity_ms < (self.start_ms or 0):
            # Nothing of it is wanted.
            return True
        if entry.has_messages and not bookmarks.read_until_ms(id_):
            # It had none when it was read.
            return False
        return activity_ms < self.hints_since_ms and bookmarks.is_covered(id_)


def _is_given_up(entry: Entry, bookmarks: Bookmarks) -> bool:
    """Tell whether a conversation was given up and nothing new happened since."""
    given_up_ms = bookmarks.given_up_ms(entry.conversation_id)
    if given_up_ms is None:
        return False
    # Whole seconds, because a source may have no milliseconds.
    return (entry.last_activity_ms or 0) // SECOND_MS < given_up_ms // SECOND_MS
