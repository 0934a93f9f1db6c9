"""The conversations the sandbox serves, in memory."""

from __future__ import annotations

import threading
from bisect import bisect_right
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Row = dict[str, Any]
"""One message exactly as the API serves it."""

# Before the first message that arrives in an empty conversation: 3 January 2024.
_BEFORE_ANY = 1_704_240_000_000


class ConversationStore:
    """Rows by conversation, newest first. Safe to use from several threads.

    A row handed in is kept as it is and is never changed: an edit puts a new
    row in its place. So a page that was taken stays what it was.

    Attributes:
        on_add: Called, in the thread that adds it, with the conversation of each
            message that was added. Raw rows are no such messages.
    """

    def __init__(self) -> None:
        """Start with no conversation."""
        self.on_add: list[Callable[[str], None]] = []
        self._lock = threading.Lock()
        # Oldest first, so that adding the next message is an append. Any, because
        # raw rows may be anything.
        self._oldest_first: dict[str, list[Any]] = {}
        self._raw: set[str] = set()
        # The newest time a conversation ever had, by conversation.
        self._latest: dict[str, int] = {}

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

        Raises:
            ValueError: The conversation holds raw rows.
        """
        with self._lock:
            self._refuse_raw(conversation_id)
            self._insert(conversation_id, row)
        self._tell(conversation_id)

    def add_newest(self, conversation_id: str, row: Row) -> bool:
        """Add a message one second after the newest the conversation ever had.

        Removed messages count too: what arrives later is newer, whatever is left.

        Args:
            conversation_id: The conversation.
            row: The message without its times.

        Returns:
            Whether it was added. It is not if the conversation is unknown or raw.
        """
        with self._lock:
            if (
                conversation_id not in self._oldest_first
                or conversation_id in self._raw
            ):
                return False
            at = self._latest.get(conversation_id, _BEFORE_ANY) + 1000
            times = {"timestamp": at // 1000, "msec_timestamp": at}
            self._insert(conversation_id, {**times, **row})
        self._tell(conversation_id)
        return True

    def put_raw(self, conversation_id: str, rows: list[object]) -> None:
        """Replace a conversation's rows by anything JSON can write.

        They are served in the order given, which counts as newest first. Messages of
        such a conversation cannot be added, edited or removed by their ids.

        Args:
            conversation_id: The conversation; a new one is made known.
            rows: The rows. What they hold is not looked at.
        """
        with self._lock:
            self._oldest_first[conversation_id] = rows[::-1]
            self._raw.add(conversation_id)

    def edit(self, conversation_id: str, message_id: str, /, **changes: object) -> None:
        """Change fields of ``message`` and leave the row at its place.

        Args:
            conversation_id: The conversation.
            message_id: The message's id in Kommo.
            **changes: The new values by field of ``message``.

        Raises:
            KeyError: There is no such message.
            ValueError: The conversation holds raw rows.
        """
        with self._lock:
            rows, index = self._find(conversation_id, message_id)
            row = rows[index]
            rows[index] = {**row, "message": {**row["message"], **changes}}

    def remove(self, conversation_id: str, message_id: str) -> None:
        """Remove a message. Its conversation stays known, even without messages.

        Raises:
            KeyError: There is no such message.
            ValueError: The conversation holds raw rows.
        """
        with self._lock:
            rows, index = self._find(conversation_id, message_id)
            del rows[index]

    def remove_at(self, conversation_id: str, place: float) -> bool:
        """Remove the message at a place.

        Args:
            conversation_id: The conversation.
            place: From 0 (the newest) up to, but not including, 1 (past the oldest).

        Returns:
            Whether there was a message to remove.
        """
        with self._lock:
            rows = self._oldest_first.get(conversation_id)
            if not rows:
                return False
            del rows[len(rows) - 1 - int(place * len(rows))]
            return True

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

    def newest_at(self, conversation_id: str) -> int | None:
        """Return the time of the newest message there is, in Unix seconds.

        Returns:
            The time; None if the conversation is unknown, empty or raw.
        """
        with self._lock:
            rows = self._oldest_first.get(conversation_id)
            if not rows or conversation_id in self._raw:
                return None
            return _milliseconds(rows[-1]) // 1000

    def conversation_ids(self) -> list[str]:
        """Return the ids of all known conversations, in the order they came."""
        with self._lock:
            return list(self._oldest_first)

    def message_ids(self, conversation_id: str) -> list[str]:
        """Return the ids of a conversation's messages, newest first."""
        return [row["message"]["id"] for row in self.rows(conversation_id)]

    def _tell(self, conversation_id: str) -> None:
        # Not under the lock: who is told may read the store. A copy, because they
        # may also leave.
        for callback in self.on_add.copy():
            callback(conversation_id)

    def _insert(self, conversation_id: str, row: Row) -> None:
        rows = self._oldest_first.setdefault(conversation_id, [])
        at = _milliseconds(row)
        rows.insert(bisect_right(rows, at, key=_milliseconds), row)
        self._latest[conversation_id] = max(at, self._latest.get(conversation_id, at))

    def _refuse_raw(self, conversation_id: str) -> None:
        if conversation_id in self._raw:
            message = f"The conversation {conversation_id!r} holds raw rows."
            raise ValueError(message)

    def _find(self, conversation_id: str, message_id: str) -> tuple[list[Row], int]:
        self._refuse_raw(conversation_id)
        rows = self._oldest_first.get(conversation_id, [])
        for index, row in enumerate(rows):
            if row["message"]["id"] == message_id:
                return rows, index
        raise KeyError(message_id)


def _milliseconds(row: Row) -> int:
    # Older rows carry seconds only.
    milliseconds: int = row.get("msec_timestamp", row["timestamp"] * 1000)
    return milliseconds
