"""What a run knows of each conversation and each talk.

It stands in a temporary SQLite database of the process, which takes to the disk what
does not fit its small cache: memory stays flat however many there are. Nothing of it
outlives the run, and no message is in it.
"""

from __future__ import annotations

import sqlite3
import weakref
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from tap_kommo_chats.records.conversations import Entry, Outcome
from tap_kommo_chats.records.talks import Talk, read_talk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_kommo_chats.records.conversations import Conversation

_ROWS_AT_ONCE = 1000
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODER = msgspec.json.Decoder(float_hook=Decimal)

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
    error TEXT
);
CREATE TABLE talks (
    talk_id INTEGER PRIMARY KEY,
    chat_id TEXT,
    updated_ms INTEGER,
    talk BLOB
);
CREATE INDEX talks_of_chat ON talks (chat_id);
CREATE TABLE sightings (
    talk_id INTEGER PRIMARY KEY,
    seen_ms INTEGER NOT NULL
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
    json_extract(value, '$[4]')
FROM json_each(?)
"""
_NOTE_SIGHTINGS = """
INSERT INTO sightings
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]')
FROM json_each(?)
WHERE true
ON CONFLICT (talk_id) DO UPDATE SET seen_ms = max(seen_ms, excluded.seen_ms)
"""
_ENTRIES = """
SELECT
    number, conversation_id, sources, last_activity_ms, has_messages,
    outcome, newest_ms, read_ms, error
