"""What a run knows of each conversation, however many there are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tap_kommo_chats.records.conversations import Entry, Outcome
from tap_kommo_chats.state.scratch import Scratch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_kommo_chats.records.conversations import Conversation

_ROWS_AT_ONCE = 1000
_ENCODER = msgspec.json.Encoder()

_TABLES = """
CREATE TABLE conversations (
    number INTEGER PRIMARY KEY,
    conversation_id TEXT NOT NULL UNIQUE,
    sources TEXT NOT NULL,
    last_activity_ms INTEGER,
    has_messages INTEGER NOT NULL
);
CREATE TABLE outcomes (
    conversation_id TEXT PRIMARY KEY,
    outcome TEXT NOT NULL,
    newest_ms INTEGER,
    read_ms INTEGER,
    error TEXT,
    is_told INTEGER
);
"""

# All in one statement: Python hands the turn to another thread with each, and while
# others read, it takes longer to get it back than the statement takes.
_NOTE_ALL = """
INSERT OR REPLACE INTO outcomes
SELECT
    json_extract(value, '$[0]'),
    json_extract(value, '$[1]'),
    json_extract(value, '$[2]'),
    json_extract(value, '$[3]'),
    json_extract(value, '$[4]'),
    json_extract(value, '$[5]')
FROM json_each(?)
"""
_COLUMNS = """
SELECT
    number, conversation_id, sources, last_activity_ms, has_messages,
    outcome, newest_ms, read_ms, error
FROM conversations LEFT JOIN outcomes USING (conversation_id)
"""
_ENTRY = f"{_COLUMNS} WHERE conversation_id = ?"
_ENTRIES = f"{_COLUMNS} WHERE number > ? ORDER BY number LIMIT ?"
_TOLD_ENTRIES = (
    f"{_COLUMNS} WHERE number > ? AND (outcome IS NULL OR is_told)"
    " ORDER BY number LIMIT ?"
)


class Noted(NamedTuple):
    """What became of a conversation; `Entry` says what the values mean.

    Attributes:
        outcome: See there, as for the next ones.
        newest_ms: See there.
        read_ms: See there.
        error: See there.
        is_told: Whether there is something in it that no earlier run has told.
    """

    outcome: Outcome
    newest_ms: int | None = None
    read_ms: int | None = None
    error: str | None = None
    is_told: bool = True


class Ledger:
    """The ledger of one run. One thread writes and reads it."""

    def __init__(self) -> None:
        """Start with nothing known."""
        self.size = 0
        self._scratch = Scratch(_TABLES)
        self._noted: dict[str, Noted] = {}

    def learn(self, conversation: Conversation) -> Entry:
        """Add what a source knows to what is known.

        Args:
            conversation: A conversation as one source knows it.

        Returns:
            What is known of it now.
        """
        new = Entry(
            conversation.conversation_id,
            (conversation.source,),
            conversation.last_activity_ms,
            has_messages=conversation.has_messages,
        )
        added = self._scratch.do(
            "INSERT OR IGNORE INTO conversations"
            " (conversation_id, sources, last_activity_ms, has_messages)"
            " VALUES (?, ?, ?, ?)",
            (
                new.conversation_id,
                conversation.source,
                new.last_activity_ms,
                new.has_messages,
            ),
        )
        known = None if added else self.entry(new.conversation_id)
        if known is None:
            self.size += 1
            return new
        times = [
            moment
            for moment in (known.last_activity_ms, new.last_activity_ms)
            if moment is not None
        ]
        entry = replace(
            known,
            sources=tuple(dict.fromkeys((*known.sources, conversation.source))),
            last_activity_ms=max(times, default=None),
            has_messages=known.has_messages or new.has_messages,
        )
        self._scratch.do(
            "UPDATE conversations SET sources = ?, last_activity_ms = ?,"
            " has_messages = ? WHERE conversation_id = ?",
            (
                " ".join(entry.sources),
                entry.last_activity_ms,
                entry.has_messages,
                entry.conversation_id,
            ),
        )
        return entry

    def entry(self, conversation_id: str) -> Entry | None:
        """Return what is known of a conversation; None when no source named it."""
        row = self._scratch.first(_ENTRY, (conversation_id,))
        return None if row is None else self._entry(row)

    def note(self, conversation_id: str, noted: Noted) -> None:
        """Note what became of a conversation."""
        self._noted[conversation_id] = noted
        if len(self._noted) >= _ROWS_AT_ONCE:
            self._write_noted()

    def _write_noted(self) -> None:
        noted = [(id_, *values) for id_, values in self._noted.items()]
        self._scratch.do(_NOTE_ALL, (_ENCODER.encode(noted).decode(),))
        self._noted.clear()

    def _entry(self, row: tuple[Any, ...]) -> Entry:
        """Make an entry of a row, and of what was noted since it was written."""
        _, id_, sources, activity_ms, has_messages, *written = row
        noted = self._noted.get(id_)
        outcome, newest_ms, read_ms, error = written if noted is None else noted[:4]
        return Entry(
            id_,
            tuple(sources.split()),
            activity_ms,
            None if outcome is None else Outcome(outcome),
            newest_ms,
            read_ms,
            error,
            bool(has_messages),
        )

    def entries(self, *, only_told: bool = False) -> Iterator[Entry]:
        """Go through all conversations, in the order in which they were named.

        What was learned or noted in the meantime is seen.

        Args:
            only_told: Whether to leave out those of which there is nothing to tell.
        """
        query = _TOLD_ENTRIES if only_told else _ENTRIES
        number = 0
        while True:
            self._write_noted()
            rows = list(self._scratch.rows(query, (number, _ROWS_AT_ONCE)))
            if not rows:
                return
            for row in rows:
                number = row[0]
                yield self._entry(row)
