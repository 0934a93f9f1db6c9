"""What lets a request in: the Chats API's signature, the CRM API's token.

The signature is made in three pure steps, each with its own function: the digest of the
body, the text that is signed, and the signature over it. `signed_headers` puts them
together, and only the two authenticators touch a request.

Documented by Kommo: the four headers, their values, the order of the five lines,
and that a request is valid for 15 minutes from its `Date`.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import TYPE_CHECKING

from requests.auth import AuthBase

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests import PreparedRequest

CONTENT_TYPE = "application/json"
"""The only content type the API takes, also on a request without a body."""


def http_date(moment: datetime) -> str:
    """Write a moment the way the `Date` header wants it.

    `strftime` would follow the machine's locale, so it is not used.

    Args:
        moment: A moment with a time zone, of any offset.

    Returns:
        An RFC 2822 date in UTC, such as `Tue, 13 Dec 2022 11:00:00 +0000`.

    Raises:
        ValueError: If the moment has no time zone.
    """
    if moment.tzinfo is None:
        msg = "a moment without a time zone cannot be dated"
        raise ValueError(msg)
    return format_datetime(moment.astimezone(timezone.utc))


def content_md5(body: bytes) -> str:
    """Digest a request's body.

    Args:
        body: The bytes of the body, empty for a GET.

    Returns:
        The MD5 of the body in lowercase hex.
    """
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def string_to_sign(method: str, digest: str, date: str, path: str) -> str:
    r"""Lay out what is signed.

    Args:
        method: The HTTP method, in any case.
        digest: The `Content-MD5` header's value.
        date: The `Date` header's value.
        path: The URL's path exactly as it is sent, percent-encoding included,
            without scheme, host or query.

    Returns:
        The five lines, joined with `\n`.
    """
    return f"{method.upper()}\n{digest}\n{CONTENT_TYPE}\n{date}\n{path}"


def signature(channel_secret: str, text: str) -> str:
    """Sign a text with the channel secret.

    Args:
        channel_secret: The secret of the channel that owns the conversation.
        text: What `string_to_sign` returned.

    Returns:
        The HMAC-SHA1 in lowercase hex.
    """
    return hmac.new(channel_secret.encode(), text.encode(), hashlib.sha1).hexdigest()


def signed_headers(
    method: str,
    path: str,
    body: bytes,
    channel_secret: str,
    moment: datetime,
) -> dict[str, str]:
    """Make the four headers that let a request in.

    Args:
        method: The HTTP method.
        path: The URL's path exactly as it is sent, without the query.
        body: The bytes of the body, empty for a GET.
        channel_secret: The secret of the channel.
        moment: When the request is sent; it is valid for 15 minutes from then.

    Returns:
        `Date`, `Content-Type`, `Content-MD5` and `X-Signature`.
    """
    date = http_date(moment)
    digest = content_md5(body)
    return {
        "Date": date,
        "Content-Type": CONTENT_TYPE,
        "Content-MD5": digest,
        "X-Signature": signature(
            channel_secret,
            string_to_sign(method, digest, date, path),
        ),
    }


def _now() -> datetime:
    return datetime.now(timezone.utc)


class KommoAuthenticator(AuthBase):
    """Signs a prepared request, anew each time it is called.

    The SDK calls it for every attempt, so a retry carries a fresh date.
    """

    def __init__(
        self,
        channel_secret: str,
        now: Callable[[], datetime] = _now,
    ) -> None:
        """Keep what signing needs.

        Args:
            channel_secret: The secret of the channel.
            now: Tells the current moment, with a time zone.
        """
        self._channel_secret = channel_secret
        self._now = now

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Sign a request in place.

        Args:
            request: A request whose URL and body are final.

        Returns:
            The same request with the four headers set.
        """
        body = request.body or b""
        request.headers.update(
            signed_headers(
                method=request.method or "GET",
                # What requests puts on the wire, so that what is signed cannot
                # differ from what is sent.
                path=request.path_url.partition("?")[0],
                body=body.encode() if isinstance(body, str) else body,
                channel_secret=self._channel_secret,
                moment=self._now(),
            ),
        )
        return request


class BearerToken(AuthBase):
    """Puts a token to a request, as the CRM API asks for it."""

    def __init__(self, token: str) -> None:
        """Keep the token."""
        self._token = token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Put it to a request in place, and return that."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request