FROM conversations LEFT JOIN outcomes USING (conversation_id)
"""
_TALKS_SINCE = """
SELECT talk FROM talks LEFT JOIN sightings USING (talk_id)
WHERE talk IS NOT NULL
AND (?1 IS NULL OR coalesce(seen_ms, 0) >= ?1 OR coalesce(updated_ms, 0) >= ?1)
ORDER BY talk_id
"""


class Ledger:
    """The ledger of one run. One thread writes and reads it."""

    def __init__(self) -> None:
        """Start with nothing known."""
        self.size = 0
        # An empty name is a temporary database, deleted when it is closed.
        self._database = sqlite3.connect(
            "", isolation_level=None, check_same_thread=False
        )
        # Python complains of one that nobody closes. Its garbage may be collected in
        # any thread.
        weakref.finalize(self, self._database.close)
        self._noted: dict[str, tuple[Outcome, int | None, int | None, str | None]] = {}
        self._database.executescript(
            f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_TABLES}"
        )

    # Conversations

    def learn(self, conversation: Conversation) -> Entry:
        """Add what a source knows to what is known.

        Args:
            conversation: A conversation as one source knows it.

        Returns:
            What is known of it now.
        """
        id_ = conversation.conversation_id
        known = self.entry(id_)
        if known is None:
            self._database.execute(
                "INSERT INTO conversations (conversation_id, sources, last_activity_ms,"
                " has_messages) VALUES (?, ?, ?, ?)",
                (
                    id_,
                    conversation.source,
                    conversation.last_activity_ms,
                    conversation.has_messages,
                ),
            )
            self.size += 1
            return Entry(
                id_,
                (conversation.source,),
                conversation.last_activity_ms,
                has_messages=conversation.has_messages,
            )
        sources = known.sources
        if conversation.source not in sources:
            sources = (*sources, conversation.source)
        times = [
            moment
            for moment in (known.last_activity_ms, conversation.last_activity_ms)
            if moment is not None
        ]
        entry = replace(
            known,
            sources=sources,
            last_activity_ms=max(times, default=None),
            has_messages=known.has_messages or conversation.has_messages,
        )
        self._database.execute(
            "UPDATE conversations SET sources = ?, last_activity_ms = ?,"
            " has_messages = ? WHERE conversation_id = ?",
            (" ".join(sources), entry.last_activity_ms, entry.has_messages, id_),
        )
        return entry

    def entry(self, conversation_id: str) -> Entry | None:
        """Return what is known of a conversation; None when no source named it."""
        row = self._database.execute(
            f"{_ENTRIES} WHERE conversation_id = ?", (conversation_id,)
        ).fetchone()
        return None if row is None else self._entry(row)

    def note(
        self,
        conversation_id: str,
        outcome: Outcome,
        *,
        newest_ms: int | None = None,
        read_ms: int | None = None,
        error: str | None = None,
    ) -> None:
        """Note what became of a conversation; `Entry` says what the values mean."""
        self._noted[conversation_id] = (outcome, newest_ms, read_ms, error)
        if len(self._noted) >= _ROWS_AT_ONCE:
            self._write_noted()

    def _write_noted(self) -> None:
        noted = [(id_, *values) for id_, values in self._noted.items()]
        self._database.execute(_NOTE_ALL, (_ENCODER.encode(noted).decode(),))
        self._noted.clear()

    def _entry(self, row: tuple[Any, ...]) -> Entry:
        """Make an entry of a row, and of what was noted since it was written."""
        _, id_, sources, activity_ms, has_messages, *written = row
        outcome, newest_ms, read_ms, error = self._noted.get(id_, written)
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

    def conversation_ids(self) -> Iterator[str]:
        """Go through the ids of all conversations that a source named."""
        for (conversation_id,) in self._database.execute(
            "SELECT conversation_id FROM conversations"
        ):
            yield conversation_id

    def entries(self) -> Iterator[Entry]:
        """Go through all conversations, in the order in which they were named.

        What was learned or noted in the meantime is seen.
        """
        number = 0
        while True:
            self._write_noted()
            rows = self._database.execute(
                f"{_ENTRIES} WHERE number > ? ORDER BY number LIMIT ?",
                (number, _ROWS_AT_ONCE),
            ).fetchall()
            if not rows:
                return
            for row in rows:
                number = row[0]
                yield self._entry(row)

    # Talks

    def keep_talk(self, talk: Talk) -> None:
        """Keep a talk for the run, in place of what was known of it."""
        self._database.execute(
            "INSERT OR REPLACE INTO talks VALUES (?, ?, ?, ?)",
            (
                talk.talk_id,
                talk.chat_id,
                talk.updated_ms,
                _ENCODER.encode(talk.value),
            ),
        )

    def note_gone_talk(self, talk_id: int) -> None:
        """Note that the CRM knows a talk no more."""
        self._database.execute(
            "INSERT OR IGNORE INTO talks (talk_id) VALUES (?)", (talk_id,)
        )

    def was_asked_for(self, talk_id: int) -> bool:
        """Tell whether a talk is known in this run, be it gone or not."""
        found = self._database.execute(
            "SELECT 1 FROM talks WHERE talk_id = ?", (talk_id,)
        )
        return found.fetchone() is not None

    def talk(self, talk_id: int) -> Talk | None:
        """Return a talk that was kept; None when it is gone or not known."""
        found = self._database.execute(
            "SELECT talk FROM talks WHERE talk_id = ? AND talk IS NOT NULL", (talk_id,)
        )
        return next(_talks(found), None)

    def note_sightings(self, sightings: Iterable[tuple[int, int]]) -> None:
        """Note that something happened in talks.

        Args:
            sightings: The talk, and when it happened, in milliseconds since 1970.
        """
        written = _ENCODER.encode(list(sightings)).decode()
        self._database.execute(_NOTE_SIGHTINGS, (written,))

    def talks(self, since_ms: int | None = None) -> Iterator[Talk]:
        """Go through all talks that are not gone, by their ids.

        Args:
            since_ms: Only those in which something happened from then on, in
                milliseconds since 1970; None for all.
        """
        return _talks(self._database.execute(_TALKS_SINCE, (since_ms,)))

    def talks_of(self, conversation_id: str) -> Iterator[Talk]:
        """Go through the talks of a conversation, the one updated last at the end."""
        return _talks(
            self._database.execute(
                "SELECT talk FROM talks WHERE chat_id = ? ORDER BY updated_ms, talk_id",
                (conversation_id,),
            )
        )


def _talks(rows: Iterable[tuple[bytes]]) -> Iterator[Talk]:
    for (value,) in rows:
        talk = read_talk(_DECODER.decode(value))
        if talk is not None:
            yield talk
