"""Sending requests so that no answer can hold the run up or fill its memory.

`requests` limits silence only: a server that sends a byte now and then could keep a
worker for ever. Here the whole answer, headers and body, has a deadline, and its head,
its body after it was unpacked, and what comes over the wire have a greatest size each.
"""

from __future__ import annotations

import http.client
import io
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from tap_kommo_chats.kommo.failures import OversizedError, causes

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from _typeshed import WriteableBuffer

    from tap_kommo_chats.kommo.route import Route

BODY_AT_MOST = 4 * 1024 * 1024
"""Bytes. A page of 50 messages has 25 kB, and 4 MB if each has 14,000 characters that
are written as six bytes. In memory a text takes up to four times its bytes."""

HEAD_AT_MOST = 256 * 1024
"""Bytes of status and headers, and of all that a server says before them."""

WIRE_FACTOR = 2
"""So many times the greatest body may come over the wire, with all that frames it."""

DEADLINE_FACTOR = 2
"""A whole answer may take so many times the time that silence may last."""

_CHUNK = 64 * 1024
_PACKINGS = ("gzip", "deflate")
"""Others need packages of their own, or room for what they look back on."""


class _BoundedReader(io.RawIOBase):
    """Reads a socket until a deadline, however small the pieces that come.

    Attributes:
        left: How many bytes may still come.
    """

    def __init__(self, raw: io.RawIOBase, connection: socket.socket) -> None:
        self._raw = raw
        self._socket = connection
        self._silence = connection.gettimeout()
        self._deadline = (
            None
            if self._silence is None
            else time.monotonic() + DEADLINE_FACTOR * self._silence
        )
        self.left = HEAD_AT_MOST

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        if self._silence is not None and self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                msg = "the answer took too long"
                raise TimeoutError(msg)
            self._socket.settimeout(min(self._silence, left))
        count = self._raw.readinto(buffer)
        self.left -= count or 0
        if self.left < 0:
            msg = "more came over the wire than any answer needs"
            raise OversizedError(msg)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedResponse(http.client.HTTPResponse):
    """Starts the clock when the request has been sent."""

    headers: Any

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._reader = _BoundedReader(self.fp.detach(), sock)
        self.fp = io.BufferedReader(self._reader, buffer_size=_CHUNK)

    def begin(self) -> None:
        """Read status and headers, without cookies, which nothing here needs.

        The standard library takes a 103, and whatever else may come before an answer
        (RFC 9110, 15.2), for the answer. What follows it would then be taken for the
        answer to the next request, which is for another conversation.
        """
        super().begin()
        while self.status < HTTPStatus.OK:
            self.headers = None  # it has not begun
            super().begin()
        del self.headers["Set-Cookie"]
        self._reader.left = WIRE_FACTOR * BODY_AT_MOST


class _Connection(HTTPConnection):
    response_class = _BoundedResponse


class _SecureConnection(HTTPSConnection):
    response_class = _BoundedResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


class BoundedAdapter(HTTPAdapter):
    """Sends requests, and reads answers whole, within their bounds."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make connections whose answers have a deadline."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> urllib3.ProxyManager:
        """Make connections through a proxy whose answers have a deadline too."""
        manager: urllib3.ProxyManager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        """Send a request and read its answer whole.

        Args:
            request: The request.
            args: As `requests` passes them.
            kwargs: As `requests` passes them.

        Returns:
            The answer, with its body read.

        Raises:
            OversizedError: If the answer is larger than any can be.
            requests.exceptions.ChunkedEncodingError: If the body breaks off.
            requests.exceptions.RequestException: Whatever else goes wrong.
        """
        try:
            response = super().send(request, *args, **{**kwargs, "stream": True})
            try:
                body = _whole(response)
            finally:
                response.close()
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            # The libraries wrap it as they do what may pass.
            if any(isinstance(cause, OversizedError) for cause in causes(error)):
                raise OversizedError(error) from error
            if isinstance(error, requests.RequestException):
                raise
            raise requests.exceptions.ChunkedEncodingError(error) from error
        response.raw = body
        # requests would take it apart even though it is not to be followed.
        response.headers.pop("Location", None)
        return response


class _Body(io.BytesIO):
    """A body, which requests gets in one piece and so does not copy."""

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self.getvalue()


def _whole(response: requests.Response) -> _Body:
    """Read a body, unpacked if it came in one of the ways that were asked for."""
    packed = response.headers.get("Content-Encoding", "").strip().lower() in _PACKINGS
    body = _Body()
    try:
        for chunk in response.raw.stream(_CHUNK, decode_content=packed):
            body.write(chunk)
            if body.tell() > BODY_AT_MOST:
                msg = f"the answer is larger than {BODY_AT_MOST} bytes"
                raise OversizedError(msg)
    except ValueError as error:  # a chunk of less than no bytes
        raise requests.exceptions.ChunkedEncodingError(error) from error
    return body


def new_session(route: Route) -> requests.Session:
    """Make a session for one worker.

    Args:
        route: Which way its requests go.

    Returns:
        A session whose answers are bounded, with connections of its own.
    """
    session = requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, BoundedAdapter())
    session.headers["Accept-Encoding"] = ", ".join(_PACKINGS)
    session.proxies = dict(route.proxies)
    session.verify = route.verify
    session.trust_env = False
    return session
