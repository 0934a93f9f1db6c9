"""Which chat events a run met."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from tap_kommo_chats.integers import INT64
from tap_kommo_chats.state.scratch import Scratch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODER = msgspec.json.Decoder(float_hook=Decimal)

_TABLES = """
CREATE TABLE events (
    event_id TEXT PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    talk_id INTEGER,
    event TEXT NOT NULL
);
CREATE TABLE messages (
    message_id TEXT PRIMARY KEY,
    talk_id INTEGER NOT NULL
) WITHOUT ROWID;
"""
# All in one statement: Python hands the turn to another thread with each, and while
# others read, it takes longer to get it back than the statement takes.
_KEEP = """
INSERT OR IGNORE INTO events
SELECT
    json_extract(value, '$[0]'),
    json_extract(value, '$[1]'),
    json_extract(value, '$[2]'),
    json_extract(value, '$[3]')
FROM json_each(?)
"""
_NOTE_MESSAGES = """
INSERT OR REPLACE INTO messages
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)
"""


class SeenEvents:
    """The chat events of one run. One thread writes and reads them."""

    def __init__(self) -> None:
        """Start with none."""
        self._scratch = Scratch(_TABLES)

    def keep(
        self, events: Iterable[tuple[str, int, int | None, dict[str, Any]]]
    ) -> None:
        """Keep events for the run, each once.

        Args:
            events: The id of each; when it happened, in milliseconds since 1970; the
                talk that it names; and the event as the CRM gave it.
        """
        rows = [(*known, _ENCODER.encode(value).decode()) for *known, value in events]
        self._scratch.do(_KEEP, (_ENCODER.encode(rows).decode(),))

    def note_messages(self, talks: Iterable[tuple[str, int]]) -> None:
        """Note which talk an event named for a message.

        Args:
            talks: The message's id, and the talk's number.
        """
        self._scratch.do(_NOTE_MESSAGES, (_ENCODER.encode(list(talks)).decode(),))

    def talk_of(self, message_id: str) -> int | None:
        """Return the talk of a message; None when no event named it."""
        found = self._scratch.first(
            "SELECT talk_id FROM messages WHERE message_id = ?", (message_id,)
        )
        return None if found is None else int(found[0])

    def all(
        self, since_ms: int | None = None
    ) -> Iterator[tuple[str, int | None, dict[str, Any]]]:
        """Go through all events, the oldest first: id, talk and what the CRM gave.

        Args:
            since_ms: Only those that happened from then on, in milliseconds since 1970;
                None for all.
        """
        rows = self._scratch.rows(
            "SELECT event_id, talk_id, event FROM events"
            " WHERE at_ms >= ? ORDER BY at_ms, event_id",
            (INT64.start if since_ms is None else since_ms,),
        )
        for event_id, talk_id, event in rows:
            yield event_id, talk_id, _DECODER.decode(event)
