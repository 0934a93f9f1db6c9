"""Whether a request is signed as Kommo documents it.

The four headers are there and right, the date is fresh, and the signature fits the
path as it came on the wire.
"""

from __future__ import annotations

import hashlib
import hmac
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from sandbox.api import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.api import RequestParts

VALID_FOR_SECONDS = 15 * 60

_HEADERS = ("Date", "Content-Type", "Content-MD5", "X-Signature")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def verify(request: RequestParts, secret: str) -> Refusal | None:
    """Check who asks; the first problem found decides.

    Args:
        request: The request's parts.
        secret: The channel secret that keys the signature.

    Returns:
        The refusal to answer with; None if the request is signed.
    """
    headers: dict[str, str] = {}
    for name in _HEADERS:
        value = request.header(name)
        if value is None:
            return _forbidden(f"The header {name} is missing.")
        headers[name] = value
    return (
        _content_problem(headers, request.body)
        or _date_problem(headers["Date"], request.at)
        or _signature_problem(request, headers, secret)
    )


def _content_problem(headers: Mapping[str, str], body: bytes) -> Refusal | None:
    if headers["Content-Type"] != "application/json":
        return _forbidden("Content-Type is not application/json.")
    # Kommo asks for MD5 here; it guards nothing, the signature does.
    if headers["Content-MD5"] != hashlib.md5(body, usedforsecurity=False).hexdigest():
        return _forbidden("Content-MD5 is not the lowercase hex MD5 of the body.")
    return None


def _date_problem(value: str, now: float) -> Refusal | None:
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return _forbidden("Date is not an RFC 2822 date.")
    # The parser skips over the name of the day. A date written in the language
    # of the sender's machine often differs in nothing else.
    day, comma, _ = value.partition(",")
    if comma and day != _DAYS[date.weekday()]:
        return _forbidden("Date names a day that is not its own.")
    if date.tzinfo is None:
        return _forbidden("Date has no time zone.")
    if abs(now - date.timestamp()) > VALID_FOR_SECONDS:
        return _forbidden("Date is more than 15 minutes away from now.")
    return None


def _signature_problem(
    request: RequestParts, headers: Mapping[str, str], secret: str
) -> Refusal | None:
    signed = "\n".join(
        (
            request.method.upper(),
            headers["Content-MD5"],
            headers["Content-Type"],
            headers["Date"],
            request.target.partition("?")[0],
        )
    )
    expected = hmac.new(secret.encode(), _wire_bytes(signed), "sha1").hexdigest()
    # Bytes, because comparing text digests raises for letters beyond ASCII.
    if not hmac.compare_digest(expected.encode(), _wire_bytes(headers["X-Signature"])):
        return _forbidden("X-Signature does not fit the request.")
    return None


def _forbidden(description: str) -> Refusal:
    return Refusal(403, description)


def _wire_bytes(text: str) -> bytes:
    # The server hands bytes that are not UTF-8 over as lone surrogates.
    return text.encode("utf-8", "surrogateescape")
