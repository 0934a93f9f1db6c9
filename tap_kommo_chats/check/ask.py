"""Asking one of Kommo's hosts, once for each thing, and never often."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tap_kommo_chats.errors import RunError, TapError
from tap_kommo_chats.kommo.answers import error_body, is_redirect, read_date
from tap_kommo_chats.kommo.connection import Connection
from tap_kommo_chats.kommo.failures import GivenUpError, MayPassError, OversizedError
from tap_kommo_chats.kommo.route import route_to

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests
    from requests.auth import AuthBase

    from tap_kommo_chats.kommo.host import Host

REQUESTS_AT_MOST = 12
"""Of one check, to both hosts together."""

_FIELD = re.compile(r"[A-Za-z_]{1,40}", re.ASCII)
_FIELDS_AT_MOST = 10

_OF_ALL = frozenset((HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS))
"""After one of these, the next request would fare no better."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request.

    Attributes:
        was_asked: Whether there was one.
        status: The code; None when no answer came.
        content: What was read of it; None when there is nothing in it.
        error: Why it is not what a run needs; None when it is.
        ahead_s: How many seconds this machine's clock is ahead of the server's; None
            when the server did not tell.
        shape: What an error's body looks like, with no value of it.
        retry_after: Whether it asked to wait for some time.
    """

    was_asked: bool = False
    status: int | None = None
    content: Any = None
    error: Exception | None = None
    ahead_s: float | None = None
    shape: str = ""
    retry_after: bool = False

    @property
    def is_good(self) -> bool:
        """Whether it is what a run needs."""
        return self.was_asked and self.error is None


NOT_ASKED = Answer()


class Budget:
    """Counts the requests of a check.

    Attributes:
        spent: How many were made.
    """

    def __init__(self) -> None:
        """Start with none."""
        self.spent = 0

    def take(self) -> bool:
        """Tell whether one more may be made, and count it."""
        has_room = self.spent < REQUESTS_AT_MOST
        self.spent += has_room
        return has_room


class Asker:
    """Asks a host. It ends with the first answer that all others would be like."""

    def __init__(self, host: Host, accept: str, auth: AuthBase, budget: Budget) -> None:
        """Open nothing yet.

        Args:
            host: Where to ask.
            accept: The `Accept` header.
            auth: Lets requests in.
            budget: Counts them.
        """
        self._host = host
        self._accept = accept
        self._auth = auth
        self._budget = budget
        self._connection: Connection | None = None
        self._is_over = False

    def ask(
        self, path: str, query: str, read: Callable[[requests.Response], Any]
    ) -> Answer:
        """Ask for something, once.

        Args:
            path: The path, encoded.
            query: The query, encoded.
            read: Takes what is wanted out of an answer.
        """
        if self._is_over or not self._budget.take():
            return NOT_ASKED
        try:
            return self._opened().get(path, query, lambda r: self._answer(r, read))
        except GivenUpError as error:
            failure: Exception = RunError(error.reason)
        except RunError as error:
            failure = error
        self._is_over = True
        return Answer(was_asked=True, error=failure)

    def _opened(self) -> Connection:
        if self._connection is None:
            host = self._host
            self._connection = Connection(
                host, route_to(host.url), self._accept, self._auth
            )
        return self._connection

    def _answer(
        self, response: requests.Response, read: Callable[[requests.Response], Any]
    ) -> Answer:
        content, failure = None, None
        try:
            content = read(response)
        except (TapError, MayPassError, OversizedError) as error:
            failure = error
            self._is_over = _is_of_all(response, error)
        return Answer(
            was_asked=True,
            status=response.status_code,
            content=content,
            error=failure,
            ahead_s=_ahead_s(response),
            shape=_shape(response) if failure else "",
            retry_after="Retry-After" in response.headers,
        )


def _is_of_all(response: requests.Response, error: Exception) -> bool:
    is_blocked = (
        response.status_code == HTTPStatus.FORBIDDEN
        and isinstance(error, RunError)
        and error_body(response) is None
    )
    return response.status_code in _OF_ALL or is_blocked or is_redirect(response)


def _ahead_s(response: requests.Response) -> float | None:
    there = read_date(response.headers.get("Date", ""))
    here = datetime.now(timezone.utc)
    return None if there is None else (here - there).total_seconds()


def _shape(response: requests.Response) -> str:
    """Tell what an error's body looks like: its kind, and the names of its fields."""
    if not response.content:
        return "no body"
    body = error_body(response)
    if body is not None:
        return f"JSON with {field_names(body)}"
    kind = response.headers.get("Content-Type", "").lower()
    return "HTML" if "html" in kind else "neither JSON nor HTML"


def field_names(value: object) -> str:
    """Name the fields of an object, as far as they look like names of fields."""
    names = value if isinstance(value, dict | set | frozenset) else ()
    fit = sorted(name for name in names if _FIELD.fullmatch(name))
    more = ["..."] * (len(fit) > _FIELDS_AT_MOST)
    return ", ".join([*fit[:_FIELDS_AT_MOST], *more]) or "no field"
