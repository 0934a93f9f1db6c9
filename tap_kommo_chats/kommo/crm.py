"""Asking Kommo's CRM API v4: with its token, in turn, and again if need be.

What is wrong with one request is wrong with all: the run cannot tell what changed, so
each failure is everyone's (`RunError`).
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import backoff
import requests
from singer_sdk.exceptions import RetriableAPIError

from tap_kommo_chats.errors import RunError
from tap_kommo_chats.kommo.answers import (
    decode_json,
    is_too_many,
    retry_after_seconds,
    unreachable,
    will_not_pass,
)
from tap_kommo_chats.kommo.limiter import RequestLimiter
from tap_kommo_chats.kommo.transport import new_session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ATTEMPTS = 6
"""How often a page is asked for before discovery has failed."""

_LONGEST_WAIT = 30.0


class NotFoundError(RunError):
    """There is no such thing in the CRM."""


class BadRequestError(RunError):
    """The CRM does not take the request's parameters."""


class CrmClient:
    """Asks one account's CRM. For one thread."""

    def __init__(
        self,
        crm_url: str,
        access_token: str,
        *,
        user_agent: str,
        request_timeout: int,
        requests_per_second: int,
    ) -> None:
        """Make a client; nothing is asked yet.

        Args:
            crm_url: Scheme and host, with no slash at the end.
            access_token: The bearer token.
            user_agent: How the tap presents itself.
            request_timeout: Seconds to wait for the server to connect or send
                something.
            requests_per_second: How many requests may reach the CRM in any second; 0
                for no limit. Its host counts apart from that of the Chats API.
        """
        self._url = crm_url
        self._timeout = request_timeout
        self._limiter = RequestLimiter(requests_per_second)
        self._session = new_session(crm_url)
        self._session.headers.update(
            {
                "Accept": "application/hal+json",
                "Authorization": f"Bearer {access_token}",
                "User-Agent": user_agent,
            }
        )
        self._attempts = 0
        self._answered = False
        self._works = False
        self.requests_made = 0
        # A search that finds nothing may take long, and who waits wants to know.
        self.on_request: Callable[[], None] = lambda: None

    def get(self, path: str, query: str = "") -> Mapping[str, Any] | None:
        """Ask for something.

        Args:
            path: The path, such as `/api/v4/events`.
            query: The query, encoded.

        Returns:
            The answer's object; None when there is nothing (a 204).

        Raises:
            NotFoundError: If Kommo answers 404.
            BadRequestError: If it answers 400.
            RunError: If no usable answer can be had.
        """
        ask = backoff.on_exception(
            backoff.expo,
            (RetriableAPIError, requests.RequestException),
            max_tries=ATTEMPTS,
            giveup=lambda error: not self._answered and will_not_pass(error),
            max_value=_LONGEST_WAIT,
            jitter=backoff.full_jitter,
            logger=None,
        )(self._ask)
        self._attempts = 0
        try:
            answer: Mapping[str, Any] | None = ask(path, query)
        except RetriableAPIError as error:
            msg = f"{error} (given up after {self._attempts} attempt(s))"
            raise RunError(msg) from None
        except requests.RequestException as error:
            reason = unreachable(error, self._url).replace("api_url", "crm_url")
            msg = f"GET {path}: {reason} (given up after {self._attempts} attempt(s))"
            raise RunError(msg) from None
        return answer

    def _ask(self, path: str, query: str) -> Mapping[str, Any] | None:
        url = f"{self._url}{path}{'?' if query else ''}{query}"
        self.on_request()
        with self._limiter.turn() as slow_down:
            self.requests_made += 1
            self._attempts += 1
            response = self._session.get(
                url, timeout=self._timeout, allow_redirects=False
            )
            self._answered = True
            seconds = retry_after_seconds(response)
            if is_too_many(response) or seconds is not None:
                slow_down(seconds)
        try:
            check_answer(response, path)
        except RunError as error:
            if response.status_code == HTTPStatus.NOT_FOUND and self._works:
                # It is the CRM, so this one thing is missing and not all.
                raise NotFoundError(*error.args) from None
            raise
        self._works = True
        if response.status_code == HTTPStatus.NO_CONTENT:
            return None
        try:
            body, _ = decode_json(response.content)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            msg = (
                f"GET {path}: the answer is not JSON, or was cut: check that crm_url "
                "is your account's address, such as https://example.kommo.com"
            )
            raise RetriableAPIError(msg, response)
        return body


def check_answer(response: requests.Response, path: str) -> None:
    """Tell an answer from a failure, and say what to do about one.

    Documented by Kommo: 200, 204, 401, 402, 403 and 404 with bodies of problem+json.

    Args:
        response: The CRM's answer.
        path: What was asked for.

    Raises:
        RetriableAPIError: For 429 and 5xx, which may pass.
        NotFoundError: For 404.
        BadRequestError: For 400.
        RunError: For what stays as it is until an operator changes something.
    """
    status = response.status_code
    if status in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}:
        return
    answer = f"GET {path}: Kommo answered {status}"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        msg = f"{answer}; lower requests_per_second, or run fewer taps at once"
        raise RetriableAPIError(msg, response)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        msg = f"{answer}; Kommo is in trouble: run again later"
        raise RetriableAPIError(msg, response)
    problem = _problem(response)
    msg = f"{answer}; {_advice(response, problem)}"
    if status == HTTPStatus.BAD_REQUEST:
        raise BadRequestError(msg)
    if status == HTTPStatus.NOT_FOUND and problem is not None:
        raise NotFoundError(msg)
    raise RunError(msg)


def _problem(response: requests.Response) -> str | None:
    """Read an error's text in lower case, to look for words in it; never shown."""
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    return " ".join(str(body.get(name, "")) for name in ("title", "detail")).lower()


_ADVICE: dict[int, str] = {
    HTTPStatus.BAD_REQUEST: "report this line, the request is the tap's",
    HTTPStatus.UNAUTHORIZED: (
        "crm_access_token is expired, revoked or not of this account: make a new "
        "long-lived token in the integration's settings, and check crm_url"
    ),
    HTTPStatus.PAYMENT_REQUIRED: (
        "the account's plan is over or does not include this: renew or upgrade it, or "
        "take crm_url out and list conversations in another way"
    ),
}


def _advice(response: requests.Response, problem: str | None) -> str:
    status = response.status_code
    if status == HTTPStatus.FORBIDDEN and problem is None:
        return (
            "this machine's address is blocked: wait some hours, then lower "
            "requests_per_second, and do not run several taps from one address"
        )
    if status == HTTPStatus.FORBIDDEN and re.search(r"\bscopes?\b", problem or ""):
        return (
            "crm_access_token lacks a scope: let the integration access the account's "
            "data, then make a new token"
        )
    if status == HTTPStatus.FORBIDDEN:
        return (
            "the user of crm_access_token may not see this: make the token as an "
            "administrator of the account"
        )
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return "redirects are not followed: check crm_url"
    return _ADVICE.get(
        status,
        "this is unexpected: check that crm_url is your account's address, such as "
        "https://example.kommo.com",
    )
