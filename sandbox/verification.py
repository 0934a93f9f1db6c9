"""Says what is wrong with a history request, from the request's parts alone.

The checks run in this order, and the first that fails decides the answer:

1. the path is the history path of the known scope (404), the method GET (405);
2. the four headers are there and right, the date is fresh (403);
3. the signature fits the path as it came on the wire (403);
4. ``offset`` and ``limit`` are within bounds (400).

Kommo documents the rules and the codes 400 and 403. The codes 404 and 405 and
the order of the checks are inferred.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

VALID_FOR_SECONDS = 15 * 60
MAX_OFFSET = 2**31 - 1
MAX_LIMIT = 50

_HISTORY_PATH = re.compile(r"/v2/origin/custom/([^/]+)/chats/([^/]+)/history")
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class RequestParts:
    """What a check needs of a request.

    Attributes:
        method: The HTTP method as sent.
        target: Path and query as they came on the wire, nothing decoded.
        headers: Header values by name; the case of the names does not matter.
        body: The body's bytes.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class PageRequest:
    """A request in order: the page it asks for.

    Attributes:
        conversation_id: The conversation's id, percent-decoded.
        offset: Messages to skip, counted from the newest.
        limit: The most messages to answer with.
    """

    conversation_id: str
    offset: int
    limit: int


@dataclass(frozen=True)
class Refusal:
    """A request that is not in order: the answer it gets, and what was readable.

    Attributes:
        status: The HTTP status to answer with.
        kind: The problem as a constant.
        description: The problem as a sentence. It never quotes a secret or a
            signature.
        conversation_id: The conversation asked for, where the path names one.
        offset: The offset asked for, where it is an integer.
        limit: The limit asked for, where it is an integer.
    """

    status: int
    kind: str
    description: str
    conversation_id: str | None
    offset: int | None
    limit: int | None


@dataclass(frozen=True)
class _Problem:
    status: int
    kind: str
    description: str


def check(
    request: RequestParts, *, secret: str, scope_id: str, now: float
) -> PageRequest | Refusal:
    """Check one request.

    Args:
        request: The request's parts.
        secret: The channel secret that keys the signature.
        scope_id: The only scope that exists.
        now: The server's time, in seconds since 1970 (UTC).

    Returns:
        The page to serve, or the refusal to answer with.
    """
    path, _, query = request.target.partition("?")
    # Names are compared in lower case because HTTP does not tell case apart.
    headers = {name.lower(): value for name, value in request.headers.items()}
    conversation_id = conversation_in(path, scope_id)
    parameters = parse_qs(query, keep_blank_values=True)
    offset = _integer(parameters.get("offset", []))
    limit = _integer(parameters.get("limit", []))
    problem = (
        _path_problem(conversation_id)
        or _method_problem(request.method)
        or _header_problem(headers, request.body)
        or _date_problem(headers, now)
        or _signature_problem(request.method, path, headers, secret)
        or _range_problem("offset", offset, 0, MAX_OFFSET)
        or _range_problem("limit", limit, 1, MAX_LIMIT)
    )
    if problem is None and conversation_id and offset is not None and limit is not None:
        return PageRequest(conversation_id, offset, limit)
    # A request without a problem has all three values, so there is one here.
    assert problem is not None  # noqa: S101 - states an invariant for the reader
    return Refusal(
        status=problem.status,
        kind=problem.kind,
        description=problem.description,
        conversation_id=conversation_id,
        offset=offset,
        limit=limit,
    )


def conversation_in(path: str, scope_id: str) -> str | None:
    """Return the conversation a path names, percent-decoded; None if it names none.

    Args:
        path: The path as it came on the wire, without the query.
        scope_id: The only scope that exists.
    """
    match = _HISTORY_PATH.fullmatch(path)
    # Split before decoding: an encoded slash belongs to the id.
    if match is None or unquote(match[1]) != scope_id:
        return None
    return unquote(match[2])


def _integer(values: list[str]) -> int | None:
    """Read a parameter given once as plain ASCII digits.

    ``int()`` alone would also take spaces, underscores and foreign digits.
    """
    if len(values) != 1 or not _INTEGER.fullmatch(values[0]):
        return None
    return int(values[0])


def _path_problem(conversation_id: str | None) -> _Problem | None:
    if conversation_id is None:
        return _Problem(404, "NOT_FOUND", "There is nothing at this path.")
    return None


def _method_problem(method: str) -> _Problem | None:
    if method != "GET":
        return _Problem(405, "METHOD_NOT_ALLOWED", "The history is read with GET.")
    return None


def _header_problem(headers: Mapping[str, str], body: bytes) -> _Problem | None:
    for name in ("Date", "Content-Type", "Content-MD5", "X-Signature"):
        if name.lower() not in headers:
            return _forbidden(f"The header {name} is missing.")
    if headers["content-type"] != "application/json":
        return _forbidden("Content-Type is not application/json.")
    # Kommo asks for MD5 here; it guards nothing, the signature does.
    if headers["content-md5"] != hashlib.md5(body, usedforsecurity=False).hexdigest():
        return _forbidden("Content-MD5 is not the lowercase hex MD5 of the body.")
    return None


def _date_problem(headers: Mapping[str, str], now: float) -> _Problem | None:
    value = headers["date"]
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
    method: str, path: str, headers: Mapping[str, str], secret: str
) -> _Problem | None:
    signed = "\n".join(
        (
            method.upper(),
            headers["content-md5"],
            headers["content-type"],
            headers["date"],
            path,
        )
    )
    expected = hmac.new(secret.encode(), _wire_bytes(signed), "sha1").hexdigest()
    # Bytes, because comparing text digests raises for letters beyond ASCII.
    if not hmac.compare_digest(expected.encode(), _wire_bytes(headers["x-signature"])):
        return _forbidden("X-Signature does not fit the request.")
    return None


def _range_problem(
    name: str, value: int | None, least: int, most: int
) -> _Problem | None:
    if value is None or not least <= value <= most:
        return _Problem(
            400, "BAD_REQUEST", f"{name} has to be one integer, {least} to {most}."
        )
    return None


def _forbidden(description: str) -> _Problem:
    return _Problem(403, "FORBIDDEN", description)


def _wire_bytes(text: str) -> bytes:
    # The server hands bytes that are not UTF-8 over as lone surrogates.
    return text.encode("utf-8", "surrogateescape")
