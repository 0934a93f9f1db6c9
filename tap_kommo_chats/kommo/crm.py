"""The CRM API v4: the account, who is in it, events, talks and leads, page by page.

What is wrong with a request is mostly wrong with all: the run cannot tell what changed,
so a failure is everyone's (`RunError`). Those of one thing alone have errors of their
own, which the caller may catch.
"""

from __future__ import annotations

from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlencode

from tap_kommo_chats.errors import (
    BadRequestError,
    ForbiddenError,
    NotFoundError,
    RunError,
    UnansweredError,
)
from tap_kommo_chats.kommo.auth import BearerToken
from tap_kommo_chats.kommo.connection import Connection
from tap_kommo_chats.kommo.crm_answers import (
    NOT_ALLOWED,
    next_query,
    read_answer,
    rows_of,
)
from tap_kommo_chats.kommo.failures import GivenUpError
from tap_kommo_chats.kommo.pages import PAGE, SMALLER_PAGE, Page, Walk
from tap_kommo_chats.kommo.route import route_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import requests

    from tap_kommo_chats.kommo.host import Host

Answer: TypeAlias = "Mapping[str, Any] | None"
"""An object; None when there is nothing."""

Query: TypeAlias = "list[tuple[str, str]]"
"""Names and values of a query, not yet encoded."""

ACCOUNT = "/api/v4/account"
USERS = "/api/v4/users"
LEADS = "/api/v4/leads"
_LEAD = f"{LEADS}/{{}}"
PIPELINES = f"{LEADS}/pipelines"
EVENTS = "/api/v4/events"
TALKS = "/api/v4/talks"
_TALK = f"{TALKS}/{{}}"

WITH_ACCOUNT = "with=amojo_id,users_groups,datetime_settings"
WITH_USERS = ("with", "amojo_id,group,role")
WITH_LEADS = ("with", "loss_reason,source")
LEADS_ORDER = [("order[updated_at]", "desc")]
CHANGED_FROM = "filter[updated_at][from]"
HAPPENED_FROM = "filter[created_at][from]"
HAPPENED_TO = "filter[created_at][to]"
OF_TYPES = "filter[type][]"
NUMBERED = "filter[talk_id][]"

_FORBIDDEN_AT_MOST = 20
"""So many refusals of an endpoint in a row are not each for its own reason."""

