"""Answers that go out in a way no server means to: slowly, in part, or torn off."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Literal, NoReturn

from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter

    Ending = Literal["whole", "reset_before", "reset_within", "truncated"]


class WireAnswer(web.StreamResponse):
    """An answer written straight to the connection.

    aiohttp asks an answer to ``prepare`` and to ``write_eof``. Here the first does
    all the writing, so aiohttp neither completes nor mends what is sent.
    """

    def __init__(
        self,
        answer: web.Response,
        *,
        ending: Ending = "whole",
        pause: float | None = None,
        pause_in_headers: bool = False,
    ) -> None:
        """Take an answer and say how it goes out.

        Args:
            answer: The answer.
            ending: ``whole``, or after how much of it the connection ends and how:
                see the faults of these names.
            pause: Seconds to wait after each byte of the body; None for no such
                thing.
            pause_in_headers: Wait after each byte of the headers as well.
        """
        super().__init__(status=answer.status, headers=answer.headers)
        body = answer.body or b""
        # Only bytes are handed in; aiohttp would take other things too.
        assert isinstance(body, bytes)  # noqa: S101 - tells the type checker
        self._whole_body = body
        self._ending = ending
        self._pause = pause
        self._pause_in_headers = pause_in_headers
        self._stays_open = False

    @property
    def keep_alive(self) -> bool:
        """Whether another request may follow on the connection."""
        return self._stays_open

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the answer.

        Raises:
            ConnectionResetError: The connection is gone. aiohttp takes this quietly.
        """
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        transport.set_write_buffer_limits(high=0)
        self._stays_open = self._ending == "whole" and bool(request.keep_alive)
        if self._ending != "reset_before":
            await self._send(transport)
            # With the limit at 0, this waits until the system has taken everything.
            await request.writer.drain()
        if self._ending == "truncated":
            transport.close()
        elif self._ending != "whole":
            _reset(transport)
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing: all is sent."""

    async def _send(self, transport: asyncio.Transport) -> None:
        body = self._whole_body
        if self._ending != "whole":
            body = body[: len(body) // 2]
        pause_in_headers = self._pause if self._pause_in_headers else None
        await _write(transport, self._head(), pause_in_headers)
        await _write(transport, body, self._pause)

    def _head(self) -> bytes:
        headers = self.headers.copy()
        if self.status != web.HTTPNoContent.status_code:
            headers["Content-Length"] = str(len(self._whole_body))
        # An end that is a fault is not announced.
        if self._ending == "whole" and not self._stays_open:
            headers["Connection"] = "close"
        lines = [f"HTTP/1.1 {self.status} {self.reason}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join((*lines, "", "")).encode()


async def _write(
    transport: asyncio.Transport, data: bytes, pause: float | None
) -> None:
    if pause is None:
        transport.write(data)
        return
    for byte in data:
        # Nothing else tells that the client has left.
        if transport.is_closing():
            raise ConnectionResetError
        transport.write(bytes((byte,)))
        await asyncio.sleep(pause)


def _reset(transport: asyncio.Transport) -> NoReturn:
    if not transport.is_closing():
        # Closing without lingering is what makes the system send RST and not FIN.
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
    transport.abort()
    raise ConnectionResetError
