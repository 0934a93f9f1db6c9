"""What a run knows of each conversation, however many there are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from tap_kommo_chats.records.conversations import Entry, Outcome
from tap_kommo_chats.state.scratch import open_scratch

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
    error TEXT
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

_ENTRIES = """
SELECT
    number, conversation_id, sources, last_activity_ms, has_messages,
    outcome, newest_ms, read_ms, error
FROM conversations LEFT JOIN outcomes USING (conversation_id)
"""


class Ledger:
    """The ledger of one run. One thread writes and reads it."""

    def __init__(self) -> None:
        """Start with nothing known."""
        self.size = 0
        self._database = open_scratch(self, _TABLES)
        self._noted: dict[str, tuple[Outcome, int | None, int | None, str | None]] = {}

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