TELLS_NO_ACCOUNT = frozenset(
    (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)
)
"""Answers that only say that the CRM does not tell which account it is."""


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
        self._page_size = PAGE
        self._is_crm = False
        self._forbidden: Counter[str] = Counter()

    def account(self) -> Answer:
        """Ask which account it is, what it is called in the chats, and its time zone.

        Returns:
            The account; None if the CRM does not say, which it need not.

        Raises:
            RunError: If no usable answer can be had.
        """

        def read(response: requests.Response) -> Answer:
            if response.status_code in TELLS_NO_ACCOUNT:
                return None
            return read_answer(response, ACCOUNT, is_crm=self._is_crm)

        return self._ask(ACCOUNT, WITH_ACCOUNT, read)

    def users(self) -> Iterator[Page]:
        """Go through the users, which only an administrator sees.

        Raises:
            ForbiddenError: If the token's user is none.
            RunError: If no usable answer can be had.
        """
        return self._pages(USERS, [WITH_USERS], "users")

    def pipelines(self) -> list[object]:
        """Ask for all pipelines with their statuses, which come in one answer.

        Raises:
            RunError: If no usable answer can be had.
        """
        answer = self._get(PIPELINES, "", PIPELINES)
        return [] if answer is None else rows_of(answer, "pipelines")

    def leads_changed(self, since_ms: int | None) -> Iterator[Page]:
        """Go through the leads, the last changed first.

        Args:
            since_ms: Only those that changed from then on, in milliseconds since 1970,
                where the account has filters on leads (amoCRM's may lack them); None
                to ask for no filter.

        Raises:
            BadRequestError: If the CRM does not take the filter.
            RunError: If no usable answer can be had.
        """
        query = [] if since_ms is None else [(CHANGED_FROM, str(since_ms // 1000))]
        return self._pages(LEADS, [*query, *LEADS_ORDER, WITH_LEADS], "leads")

    def leads_numbered(self, lead_ids: Iterable[int]) -> Iterator[Page]:
        """Go through the leads of some numbers, as far as the filter is heeded.

        Raises:
            BadRequestError: If the CRM does not take the filter.
            RunError: If no usable answer can be had.
        """
        query = [("filter[id][]", str(lead_id)) for lead_id in lead_ids]
        return self._pages(LEADS, [*query, WITH_LEADS], "leads")

    def lead(self, lead_id: int) -> Answer:
        """Ask for one lead.

        Raises:
            NotFoundError: If there is none of that number.
            ForbiddenError: If the CRM does not show it.
            RunError: If no usable answer can be had.
        """
        return self._get(_LEAD.format(lead_id), urlencode([WITH_LEADS]), _LEAD)

    def events(
        self, types: Iterable[str], since_ms: int | None, until_ms: int
    ) -> Iterator[Page]:
        """Go through the events of a span of time, newest first (noted by users).

        Args:
            types: Which ones.
            since_ms: Where the span begins, in milliseconds since 1970; None for the
                beginning of all events. Kommo counts in seconds.
            until_ms: Where it ends. The edges are not documented.

        Raises:
            BadRequestError: If the CRM does not take one of the types.
            RunError: If no usable answer can be had.
        """
        query = [(OF_TYPES, kind) for kind in types]
        if since_ms is not None:
            query.append((HAPPENED_FROM, str(max(0, since_ms // 1000))))
        query.append((HAPPENED_TO, str(until_ms // 1000)))
        return self._pages(EVENTS, query, "events")

    def talks(self) -> Iterator[Page]:
        """Go through the list of talks, in no promised order, perhaps not all of it.

        Raises:
            RunError: If no usable answer can be had.
        """
        return self._pages(TALKS, [], "talks")

    def talks_numbered(self, talk_ids: Iterable[int]) -> Iterator[Page]:
        """Go through the talks of some numbers, as far as the filter is heeded.

        Raises:
            BadRequestError: If the CRM does not take the filter.
            ForbiddenError: If it does not show one of them.
            RunError: If no usable answer can be had.
        """
        query = [(NUMBERED, str(talk_id)) for talk_id in talk_ids]
        return self._pages(TALKS, query, "talks")

    def talks_of(self, kind: str, numbers: Iterable[int]) -> Iterator[Page]:
        """Go through the talks of some contacts, leads or customers, in the same way.

        Args:
            kind: Which of the three.
            numbers: Whose.

        Raises:
            BadRequestError: If the CRM does not take the filter.
            ForbiddenError: If it does not show one of them.
            RunError: If no usable answer can be had.
        """
        is_contact = kind == "contact"
        name = "filter[contact_id][]" if is_contact else "filter[entity_id][]"
        query = [(name, str(number)) for number in numbers]
        if not is_contact:
            query.append(("filter[entity_type]", kind))
        return self._pages(TALKS, query, "talks")

    def talk(self, talk_id: int) -> Answer:
        """Ask for one talk, open or closed.

        Raises:
            NotFoundError: If there is none of that number.
            ForbiddenError: If the CRM does not show it.
            RunError: If no usable answer can be had.
        """
        return self._get(_TALK.format(talk_id), "", _TALK)

    def talk_messages(self, talk_id: int, since_ms: int | None) -> Iterator[Page]:
        """Go through the messages of a talk, in any order.

        Args:
            talk_id: The talk, open or closed.
            since_ms: Messages sent before it are not needed, in milliseconds since
                1970; None for all. The pages may hold some.

        Raises:
            PlanError: If the account's plan lacks the Chats API add-on.
            ScopeError: If the token lacks `list_external_messages`.
            ForbiddenError: If its user has no right to the talk's contact.
            NotFoundError: If there is no such talk.
            RunError: If no usable answer can be had.
        """
        query = []
        if since_ms is not None:
            query.append((HAPPENED_FROM, str(max(0, since_ms // 1000))))
        return self._pages(f"{TALKS}/{talk_id}/messages", query, "messages")

    def _pages(self, path: str, query: Query, name: str) -> Iterator[Page]:
        """Go through all pages of a list, by the link each has to the next."""
        answer, asked = self._first_page(path, query)
        walk = Walk(asked)
        following: str | None = asked
        while following is not None:
            rows = [] if answer is None else rows_of(answer, name)
            link = None if answer is None else next_query(answer)
            following = walk.after(rows, link)
            yield Page(rows, walk.ending)
            if following is not None:
                answer = self._next_page(path, following, is_guess=walk.is_guess)

    def _first_page(self, path: str, query: Query) -> tuple[Answer, str]:
        try:
            return self._sized(path, query, self._page_size)
        except BadRequestError:
            if self._page_size == SMALLER_PAGE:
                raise
            first = self._sized(path, query, SMALLER_PAGE)
        # Kept, so that the larger one is refused once.
        self._page_size = SMALLER_PAGE
        return first

    def _sized(self, path: str, query: Query, size: int) -> tuple[Answer, str]:
        asked = urlencode([*query, ("limit", size)])
        return self._get(path, asked, path), asked

    def _next_page(self, path: str, query: str, *, is_guess: bool) -> Answer:
        try:
            return self._get(path, query, path)
        except (BadRequestError, NotFoundError):
            if not is_guess:
                raise
            return None

    def _get(self, path: str, query: str, endpoint: str) -> Answer:
        # Any other answer than a refusal begins to count anew.
        refusals = self._forbidden.pop(endpoint, 0) + 1
        try:
            answer = self._ask(
                path,
                query,
                lambda response: read_answer(response, path, is_crm=self._is_crm),
            )
        except ForbiddenError:
            self._forbidden[endpoint] = refusals
            if refusals < _FORBIDDEN_AT_MOST:
                raise
            msg = f"GET {path}: Kommo answered 403, {refusals} times in a row; "
            raise RunError(msg + NOT_ALLOWED) from None
        self._is_crm = True
        return answer

    def _ask(
        self, path: str, query: str, read: Callable[[requests.Response], Answer]
    ) -> Answer:
        try:
            return self._connection.get(path, query, read)
        except GivenUpError as error:
            msg = f"GET {path}: {error}"
            raise UnansweredError(msg) from None
