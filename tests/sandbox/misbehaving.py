"""Sandboxes that misbehave, and connections that see all of it."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sandbox import ConversationStore, Faults, Sandbox
from tests.sandbox.requesting import TIMEOUT, get, headers_for, path_of, store_with

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def misbehaving(
    store: ConversationStore | None = None, **faults: Any
) -> Iterator[Sandbox]:
    with Sandbox(store or store_with(60), faults=Faults(**faults)) as sandbox:
        yield sandbox


def share(name: str, value: float, seed: int = 0) -> Faults:
    values: dict[str, Any] = {name: value, "seed": seed}
    return Faults(**values)


def connected(sandbox: Sandbox) -> socket.socket:
    host, _, port = sandbox.url.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), TIMEOUT)


def request_for(
    sandbox: Sandbox, chat: str = "chat", offset: int = 0, **changes: str
) -> bytes:
    path = path_of(sandbox, chat)
    headers = {"Host": "sandbox", **headers_for(sandbox, path, **changes)}
    lines = [f"GET {path}?offset={offset}&limit=50 HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "", "")).encode()


def read_to_the_end(connection: socket.socket) -> tuple[bytes, str]:
    """Return what came in, and whether it ended with ``FIN`` or ``RST``."""
    received = b""
    while True:
        try:
            part = connection.recv(65_536)
        except ConnectionResetError:
            return received, "RST"
        if not part:
            return received, "FIN"
        received += part


def torn(sandbox: Sandbox, **asked: Any) -> tuple[bytes, bytes, str]:
    """Ask for a page; return headers, body and how the connection ended."""
    with connected(sandbox) as connection:
        connection.sendall(request_for(sandbox, **asked))
        received, end = read_to_the_end(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    return head, body, end


def promised(head: bytes) -> int:
    """Return the Content-Length of headers."""
    (length,) = (
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    return length


def whole_page() -> bytes:
    with Sandbox(store_with(60)) as sandbox:
        return get(sandbox).content


def struck(sandbox: Sandbox) -> list[tuple[int, str | None]]:
    return [(seen.status, seen.fault) for seen in sandbox.requests]
