"""What an answer of the history endpoint means: rows, or a failure to tell of.

Documented by Kommo: 200, 204, 400 and 403.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tap_kommo_chats.errors import ConversationError, RefusedError, RunError
from tap_kommo_chats.kommo.answers import (
    BLOCKED,
    check_may_pass,
    decode_json,
    error_body,
    is_redirect,
    read_date,
)
from tap_kommo_chats.kommo.failures import MayPassError, OversizedError
from tap_kommo_chats.kommo.pagination import ROWS_AT_MOST
from tap_kommo_chats.printable import printable

if TYPE_CHECKING:
    import requests

VALID_FOR = timedelta(minutes=15)
"""Documented by Kommo: so long a request is valid from its date."""

_SAID_AT_MOST = 100
_FORBIDS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_REDIRECTED = "redirects are not followed: check api_url"
_SIGNATURE_REFUSED = (
    "the signature was refused: check that channel_secret is the secret of the channel "
    "in scope_id"
)
_FORBIDDEN = (
    "Kommo refuses this conversation: it may not be of this channel (if all are "
    "refused, check channel_secret and scope_id)"
)
_ADVICE: dict[int, str] = {
    HTTPStatus.BAD_REQUEST: "check scope_id and the conversation's id",
    HTTPStatus.NOT_FOUND: "check api_url, scope_id and the conversation's id",
}


@dataclass(frozen=True, slots=True)
class History:
    """What an answer holds.

    Attributes:
        rows: The rows in the server's order. Numbers with a point are `Decimal`, so
            that none is rounded.
        mended: Whether halves of surrogate pairs, which no strict reader takes, were
            replaced by U+FFFD.
    """

    rows: list[Any]
    mended: bool


def read_history(
    response: requests.Response,
    conversation_id: str,
    now: datetime,
    *,
    was_accepted: bool,
    asked_too_much: bool,
) -> History:
    """Take the rows out of an answer, or say whose failure it is.

    An integration may read the chats of its own channel only (documented by Kommo), so
    a 403 may be one conversation's. A page of a firewall is everyone's. So are a clock
    that is wrong and a redirect, as long as no request was answered with a history.

    Args:
        response: Kommo's answer.
        conversation_id: The conversation that was asked for.
        now: The current time, with a time zone.
        was_accepted: Whether a request of this run was answered with one.
        asked_too_much: Whether the server has said before that there were too many
            requests.

    Returns:
        The rows. A 204 has none.

    Raises:
        MayPassError: For 429 and 5xx, and if the body cannot be decoded; it may have
            been cut.
        OversizedError: If there are more rows, or more values in them, than in any
            page.
        RefusedError: For any other code.
        ConversationError: If it holds no history.
        RunError: For what is wrong with all conversations.
    """
    if response.status_code == HTTPStatus.NO_CONTENT:
        return History([], mended=False)
    if response.status_code == HTTPStatus.OK:
        return _decode(response.content, conversation_id)
    answer = _answer(response)
    check_may_pass(response, answer)
    status = response.status_code
    if status not in _FORBIDS and not is_redirect(response):
        advice = _ADVICE.get(status, "this is unexpected: check api_url")
        raise RefusedError(conversation_id, f"{answer}; {advice}", status)
    own = why = _REDIRECTED
    is_certain = not was_accepted
    if status in _FORBIDS:
        own = _FORBIDDEN
        why, is_certain = _why_forbidden(
            response, now, was_accepted=was_accepted, asked_too_much=asked_too_much
        )
    suspicion = f"{answer}; {why}"
    if is_certain:
        raise RunError(suspicion)
    raise RefusedError(conversation_id, f"{answer}; {own}", status, suspicion)


def _decode(content: bytes, conversation_id: str) -> History:
    try:
        body, mended = decode_json(content)
    except RecursionError:
        msg = (
            f"Conversation {conversation_id}: the answer is nested too deep to be "
            "read: tell Kommo's support"
        )
        raise ConversationError(msg) from None
    except ValueError:
        msg = "the answer is not JSON, or was cut: check that api_url is the Chats API"
        raise MayPassError(msg) from None
    rows = body.get("messages") if isinstance(body, dict) else None
    if not isinstance(rows, list):
        msg = (
            f"Conversation {conversation_id}: the answer has no list of messages: "
            "check that api_url is the Chats API"
        )
        raise ConversationError(msg)
    if len(rows) > ROWS_AT_MOST:
        msg = f"more than {ROWS_AT_MOST} rows"
        raise OversizedError(msg)
    return History(rows, mended)


def _answer(response: requests.Response) -> str:
    """Say what Kommo answered: the code, and an error's kind if its body has one.

    The description is left out: a server may quote there what it was sent, or what it
    expected instead.
    """
    body = error_body(response) or {}
    parts = (body.get(name) for name in ("error_type", "title"))
    said = ": ".join(part for part in parts if isinstance(part, str) and part)
    said = re.sub(r"[0-9A-Za-z+/=_-]{24,}", "...", said)
    said = printable(said.strip(), _SAID_AT_MOST)
    return f"Kommo answered {response.status_code}{f' ({said})' if said else ''}"


def _why_forbidden(
    response: requests.Response,
    now: datetime,
    *,
    was_accepted: bool,
    asked_too_much: bool,
) -> tuple[str, bool]:
    """Say why every request would be forbidden, and whether this answer proves it."""
    if "html" in response.headers.get("Content-Type", "").lower():
        return BLOCKED, True
    clock = _clock_flaw(response, now)
    if clock is not None:
        return clock, not was_accepted
    if was_accepted or asked_too_much:
        return BLOCKED, False
    return _SIGNATURE_REFUSED, False


def _clock_flaw(response: requests.Response, now: datetime) -> str | None:
    """Say that this machine's clock is too far from the server's; None if it is not."""
    there = read_date(response.headers.get("Date", ""))
    if there is None or abs(now - there) <= VALID_FOR:
        return None
    minutes = round(abs(now - there).total_seconds() / 60)
    ahead = "ahead of" if now > there else "behind"
    return (
        f"this machine's clock is {minutes} minutes {ahead} the server's, and a "
        "signature is valid for 15: set the clock"
    )
