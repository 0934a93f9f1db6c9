"""What an answer of the CRM API v4 means: an object, nothing, or a failure.

Documented by Kommo: 200, 204, 401, 402, 403 and 404, with bodies of problem+json, and
the link from each page of a list to the next.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tap_kommo_chats.errors import (
    BadRequestError,
    ForbiddenError,
    NotFoundError,
    PlanError,
    RunError,
    ScopeError,
)
from tap_kommo_chats.kommo.answers import (
    BLOCKED,
    check_may_pass,
    decode_json,
    error_body,
    is_redirect,
)
from tap_kommo_chats.kommo.failures import MayPassError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

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
NOT_ALLOWED = (
    "the user of crm_access_token may not see this: make the token as an administrator "
    "of the account"
)
LACKS_SCOPE = (
    "crm_access_token lacks a scope: let the integration access the account's data, "
    "then make a new token"
)
_UNEXPECTED = (
    "this is unexpected: check that crm_url is your account's address, such as "
    "https://example.kommo.com"
)


def read_answer(
    response: requests.Response, path: str, *, is_crm: bool
) -> Mapping[str, Any] | None:
    """Take the object out of an answer, or say what to do about a failure.

    Args:
        response: The CRM's answer.
        path: What was asked for.
        is_crm: Whether it is known to be the CRM that answers, so that a 404 means
            that this one thing is missing and not all.

    Returns:
        The object; None when there is nothing (a 204).

    Raises:
        MayPassError: For 429 and 5xx, and if the body cannot be decoded; it may have
            been cut.
        NotFoundError: For 404.
        BadRequestError: For 400.
        ForbiddenError: For a 403 that says neither that the token lacks a scope nor
            that the address is blocked: of what was asked for alone (seen).
        PlanError: For 402.
        ScopeError: For a 403 that says that the token lacks a scope.
        RunError: For what stays as it is until an operator changes something.
    """
    if response.status_code == HTTPStatus.NO_CONTENT:
        return None
    if response.status_code == HTTPStatus.OK:
        return _decode(response.content)
    answer = f"Kommo answered {response.status_code}"
    check_may_pass(response, answer)
    problem = error_body(response)
    advice = _advice(response, problem)
    msg = f"GET {path}: {answer}; {advice}"
    if response.status_code == HTTPStatus.BAD_REQUEST:
        raise BadRequestError(msg)
    if response.status_code == HTTPStatus.NOT_FOUND and (problem is not None or is_crm):
        raise NotFoundError(msg)
    if advice == NOT_ALLOWED:
        raise ForbiddenError(msg)
    if advice == LACKS_SCOPE:
        raise ScopeError(msg)
    if response.status_code == HTTPStatus.PAYMENT_REQUIRED:
        raise PlanError(msg)
    raise RunError(msg)


def rows_of(answer: Mapping[str, Any], name: str) -> list[object]:
    """Return the rows of a page; none when it has none to be found."""
    embedded = answer.get("_embedded")
    rows = embedded.get(name) if isinstance(embedded, dict) else None
    return rows if isinstance(rows, list) else []


def next_query(answer: Mapping[str, Any]) -> str | None:
    """Return the query of the next page; None when there is none.

    The link's host is left out of account: the token goes to `crm_url` alone.
    """
    links = answer.get("_links")
    following = links.get("next") if isinstance(links, dict) else None
    href = following.get("href") if isinstance(following, dict) else None
    return urlsplit(href).query if isinstance(href, str) else None


def _decode(content: bytes) -> Mapping[str, Any]:
    try:
        body, _ = decode_json(content)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        msg = (
            "the answer is not JSON, or was cut: check that crm_url is your account's "
            "address, such as https://example.kommo.com"
        )
        raise MayPassError(msg)
    return body


def _advice(response: requests.Response, problem: Mapping[str, Any] | None) -> str:
    if response.status_code == HTTPStatus.FORBIDDEN:
        if problem is None:
            return BLOCKED
        # Its text is looked at, and never shown.
        text = f"{problem.get('title', '')} {problem.get('detail', '')}"
        if re.search(r"\bscopes?\b", text, re.IGNORECASE):
            return LACKS_SCOPE
        return NOT_ALLOWED
    if is_redirect(response):
        return "redirects are not followed: check crm_url"
    return _ADVICE.get(response.status_code, _UNEXPECTED)
