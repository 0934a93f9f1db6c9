"""What an answer of the history endpoint means: rows, or a failure to tell of.

Documented by Kommo: 200, 204, 400 and 403. The bodies of errors are not: they may be
JSON of two kinds, HTML, or empty, so they are read leniently.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
import requests
import urllib3
from singer_sdk.exceptions import RetriableAPIError
from urllib3.exceptions import NameResolutionError

from tap_kommo_chats.errors import ConversationError, RunError
from tap_kommo_chats.kommo.transport import OversizedError

if TYPE_CHECKING:
    from collections.abc import Iterator

_DECODER = msgspec.json.Decoder(float_hook=Decimal)


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


def decode_history(response: requests.Response, conversation_id: str) -> History:
    """Take the rows out of an answer.

    Args:
        response: A 200 or a 204 of the history endpoint.
        conversation_id: The conversation that was asked for.

    Returns:
        The rows. A 204 has none.

    Raises:
        RetriableAPIError: If the body cannot be decoded; it may have been cut.
        ConversationError: If it is decoded and no history.
    """
    if response.status_code == HTTPStatus.NO_CONTENT:
        return History([], mended=False)
    where = f"Conversation {conversation_id}: "
    try:
        body, mended = decode_json(response.content)
    except RecursionError:
        msg = f"{where}the answer is nested too deep to be read: tell Kommo's support"
        raise ConversationError(msg) from None
    except ValueError:
        msg = (
            f"{where}the answer is not JSON, or was cut: check that api_url is the "
            "Chats API"
        )
        raise RetriableAPIError(msg, response) from None
    rows = body.get("messages") if isinstance(body, dict) else None
    if not isinstance(rows, list):
        msg = (
            f"{where}the answer has no list of messages: check that api_url is the "
            "Chats API"
        )
        raise ConversationError(msg)
    return History(rows, mended)


def decode_json(content: bytes) -> tuple[Any, bool]:
    """Decode JSON, leniently where no value is lost by it.

    Args:
        content: The bytes.

    Returns:
        The value, its numbers with a point as `Decimal`; and whether halves of
        surrogate pairs were replaced by U+FFFD.

    Raises:
        ValueError: If it is not JSON.
        RecursionError: If it is nested too deep.
    """
    try:
        return _DECODER.decode(content), False
    except ValueError:
        # The standard library reads some of what msgspec takes offence at.
        value = json.loads(content, parse_float=Decimal, parse_constant=str)
        mended = _without_half_pairs(value)
        return mended, mended != value


def _without_half_pairs(value: object) -> object:
    """Replace halves of surrogate pairs, which no strict reader of UTF-8 takes."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_half_pairs(item) for item in value]
    if isinstance(value, dict):
        mended: dict[str, object] = {}
        for name, item in value.items():
            mended_name = str(_without_half_pairs(name))
            # Two names may differ in such a half only, and both values are kept.
            while mended_name in mended:
                mended_name += "\ufffd"
            mended[mended_name] = _without_half_pairs(item)
        return mended
    return value


def check_status(
    response: requests.Response,
    conversation_id: str,
    now: datetime,
    *,
    asked_too_much: bool,
) -> None:
    """Tell an answer from a failure, and whose failure it is.

    Args:
        response: Kommo's answer.
        conversation_id: The conversation that was asked for.
        now: The current time, with a time zone.
        asked_too_much: Whether the server has said before that there were too many
            requests.

    Raises:
        RetriableAPIError: For 429 and 5xx, which may pass.
        ConversationError: For what is wrong with this conversation.
        RunError: For what is wrong with all of them.
    """
    status = response.status_code
    if status in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}:
        return
    said = _what_it_said(response)
    answer = f"Kommo answered {status}{f' ({said})' if said else ''}"
    where = f"Conversation {conversation_id}: "
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        msg = f"{where}{answer}; lower requests_per_second, or run fewer taps at once"
        raise RetriableAPIError(msg, response)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        msg = f"{where}{answer}; Kommo is in trouble: run again later"
        raise RetriableAPIError(msg, response)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        msg = f"{answer}; {_refusal(response, now, asked_too_much)}"
        raise RunError(msg)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        msg = f"{answer}; redirects are not followed: check api_url"
        raise RunError(msg)
    advice = _ADVICE.get(status, "this is unexpected: check api_url")
    msg = f"{where}{answer}; {advice}"
    raise ConversationError(msg)


_ADVICE: dict[int, str] = {
    HTTPStatus.BAD_REQUEST: "check scope_id and the conversation's id",
    HTTPStatus.NOT_FOUND: "check api_url, scope_id and the conversation's id",
}

_VALID_FOR = timedelta(minutes=15)
"""Documented by Kommo: so long a request is valid from its date."""


def _refusal(response: requests.Response, now: datetime, asked_too_much: bool) -> str:  # noqa: FBT001 (passed on by position)
    """Tell why a request was forbidden, and what to do."""
    is_page = "html" in response.headers.get("Content-Type", "").lower()
    if is_page or asked_too_much:
        return (
            "this machine's address is blocked: wait some hours, then lower "
            "requests_per_second, and do not run several taps from one address"
        )
    there = _moment(response.headers.get("Date", ""))
    if there is not None and abs(now - there) > _VALID_FOR:
        minutes = round(abs(now - there).total_seconds() / 60)
        ahead = "ahead of" if now > there else "behind"
        return (
            f"this machine's clock is {minutes} minutes {ahead} the server's, and a "
            "signature is valid for 15: set the clock"
        )
    return (
        "the signature was refused: check that channel_secret is the secret of the "
        "channel in scope_id"
    )


def unreachable(error: Exception, api_url: str) -> str:
    """Tell why no answer came.

    Args:
        error: What `requests` raised.
        api_url: Where the request went.

    Returns:
        One line with the host, the cause and what to do.
    """
    causes = list(_causes(error))
    for kinds, advice in _UNREACHABLE:
        if any(isinstance(cause, kinds) for cause in causes):
            return f"{api_url} {advice}"
    return f"{api_url} broke the connection off: check the network"


def will_not_pass(error: Exception) -> bool:
    """Tell whether no answer came for a reason that does not go away by itself.

    Args:
        error: What `requests` raised.
    """
    lasting = (
        NameResolutionError,
        ConnectionRefusedError,
        requests.exceptions.SSLError,
        urllib3.exceptions.SSLError,
    )
    return any(isinstance(cause, lasting) for cause in _causes(error))


_UNREACHABLE: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((NameResolutionError,), "cannot be resolved to an address: check api_url and DNS"),
    (
        (requests.exceptions.SSLError, urllib3.exceptions.SSLError),
        "cannot be trusted, TLS failed: check api_url, this machine's clock and CAs",
    ),
    ((OversizedError,), "gave an answer larger than any page can be: check api_url"),
    ((ConnectionRefusedError,), "refuses connections: check api_url"),
    (
        (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError),
        "does not answer in time: check the network, or raise request_timeout",
    ),
)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Go through what caused an error, however the libraries wrapped it."""
    while error is not None:
        yield error
        inner = getattr(error, "reason", None) or next(iter(error.args), None)
        error = (
            inner
            if isinstance(inner, BaseException)
            else error.__cause__ or error.__context__
        )


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
    moment = _moment(asked)
    if moment is None:
        return None
    return max(0.0, (moment - datetime.now(timezone.utc)).total_seconds())


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment


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
