"""Sending requests so that no answer can hold the run up or fill its memory.

`requests` limits silence only: a server that sends a byte now and then could keep a
worker for ever. Here the whole answer, headers and body, has a deadline, and the body
has a greatest size, counted after it was unpacked.
"""

from __future__ import annotations

import http.client
import io
import time
from typing import TYPE_CHECKING, Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from tap_kommo_chats.kommo.failures import OversizedError

if TYPE_CHECKING:
    import socket

    from _typeshed import WriteableBuffer

    from tap_kommo_chats.kommo.route import Route

BODY_AT_MOST = 32 * 1024 * 1024
"""Bytes. A page of 50 messages is far from it."""

DEADLINE_FACTOR = 2
"""A whole answer may take so many times the time that silence may last."""

_CHUNK = 64 * 1024


class _DeadlineReader(io.RawIOBase):
    """Reads a socket until a deadline, however small the pieces that come."""

    def __init__(self, raw: io.RawIOBase, connection: socket.socket) -> None:
        self._raw = raw
        self._socket = connection
        self._silence = connection.gettimeout()
        self._deadline = (
            None
            if self._silence is None
            else time.monotonic() + DEADLINE_FACTOR * self._silence
        )

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        if self._silence is not None and self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                msg = "the answer took too long"
                raise TimeoutError(msg)
            self._socket.settimeout(min(self._silence, left))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _DeadlineResponse(http.client.HTTPResponse):
    """Starts the clock when the request has been sent."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(
            _DeadlineReader(self.fp.detach(), sock), buffer_size=_CHUNK
        )


class _Connection(HTTPConnection):
    response_class = _DeadlineResponse


class _SecureConnection(HTTPSConnection):
    response_class = _DeadlineResponse


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
            OversizedError: If the body is larger than `BODY_AT_MOST`.
            requests.exceptions.ChunkedEncodingError: If the body breaks off.
            requests.exceptions.RequestException: Whatever else goes wrong.
        """
        response = super().send(request, *args, **{**kwargs, "stream": True})
        body = io.BytesIO()
        try:
            for chunk in response.raw.stream(_CHUNK, decode_content=True):
                body.write(chunk)
                if body.tell() > BODY_AT_MOST:
                    msg = f"the answer is larger than {BODY_AT_MOST} bytes"
                    raise OversizedError(msg)
        except urllib3.exceptions.HTTPError as error:
            raise requests.exceptions.ChunkedEncodingError(error) from error
        finally:
            response.close()
        body.seek(0)
        response.raw = body
        # requests would take it apart even though it is not to be followed.
        response.headers.pop("Location", None)
        return response


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
    session.proxies = dict(route.proxies)
    session.verify = route.verify
    session.trust_env = False
    return session
