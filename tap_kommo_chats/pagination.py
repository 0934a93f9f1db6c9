"""Which offset of a conversation comes next, and when the conversation is done.

The API pages by offset, newest message first, and the list shifts while it is
being read. New messages push rows down: rows repeat, which is harmless. Messages
that vanish pull rows up, and a plain `offset += limit` would skip as many rows as
vanished. So every page after the first starts early enough to repeat a row that was
already read. Rows never swap places, so a page that holds one row already read
leaves no gap before it. A page that holds none does: it is thrown away, and the
paginator steps back, further each time, until the two meet.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from singer_sdk.exceptions import FatalAPIError
from singer_sdk.pagination import OffsetPaginator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from requests import Response

    from tap_kommo_chats.messages import Row

PAGE_SIZE = 50
"""Rows asked for at once. Documented by Kommo: at most 50."""

_WIDENING = 5
"""How much further each step back goes: 1, 5, 25, 125 rows before the gap."""

_SAME_PAGE_LIMIT = 20
"""So often the same page in a row, at advancing offsets, is no accident: it would
take as many new messages between two requests as a page has, each time."""


class PagingError(FatalAPIError):
    """The server's pages cannot be put together to one conversation."""


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """What one answer of the API adds to a conversation.

    Attributes:
        rows: The rows that were not read before, in the server's order.
        newest_first: Whether the conversation's rows came newest first so far.
    """

    rows: tuple[Row, ...]
    newest_first: bool


class HistoryPaginator(OffsetPaginator):
    """Walks one conversation so that no row that stays is missed.

    Feed each page to `accept`, then call `advance`, which moves `current_value`
    on or sets `finished`.
    """

    def __init__(self, cutoff_ms: int | None = None) -> None:
        """Start at the newest message.

        Args:
            cutoff_ms: Messages sent before this are not needed, in milliseconds
                since 1970. The walk ends at the first page that ends before it,
                unless the server's order turned out not to be newest first. None
                walks to the conversation's end.
        """
        super().__init__(start_value=0, page_size=PAGE_SIZE)
        self._cutoff_ms = cutoff_ms
        self._seen: set[str] = set()
        self._last_page: dict[str, Row] = {}
        self._same_pages = 0
        self._newest_first = True
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
            PagingError: If the server answers every offset with the same page.
        """
        if not self._joins(rows):
            self._overlap *= _WIDENING
            self._next_offset = max(0, self._frontier - self._overlap)
            return HistoryPage((), newest_first=self._newest_first)

        page = {row.identity: row for row in rows}
        self._refuse_same_page(page)
        fresh: list[Row] = []
        latest = dict(self._last_page)
        for row in rows:
            before = latest.get(row.identity)
            if before is None or before.value != row.value:
                fresh.append(row)
                latest[row.identity] = row
        self._seen.update(page)
        self._last_page = page

        self._newest_first = self._newest_first and _is_newest_first(rows)
        self._frontier = self.current_value + len(rows)
        # A step back can reach further than a page is long; to get anywhere, the
        # next page must bring something new.
        self._overlap = min(self._overlap, self.page_size // 2)
        self._next_offset = None if self._ends(rows) else self._frontier - self._overlap
        return HistoryPage(tuple(fresh), newest_first=self._newest_first)

    def advance(self, response: Response) -> None:  # noqa: ARG002 (the SDK's)
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

    def _joins(self, rows: Sequence[Row]) -> bool:
        """Tell whether no row can be missing between these and those before."""
        return self.current_value == 0 or any(
            row.identity in self._seen for row in rows
        )

    def _ends(self, rows: Sequence[Row]) -> bool:
        """Tell whether nothing that is needed follows these rows.

        A page shorter than the limit is the last one (inferred). A time of 1970 or
        before is a broken clock's, and ends nothing.
        """
        if len(rows) < self.page_size:
            return True
        if self._cutoff_ms is None or not self._newest_first:
            return False
        times = _plausible_times(rows)
        # Whole seconds, because a row may have no milliseconds.
        return bool(times) and times[-1] // 1000 < self._cutoff_ms // 1000

    def _refuse_same_page(self, page: dict[str, Row]) -> None:
        same = bool(page) and list(page) == list(self._last_page)
        self._same_pages = self._same_pages + 1 if same else 0
        if self._same_pages >= _SAME_PAGE_LIMIT:
            msg = (
                f"the server answers offset {self.current_value} with the same rows "
                "as the offsets before it, so the rest cannot be read"
            )
            raise PagingError(msg)


def _plausible_times(rows: Sequence[Row]) -> list[int]:
    return [row.sent_ms for row in rows if row.sent_ms is not None and row.sent_ms > 0]


def _is_newest_first(rows: Sequence[Row]) -> bool:
    seconds = [time // 1000 for time in _plausible_times(rows)]
    return all(newer >= older for newer, older in pairwise(seconds))
