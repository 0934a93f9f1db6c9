"""Which offset of a conversation comes next, and when the conversation is done.

The API pages by offset, newest message first, and the list shifts while it is
being read. New messages push rows down: rows repeat, which is harmless. Messages
that vanish pull rows up, and a plain `offset += limit` would skip as many rows as
vanished. So every page after the first starts early enough to begin with a row that
was already read. Rows keep their order, so nothing can be missing between the two.
A page that begins with another row is thrown away, and the paginator steps back,
further each time, until the two meet.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from singer_sdk.pagination import OffsetPaginator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from requests import Response

    from tap_kommo_chats.records.messages import Row

PAGE_SIZE = 50
"""Rows asked for at once. Documented by Kommo: at most 50."""

ROWS_AT_MOST = 50 * PAGE_SIZE
"""Rows of a page that are taken all the same. No server that means well sends more."""

_WIDENING = 5
"""How much further each step back goes: 1, 5, 25, 125 rows before the gap."""

_ENDING_ROWS = 5
"""So many rows in a row before the cut-off end a walk. A single one may be a message
that was imported with an old time."""

_BARREN_PAGES_AT_MOST = 200
"""Pages in a row that bring no new row, each at another offset. Between their requests
10,000 messages would have to arrive; rather the server does not look at the offset."""


_CONTRADICTIONS_AT_MOST = 20
"""Pages with no row where rows were read before. Between their requests that many times
messages would have to vanish; rather the server does not mean it."""


class PagingError(Exception):
    """The server's pages cannot be put together to one conversation."""


class EmptiedError(PagingError):
    """The server gave rows, and then says that there are none."""


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """What one answer of the API adds to a conversation.

    Attributes:
        rows: The rows that were not read before, in the server's order.
        newest_first: Whether the conversation's rows came newest first so far.
        is_empty: Whether the conversation had no row so far.
        newest_ms: The time of the newest row so far, in milliseconds since 1970; None
            when none had a time.
        is_large: Whether it takes much memory, and the room for it until `release`.
    """

    rows: tuple[Row, ...]
    newest_first: bool
    is_empty: bool
    newest_ms: int | None
    is_large: bool = False


class HistoryPaginator(OffsetPaginator):
    """Walks one conversation so that no row that stays is missed.

    Feed each page to `accept`, then call `advance`, which moves `current_value`
    on or sets `finished`.
    """

    def __init__(self, cutoff_ms: int | None = None) -> None:
        """Start at the newest message.

        Args:
            cutoff_ms: Messages sent before this are not needed, in milliseconds
                since 1970. The walk ends at the first page whose last rows were
                sent before it, unless the server's order turned out not to be newest
                first. None walks to the conversation's end.
        """
        super().__init__(start_value=0, page_size=PAGE_SIZE)
        self._cutoff_ms = cutoff_ms
        self._seen: dict[str, int | None] = {}
        self._ambiguous: set[str] = set()
        self._barren_pages = 0
        self._contradictions = 0
        self._newest_first = True
        self._newest_ms: int | None = None
        self._frontier = 0
        self._overlap = 1
        self._next_offset: int | None = None

    def accept(self, rows: Sequence[Row]) -> HistoryPage:
        """Take the page at `current_value`.

        Args:
            rows: The rows of the page, in the server's order; empty at the end.

        Returns:
            The rows to emit: those not read before, and those read before with
            another content (a message was edited meanwhile). None of them when
            the page does not join what was read.

        Raises:
            EmptiedError: If it is empty, and the conversation was not.
            PagingError: If page after page brings nothing new.
        """
        if self._seen and not rows:
            self._doubt_the_end()
        if not self._joins(rows):
            self._overlap *= _WIDENING
            self._next_offset = max(0, self._frontier - self._overlap)
            return self._page(())

        fresh = self._take(rows)
        times = _plausible_times(rows)
        sent = [row.sent_ms for row in rows if row.sent_ms is not None]
        if self._newest_ms is not None:
            sent.append(self._newest_ms)
        self._newest_ms = max(sent, default=None)
        self._newest_first = self._newest_first and _is_newest_first(times)
        self._frontier = self.current_value + len(rows)
        # After a step back the next pages keep a growing distance from it again. No
        # overlap may be so long that a page brings nothing new.
        self._overlap = max(1, min(self._overlap, self.page_size) // 2)
        self._next_offset = (
            None if self._ends(rows, times) else self._frontier - self._overlap
        )
        return self._page(fresh)

    def advance(self, response: Response | None = None) -> None:  # noqa: ARG002 (the SDK's)
        """Move to the next offset, or finish.

        The SDK's own `advance` takes an offset of 0 for the end, but stepping back
        may lead there.

        Args:
            response: Not looked at: `accept` has seen its rows.
        """
        self._page_count += 1
        if self._next_offset is None:
            self._finished = True
        else:
            self._value = self._next_offset

    def _page(self, rows: tuple[Row, ...]) -> HistoryPage:
        return HistoryPage(rows, self._newest_first, not self._seen, self._newest_ms)

    def _doubt_the_end(self) -> None:
        """Take a page with no row for the end only if one before it can show so."""
        self._contradictions += 1
        if self.current_value == 0 or self._contradictions > _CONTRADICTIONS_AT_MOST:
            msg = (
                f"the server gave {len(self._seen)} message(s), and then says that "
                "there are none"
            )
            raise EmptiedError(msg)

    def _joins(self, rows: Sequence[Row]) -> bool:
        """Tell whether no row can be missing between these and those before."""
        if self.current_value == 0:
            return True
        # Rows without an id may well be alike, so they are asked last.
        for row in [row for row in rows if row.message_id is not None] or rows:
            if row.identity not in self._ambiguous:
                return row.identity in self._seen
        # Nothing tells these rows from one another, so nothing better can be known.
        return bool(rows)

    def _take(self, rows: Sequence[Row]) -> tuple[Row, ...]:
        """Remember rows, and pick those to emit."""
        fresh: list[Row] = []
        here: set[str] = set()
        news = False
        for row in rows:
            identity = row.identity
            content = row.content_hash
            known = identity in self._seen
            if not (known and self._seen[identity] == content) or (
                # Rows that cannot be delivered are counted by their places.
                row.flaw is not None and row.position >= self._frontier
            ):
                fresh.append(row)
            news = news or not known
            self._seen[identity] = content
            if identity in here:
                self._ambiguous.add(identity)
            here.add(identity)
        self._barren_pages = 0 if news else self._barren_pages + 1
        if self._barren_pages > _BARREN_PAGES_AT_MOST:
            msg = (
                f"the server answers with the same rows up to offset "
                f"{self.current_value}, so the rest cannot be read"
            )
            raise PagingError(msg)
        return tuple(fresh)

    def _ends(self, rows: Sequence[Row], times: list[int]) -> bool:
        """Tell whether nothing that is needed follows these rows.

        A page shorter than the limit is the last one (inferred). A time of 1970 or
        before is a broken clock's, and ends nothing.
        """
        if len(rows) < self.page_size:
            return True
        if self._cutoff_ms is None or not self._newest_first:
            return False
        last = times[-_ENDING_ROWS:]
        # Whole seconds, because a row may have no milliseconds.
        return bool(last) and max(last) // 1000 < self._cutoff_ms // 1000


def _plausible_times(rows: Sequence[Row]) -> list[int]:
    return [row.sent_ms for row in rows if row.sent_ms is not None and row.sent_ms > 0]


def _is_newest_first(times: list[int]) -> bool:
    # Whole seconds, because a row may have no milliseconds.
    return all(newer // 1000 >= older // 1000 for newer, older in pairwise(times))
