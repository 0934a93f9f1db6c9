"""Servers that send any bytes, also such as no library would."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from typing_extensions import Self


class RawServer:
    """Answers each request on this machine's loopback address with given bytes.

    Attributes:
        port: Where it listens.
        requests: The heads of the requests that came in.
    """

    def __init__(
        self, answer: Callable[[str], bytes | Iterable[bytes | None] | None]
    ) -> None:
        """Say what to answer.

        Args:
            answer: Is given the head of a request. What it returns is sent, piece by
                piece as long as the client takes them; after None, nothing more is,
                and the connection is closed.
        """
        self.requests: list[str] = []
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._connections: list[socket.socket] = []

    def __enter__(self) -> Self:
        """Start to serve."""
        threading.Thread(target=self._accept, name="raw server", daemon=True).start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop to serve and close all connections."""
        for opened in (self._socket, *self._connections):
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
            opened.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self._connections.append(connection)
                threading.Thread(
                    target=self._serve, args=(connection,), daemon=True
                ).start()

    def _serve(self, connection: socket.socket) -> None:
        received = b""
        with contextlib.suppress(OSError), connection:
            while True:
                while b"\r\n\r\n" not in received:
                    piece = connection.recv(65536)
                    if not piece:
                        return
                    received += piece
                head, _, received = received.partition(b"\r\n\r\n")
                self.requests.append(head.decode("latin-1"))
                answer = self._answer(self.requests[-1])
                parts = (
                    [answer] if answer is None or isinstance(answer, bytes) else answer
                )
                for part in parts:
                    if part is None:
                        return
                    connection.sendall(part)


def http_answer(
    body: bytes, *headers: str, status: str = "200 OK", version: str = "HTTP/1.1"
) -> bytes:
    """Write an answer out."""
    head = "\r\n".join(
        (f"{version} {status}", *headers, f"Content-Length: {len(body)}")
    )
    return f"{head}\r\n\r\n".encode("latin-1") + body
