"""What an answer of the history endpoint means: rows, or a failure to tell of.

Documented by Kommo: 200, 204, 400 and 403. The bodies of errors are not: they may be
JSON of two kinds, HTML, or empty, so they are read leniently.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from decimal import Decimal
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk.exceptions import FatalAPIError

if TYPE_CHECKING:
    import requests

_DECODER = msgspec.json.Decoder(float_hook=Decimal)


def decode_history(response: requests.Response) -> list[Any]:
    """Take the rows out of an answer.

    Args:
        response: A 200 or a 204 of the history endpoint.

    Returns:
        The rows in the server's order. A 204 has none. Numbers with a point are
        `Decimal`, so that none is rounded.

    Raises:
        FatalAPIError: If the body is not an object with a list of messages.
    """
    if response.status_code == HTTPStatus.NO_CONTENT:
        return []
    try:
        body = _DECODER.decode(response.content)
    except (ValueError, RecursionError):
        # What msgspec takes offence at, such as half of a surrogate pair, the standard
        # library may still read.
        body = _decode_leniently(response.content)
    rows = body.get("messages") if isinstance(body, dict) else None
    if not isinstance(rows, list):
        msg = (
            "the answer is not a history (JSON with a list of messages): check that "
            "api_url is the Chats API"
        )
        raise FatalAPIError(msg)
    return rows


def _decode_leniently(content: bytes) -> object:
    try:
        return json.loads(content, parse_float=Decimal)
    except (ValueError, RecursionError):
        return None


_REFUSED = (
    "the signature was refused: check that channel_secret is the secret of the channel "
    "in scope_id, and that this machine's clock is right"
)
_ADVICE: dict[int, str] = {
    HTTPStatus.BAD_REQUEST: "check scope_id and the conversation's id",
    HTTPStatus.UNAUTHORIZED: _REFUSED,
    HTTPStatus.FORBIDDEN: _REFUSED,
    HTTPStatus.NOT_FOUND: "check api_url and scope_id",
    HTTPStatus.TOO_MANY_REQUESTS: "too many requests: run fewer taps at once",
}


def is_too_many(response: requests.Response | None) -> bool:
    """Tell whether an answer says that there were too many requests.

    Args:
        response: Any answer, or None for none.
    """
    return response is not None and (
        response.status_code == HTTPStatus.TOO_MANY_REQUESTS
    )


def retry_after_seconds(response: requests.Response | None) -> float | None:
    """Read how long the server asks to wait.

    Args:
        response: Any answer, or None for none.

    Returns:
        Seconds from now, 0 when that is over; None when the answer does not say, or
        not so that it can be read. Never confirmed by Kommo.
    """
    asked = "" if response is None else response.headers.get("Retry-After", "").strip()
    if asked.isascii() and asked.isdigit():
        return float(asked)
    try:
        moment = parsedate_to_datetime(asked)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - datetime.now(timezone.utc)).total_seconds())


def describe_error(response: requests.Response, conversation_id: str) -> str:
    """Tell an operator what an error answer means.

    Args:
        response: An answer that is neither 200 nor 204.
        conversation_id: The conversation that was asked for.

    Returns:
        One line: the conversation, the status, what Kommo said if it can be read,
        and what to do. It has no secret and no text of a message.
    """
    status = response.status_code
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        advice = "Kommo is in trouble: run again later"
    elif HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        advice = "redirects are not followed: check api_url"
    else:
        advice = _ADVICE.get(status, "this is unexpected: check api_url")
    said = _what_it_said(response)
    return (
        f"Conversation {conversation_id}: Kommo answered {status}"
        f"{f' ({said})' if said else ''}; {advice}"
    )


_SAID_AT_MOST = 100


def _what_it_said(response: requests.Response) -> str:
    """Read an error's kind from its body, or nothing.

    Its description is left out: a server may quote there what it was sent, or what it
    expected instead.
    """
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(body, dict):
        return ""
    parts = (body.get(name) for name in ("error_type", "title"))
    said = ": ".join(part for part in parts if isinstance(part, str) and part)
    said = re.sub(r"[0-9A-Za-z+/=_-]{24,}", "...", said)
    return " ".join(said.split())[:_SAID_AT_MOST]
