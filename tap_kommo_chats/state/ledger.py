"""What a run knows of each conversation and each talk.

It stands in a temporary SQLite database of the process, which takes to the disk what
does not fit its small cache: memory stays flat however many there are. Nothing of it
outlives the run, and no message is in it.
"""

from __future__ import annotations

import os
import sqlite3
import weakref
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from tap_kommo_chats.errors import RunError
from tap_kommo_chats.records.conversations import Entry, Outcome
from tap_kommo_chats.records.talks import Talk, read_talk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_kommo_chats.records.conversations import Conversation

_Row: TypeAlias = tuple[Any, ...]

_ROWS_AT_ONCE = 1000
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODER = msgspec.json.Decoder(float_hook=Decimal)

_TABLES = """
CREATE TABLE conversations (
    number INTEGER PRIMARY KEY,
    conversation_id TEXT NOT NULL UNIQUE,
    sources TEXT NOT NULL,
    last_activity_ms INTEGER
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

    # The database

    def _rows(self, statement: str, values: tuple[Any, ...] = ()) -> Iterator[_Row]:
        """Yield the rows of a statement, which is run when the first is asked for.

        Raises:
            RunError: If the database cannot take or give what it should.
        """
        try:
            yield from self._database.execute(statement, values)
        except sqlite3.Error as error:
            msg = (
                f"What the run knows cannot be kept in {_folder()} ({error}): make room"
                " there, let this user write there, or name another folder in TMPDIR"
            )
            raise RunError(msg) from None

    def _first(self, statement: str, values: tuple[Any, ...]) -> _Row | None:
        return next(self._rows(statement, values), None)

    def _do(self, statement: str, values: tuple[Any, ...]) -> None:
        for _ in self._rows(statement, values):
            pass

    # Conversations

    def learn(self, conversation: Conversation) -> Entry:
        """Add what a source knows to what is known.

        Args:
            conversation: A conversation as one source knows it.

        Returns:
            What is known of it now.
        """
        row = self._first(
            "SELECT sources, last_activity_ms, outcome FROM conversations"
            " LEFT JOIN outcomes USING (conversation_id) WHERE conversation_id = ?",
            (conversation.conversation_id,),
        )
        if row is None:
            entry = Entry(
                conversation.conversation_id,
                (conversation.source,),
                conversation.last_activity_ms,
            )
            self._do(
                "INSERT INTO conversations (conversation_id, sources, last_activity_ms)"
                " VALUES (?, ?, ?)",
                (entry.conversation_id, conversation.source, entry.last_activity_ms),
            )
            self.size += 1
            return entry
        sources = tuple(row[0].split())
        if conversation.source not in sources:
            sources = (*sources, conversation.source)
        times = [
            moment
            for moment in (row[1], conversation.last_activity_ms)
            if moment is not None
        ]
        entry = Entry(
            conversation.conversation_id,
            sources,
            max(times, default=None),
            self._outcome(conversation.conversation_id, row[2]),
        )
        self._do(
            "UPDATE conversations SET sources = ?, last_activity_ms = ?"
            " WHERE conversation_id = ?",
            (" ".join(sources), entry.last_activity_ms, entry.conversation_id),
        )
        return entry

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
        self._do(_NOTE_ALL, (_ENCODER.encode(noted).decode(),))
        self._noted.clear()

    def _outcome(self, conversation_id: str, written: str | None) -> Outcome | None:
        if conversation_id in self._noted:
            return self._noted[conversation_id][0]
        return None if written is None else Outcome(written)

    def conversation_ids(self) -> Iterator[str]:
        """Go through the ids of all conversations that a source named."""
        for (conversation_id,) in self._rows(
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
            found = self._rows(
                "SELECT number, conversation_id, sources, last_activity_ms, outcome,"
                " newest_ms, read_ms, error FROM conversations"
                " LEFT JOIN outcomes USING (conversation_id) WHERE number > ?"
                " ORDER BY number LIMIT ?",
                (number, _ROWS_AT_ONCE),
            )
            rows = list(found)
            if not rows:
                return
            for number, id_, sources, activity, outcome, newest, read, error in rows:  # noqa: B007 (the last one is where the next rows begin)
                yield Entry(
                    id_,
                    tuple(sources.split()),
                    activity,
                    self._outcome(id_, outcome),
                    newest,
                    read,
                    error,
                )

    # Talks

    def keep_talk(self, talk: Talk) -> None:
        """Keep a talk for the run, in place of what was known of it."""
        self._do(
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
        self._do("INSERT OR IGNORE INTO talks (talk_id) VALUES (?)", (talk_id,))

    def was_asked_for(self, talk_id: int) -> bool:
        """Tell whether a talk is known in this run, be it gone or not."""
        found = self._first("SELECT 1 FROM talks WHERE talk_id = ?", (talk_id,))
        return found is not None

    def talk(self, talk_id: int) -> Talk | None:
        """Return a talk that was kept; None when it is gone or not known."""
        found = self._rows(
            "SELECT talk FROM talks WHERE talk_id = ? AND talk IS NOT NULL", (talk_id,)
        )
        return next(_talks(found), None)

    def note_sightings(self, sightings: Iterable[tuple[int, int]]) -> None:
        """Note that something happened in talks.

        Args:
            sightings: The talk, and when it happened, in milliseconds since 1970.
        """
        written = _ENCODER.encode(list(sightings)).decode()
        self._do(_NOTE_SIGHTINGS, (written,))

    def talks(self, since_ms: int | None = None) -> Iterator[Talk]:
        """Go through all talks that are not gone, by their ids.

        Args:
            since_ms: Only those in which something happened from then on, in
                milliseconds since 1970; None for all.
        """
        return _talks(self._rows(_TALKS_SINCE, (since_ms,)))

    def talks_of(self, conversation_id: str) -> Iterator[Talk]:
        """Go through the talks of a conversation, the one updated last at the end."""
        return _talks(
            self._rows(
                "SELECT talk FROM talks WHERE chat_id = ? ORDER BY updated_ms, talk_id",
                (conversation_id,),
            )
        )


def _folder() -> str:
    """Name the folder that SQLite takes for what is temporary (it does not tell)."""
    named = (os.environ.get("SQLITE_TMPDIR"), os.environ.get("TMPDIR"))
    for folder in (*named, "/var/tmp", "/usr/tmp", "/tmp"):  # noqa: S108 (SQLite's)
        if folder and Path(folder).is_dir() and os.access(folder, os.W_OK | os.X_OK):
            return folder
    return "any folder for temporary files"


def _talks(rows: Iterable[_Row]) -> Iterator[Talk]:
    for (value,) in rows:
        talk = read_talk(_DECODER.decode(value))
        if talk is not None:
            yield talk
