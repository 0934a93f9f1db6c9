"""Which leads a run needs, and which it has read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_kommo_chats.state.scratch import Scratch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

AT_ONCE = 50
"""Leads asked for in one request: as many as keep its address below 2 kB."""

_TABLES = """
CREATE TABLE leads (
    lead_id INTEGER PRIMARY KEY,
    active_ms INTEGER NOT NULL,
    is_read INTEGER NOT NULL DEFAULT 0
);
"""
_WANT = """
INSERT INTO leads (lead_id, active_ms) VALUES (?, ?)
ON CONFLICT (lead_id) DO UPDATE SET active_ms = max(active_ms, excluded.active_ms)
"""
_UNREAD = """
SELECT lead_id FROM leads WHERE NOT is_read AND lead_id > ? ORDER BY lead_id LIMIT ?
"""


class SeenLeads:
    """The leads of one run. One thread writes and reads them."""

    def __init__(self) -> None:
        """Start with none."""
        self._scratch = Scratch(_TABLES)

    def want(self, leads: Iterable[tuple[int, int]]) -> None:
        """Note leads that talks name.

        Args:
            leads: The number of each, and when something last happened in its talk, in
                milliseconds since 1970; 0 where that is not known.
        """
        self._scratch.do_many(_WANT, leads)

    def note_read(self, lead_id: int) -> int | None:
        """Note that a lead was read.

        Returns:
            When something last happened in a talk of it, as above; None when no talk
            names it.
        """
        found = self._scratch.first(
            "SELECT active_ms FROM leads WHERE lead_id = ?", (lead_id,)
        )
        self._scratch.do("UPDATE leads SET is_read = 1 WHERE lead_id = ?", (lead_id,))
        return None if found is None else int(found[0])

    def is_unread(self, lead_id: int) -> bool:
        """Tell whether a lead is wanted and was not read."""
        found = self._scratch.first(
            "SELECT 1 FROM leads WHERE lead_id = ? AND NOT is_read", (lead_id,)
        )
        return found is not None

    def unread(self) -> Iterator[list[int]]:
        """Go through the leads that are not read, some at once."""
        last = 0
        while rows := list(self._scratch.rows(_UNREAD, (last, AT_ONCE))):
            numbers = [lead_id for (lead_id,) in rows]
            last = numbers[-1]
            yield numbers
