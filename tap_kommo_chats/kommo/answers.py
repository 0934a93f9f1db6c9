"""What is the same in the answers of all of Kommo's hosts.

Documented by Kommo: codes. The bodies of errors are not: they may be JSON of two kinds,
HTML, or empty, so they are read leniently.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from tap_kommo_chats.kommo.failures import MayPassError, OversizedError
from tap_kommo_chats.kommo.large import (
    LARGE,
    VALUES_AT_MOST,
    has_too_many_values,
)
from tap_kommo_chats.times import CALENDAR_MS, SECOND_MS

if TYPE_CHECKING:
    import requests

BLOCKED = (
    "this machine's address is blocked: wait some hours, then lower "
    "requests_per_second, and do not run several taps from one address"
)
"""What to do about a 403 with an HTML page (seen on the CRM's host)."""

_DOUBLES = range(-308, 308)
"""The powers of ten that a double holds, whatever digits stand before them."""

_DIGITS_AT_MOST = 4300
"""What Python reads as an integer, also where it reads what the tap wrote."""

_FRACTION_AT_MOST = 1000
"""Characters of a number with a point. PostgreSQL keeps 16,383 of them."""


def check_may_pass(response: requests.Response, answer: str) -> None:
    """Let through what asking again does not change.

    Args:
        response: Any answer.
        answer: What it was, for the line's beginning.

    Raises:
        MayPassError: For 429 and 5xx.
    """
    if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        msg = f"{answer}; lower requests_per_second, or run fewer taps at once"
        raise MayPassError(msg)
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        msg = f"{answer}; Kommo is in trouble: run again later"
        raise MayPassError(msg)


def is_redirect(response: requests.Response) -> bool:
    """Tell whether an answer leads elsewhere, where signature and token must not go."""
    return HTTPStatus.MULTIPLE_CHOICES <= response.status_code < HTTPStatus.BAD_REQUEST


def error_body(response: requests.Response) -> dict[str, Any] | None:
    """Read the object in an error's body; None if there is none, or a large one."""
    if len(response.content) > LARGE:
        return None
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _number(text: str) -> Decimal | str:
    """Read a number with a point or a power; one that nobody can hold stays text."""
    try:
        number = Decimal(text)
    except InvalidOperation:  # a power that even Decimal does not hold
        return text
    is_sane = number.adjusted() in _DOUBLES and len(text) <= _FRACTION_AT_MOST
    return number if is_sane else text


def _integer(text: str) -> int | str:
    return int(text) if len(text) <= _DIGITS_AT_MOST else text


_DECODER = msgspec.json.Decoder(float_hook=_number)


def decode_json(content: bytes) -> tuple[Any, bool]:
    """Decode JSON, leniently where no value is lost by it.

    Returns:
        The value, its numbers with a point as `Decimal`, and as text those that no
        reader of what is made of it could hold; and whether halves of surrogate pairs
        were replaced by U+FFFD.

    Raises:
        OversizedError: If it has more values than any page.
        ValueError: If it is not JSON.
        RecursionError: If it is nested too deep.
    """
    if has_too_many_values(content):
        msg = f"more than {VALUES_AT_MOST} values"
        raise OversizedError(msg)
    try:
        return _DECODER.decode(content), False
    except ValueError:
        # The standard library reads some of what msgspec takes offence at.
        value = json.loads(
            content, parse_float=_number, parse_int=_integer, parse_constant=str
        )
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


def retry_after_seconds(response: requests.Response) -> float | None:
    """Read how long the server asks to wait.

    Returns:
        Seconds from now, 0 when that is over; None when the answer does not say, or
        not so that it can be read. Never confirmed by Kommo.
    """
    asked = response.headers.get("Retry-After", "").strip()
    if asked.isascii() and asked.isdigit():
        seconds = float(asked)
        # What no calendar has is no time to wait for.
        return seconds if seconds * SECOND_MS < CALENDAR_MS.stop else None
    moment = read_date(asked)
    if moment is None:
        return None
    return max(0.0, (moment - datetime.now(timezone.utc)).total_seconds())


def read_date(text: str) -> datetime | None:
    """Read a date of a header, in UTC if it names no zone; None if it is none."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment
