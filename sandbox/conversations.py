"""The conversations the sandbox serves, in memory."""

from __future__ import annotations

import threading
from bisect import bisect_right
from typing import Any

Row = dict[str, Any]
"""One message exactly as the API serves it."""


class ConversationStore:
    """Rows by conversation, newest first. Safe to use from several threads.

    A row handed in is kept as it is and is never changed: an edit puts a new
    row in its place. So a page that was taken stays what it was.
    """

    def __init__(self) -> None:
        """Start with no conversation."""
        self._lock = threading.Lock()
        # Oldest first, so that adding the next message is an append.
        self._oldest_first: dict[str, list[Row]] = {}

    def add_conversation(self, conversation_id: str) -> None:
        """Make a conversation known, with no message if it is new."""
        with self._lock:
            self._oldest_first.setdefault(conversation_id, [])

    def add(self, conversation_id: str, row: Row) -> None:
        """Add a message at the place its time gives it.

        Of messages with the same time, the one added later counts as newer.

        Args:
            conversation_id: The conversation; a new one is made known.
            row: The message. Do not change it afterwards.
        """
        with self._lock:
            rows = self._oldest_first.setdefault(conversation_id, [])
            rows.insert(bisect_right(rows, _milliseconds(row), key=_milliseconds), row)

    def edit(self, conversation_id: str, message_id: str, /, **changes: object) -> None:
        """Change fields of ``message`` and leave the row at its place.

        Args:
            conversation_id: The conversation.
            message_id: The message's id in Kommo.
            **changes: The new values by field of ``message``.

        Raises:
            KeyError: There is no such message.
        """
        with self._lock:
            rows, index = self._find(conversation_id, message_id)
            row = rows[index]
            rows[index] = {**row, "message": {**row["message"], **changes}}

    def remove(self, conversation_id: str, message_id: str) -> None:
        """Remove a message. Its conversation stays known, even without messages.

        Raises:
            KeyError: There is no such message.
        """
        with self._lock:
            rows, index = self._find(conversation_id, message_id)
            del rows[index]

    def page(self, conversation_id: str, offset: int, limit: int) -> list[Row]:
        """Take one page, newest first.

        Args:
            conversation_id: The conversation; an unknown one has no rows.
            offset: Rows to skip, counted from the newest.
            limit: The most rows to return.
        """
        with self._lock:
            rows = self._oldest_first.get(conversation_id, [])
            end = max(0, len(rows) - offset)
            page = rows[max(0, end - limit) : end]
        page.reverse()
        return page

    def rows(self, conversation_id: str) -> list[Row]:
        """Return all rows of a conversation, newest first; none if it is unknown."""
        with self._lock:
            return self._oldest_first.get(conversation_id, [])[::-1]

    def size(self, conversation_id: str) -> int:
        """Count the messages of a conversation; 0 if it is unknown."""
        with self._lock:
            return len(self._oldest_first.get(conversation_id, []))

    def conversation_ids(self) -> list[str]:
        """Return the ids of all known conversations, in the order they came."""
        with self._lock:
            return list(self._oldest_first)

    def message_ids(self, conversation_id: str) -> list[str]:
        """Return the ids of a conversation's messages, newest first."""
        return [row["message"]["id"] for row in self.rows(conversation_id)]

    def _find(self, conversation_id: str, message_id: str) -> tuple[list[Row], int]:
        rows = self._oldest_first.get(conversation_id, [])
        for index, row in enumerate(rows):
            if row["message"]["id"] == message_id:
                return rows, index
        raise KeyError(message_id)


def _milliseconds(row: Row) -> int:
    # Older rows carry seconds only.
    milliseconds: int = row.get("msec_timestamp", row["timestamp"] * 1000)
    return milliseconds
