"""What a run knows of each conversation, however many there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tap_kommo_chats.records.conversations import Entry, Outcome
from tap_kommo_chats.state.scratch import Scratch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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

# A source is added once, the later time counts, and what has messages goes on so.
_LEARN = """
INSERT INTO conversations (conversation_id, sources, last_activity_ms, has_messages)
VALUES (?, ?, ?, ?)
ON CONFLICT (conversation_id) DO UPDATE SET
    sources = CASE
        WHEN instr(' ' || sources || ' ', ' ' || excluded.sources || ' ')
        THEN sources
        ELSE sources || ' ' || excluded.sources
    END,
    last_activity_ms = max(
        coalesce(last_activity_ms, excluded.last_activity_ms),
        coalesce(excluded.last_activity_ms, last_activity_ms)
    ),
    has_messages = max(has_messages, excluded.has_messages)
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
    """The ledger of one run. One thread writes and reads it.

    Attributes:
        account_id: Kommo's number of their account, as a source knows it; None when
            none does. A run reads one account.
    """

    def __init__(self) -> None:
        """Start with nothing known."""
        self.account_id: int | None = None
        self._scratch = Scratch(_TABLES)
        self._noted: dict[str, Noted] = {}

    @property
    def size(self) -> int:
        """How many conversations are known."""
        row = self._scratch.first("SELECT max(number) FROM conversations")
        return (row[0] or 0) if row else 0

    def learn(self, conversation: Conversation) -> Entry:
        """Add what a source knows to what is known, and return that.

        Args:
            conversation: A conversation as one source knows it.
        """
        self.learn_all((conversation,))
        rows = self._scratch.rows(_ENTRY, (conversation.conversation_id,))
        return self._entry(next(rows))

    def learn_all(self, conversations: Sequence[Conversation]) -> None:
        """Add what a source knows of some conversations to what is known."""
        learned = [
            (
                each.conversation_id,
                each.source,
                each.last_activity_ms,
                each.has_messages,
            )
            for each in conversations
        ]
        for each in conversations:
            if each.account_id is not None:
                self.account_id = each.account_id
        self._scratch.do_many(_LEARN, learned)

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
