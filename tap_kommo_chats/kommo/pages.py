"""A walk through the pages of a list of the CRM, which ends whatever is answered. Pure.

Kommo documents the link from each page to the next, and that the last one has none.
Seen were lists that end at a full page though there is more; and nothing but a server's
good will keeps links from leading back, or on and on.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from urllib.parse import parse_qsl, urlencode

PAGE, SMALLER_PAGE = 250, 100
"""Rows of a page at most: documented by Kommo, and by amoCRM, which may refuse more."""

_BARREN_AT_MOST = 3
"""So many pages in a row may bring nothing new. One alone may be a page whose rows are
all withheld from the token's user."""

_PAGES_AT_MOST = 100_000
"""Of one list, which are 25 million rows."""


class Ending(Enum):
    """How a walk came to its end."""

    LAST = "last"
    """The last page has room for more rows."""

    FULL = "full"
    """The last page has not, and no other comes after it: there may be more."""

    ENDLESS = "endless"
    """Pages led back to one that was seen, or went on with nothing new."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    Attributes:
        rows: What it holds, perhaps again.
        ending: How the walk ended, on its last page; None before.
    """

    rows: list[object]
    ending: Ending | None


class Walk:
    """One walk. What it remembers of a page does not depend on the page's size."""

    def __init__(self, query: str) -> None:
        """Begin.

        Args:
            query: Of the first page, encoded.
        """
        self.ending: Ending | None = None
        self.is_guess = False
        """Whether no link leads to the page that is asked for now."""
        self._query = query
        self._asked = {hash(query)}
        self._contents: set[int] = set()
        self._barren = 0

    def after(self, rows: list[object], link: str | None) -> str | None:
        """Say which page comes next.

        Args:
            rows: Those of the page that was asked for last.
            link: The query of the page that it names as the next one; None when it
                names none.

        Returns:
            The query to ask with; None when the walk has ended.
        """
        is_new = self._is_new(rows)
        self._barren = 0 if is_new else self._barren + 1
        if self.is_guess and not is_new:
            self.ending = Ending.FULL
        elif link is None and len(rows) not in {PAGE, SMALLER_PAGE}:
            self.ending = Ending.LAST
        else:
            self.is_guess = link is None
            self._query = self._numbered() if link is None else link
            if self._is_going_round():
                self.ending = Ending.ENDLESS
        return None if self.ending else self._query

    def _is_new(self, rows: list[object]) -> bool:
        content = hash(frozenset(map(_identity, rows)))
        is_new = bool(rows) and content not in self._contents
        self._contents.add(content)
        return is_new

    def _numbered(self) -> str:
        kept = [pair for pair in parse_qsl(self._query) if pair[0] != "page"]
        return urlencode([*kept, ("page", len(self._asked) + 1)])

    def _is_going_round(self) -> bool:
        is_known = hash(self._query) in self._asked
        self._asked.add(hash(self._query))
        return (
            is_known
            or self._barren >= _BARREN_AT_MOST
            or len(self._asked) > _PAGES_AT_MOST
        )


def _identity(row: object) -> str:
    """Tell a row from others, whatever else of it changes meanwhile."""
    if isinstance(row, dict):
        for name in ("id", "talk_id"):
            if name in row:
                return str(row[name])
    return str(row)
