"""The CRM API v4: events and talks, page by page.

What is wrong with one request is wrong with all: the run cannot tell what changed, so
each failure is everyone's (`RunError`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlencode

from tap_kommo_chats.errors import BadRequestError, RunError
from tap_kommo_chats.kommo.auth import BearerToken
from tap_kommo_chats.kommo.connection import Connection
from tap_kommo_chats.kommo.crm_answers import next_query, read_answer, rows_of
from tap_kommo_chats.kommo.failures import GivenUpError
from tap_kommo_chats.kommo.route import route_to

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import requests

    from tap_kommo_chats.kommo.host import Host

Query: TypeAlias = tuple[tuple[str, str], ...]
"""Names and values of a query, not yet encoded."""

EVENTS = "/api/v4/events"
TALKS = "/api/v4/talks"

_PAGE, _SMALLER_PAGE = 250, 100
"""Rows of a page at most: documented by Kommo, and by amoCRM, which may refuse more."""


class CrmApi:
    """Asks one account's CRM. For any number of threads."""

    def __init__(self, host: Host, access_token: str) -> None:
        """Say where to ask; nothing is asked yet.

        Args:
            host: The account's.
            access_token: The bearer token.
        """
        self._connection = Connection(
            host,
            route_to(host.url),
            "application/hal+json",
            BearerToken(access_token),
        )
        self._page_size = _PAGE
        self._is_crm = False

    def events(
        self, types: Iterable[str], since_ms: int | None, until_ms: int
    ) -> Iterator[list[object]]:
        """Go through the events of a span of time, newest first (noted by users).

        Args:
            types: Which ones.
            since_ms: Where the span begins, in milliseconds since 1970; None for the
                beginning of all events. Kommo counts in seconds.
            until_ms: Where it ends. The edges are not documented.

        Yields:
            The rows of each page.

        Raises:
            RunError: If no usable answer can be had.
        """
        query = [("filter[type][]", kind) for kind in types]
        if since_ms is not None:
            query.append(("filter[created_at][from]", str(max(0, since_ms // 1000))))
        query.append(("filter[created_at][to]", str(until_ms // 1000)))
        return self._pages(EVENTS, tuple(query), "events")

    def talks(self, query: Query = ()) -> Iterator[list[object]]:
        """Go through the list of talks, in no promised order.

        Args:
            query: Its filters.

        Yields:
            The rows of each page.

        Raises:
            BadRequestError: If the CRM does not take a filter.
            RunError: If no usable answer can be had.
        """
        return self._pages(TALKS, query, "talks")

    def talk(self, talk_id: int) -> Mapping[str, Any] | None:
        """Ask for one talk, open or closed.

        Raises:
            NotFoundError: If there is none of that number.
            RunError: If no usable answer can be had.
        """
        return self._get(f"{TALKS}/{talk_id}", "")

    def _pages(self, path: str, query: Query, name: str) -> Iterator[list[object]]:
        """Go through all pages of a list, by the link each has to the next."""
        answer, asked = self._first_page(path, query)
        while answer is not None:
            yield rows_of(answer, name)
            following = next_query(answer)
            if following is None:
                return
            if following == asked:
                msg = (
                    f"GET {path}: a page names itself as the next one, so not all can "
                    "be read: tell Kommo's support"
                )
                raise RunError(msg)
            asked = following
            answer = self._get(path, following)

    def _first_page(
        self, path: str, query: Query
    ) -> tuple[Mapping[str, Any] | None, str]:
        size = self._page_size
        asked = urlencode([*query, ("limit", size)])
        try:
            return self._get(path, asked), asked
        except BadRequestError:
            if size == _SMALLER_PAGE:
                raise
        # Kept, so that it is refused once.
        self._page_size = _SMALLER_PAGE
        return self._first_page(path, query)

    def _get(self, path: str, query: str) -> Mapping[str, Any] | None:
        def read(response: requests.Response) -> Mapping[str, Any] | None:
            return read_answer(response, path, is_crm=self._is_crm)

        try:
            answer = self._connection.get(path, query, read)
        except GivenUpError as error:
            msg = f"GET {path}: {error}"
            raise RunError(msg) from None
        self._is_crm = True
        return answer
