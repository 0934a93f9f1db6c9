"""A server that answers like Kommo's history endpoint and gets in nobody's way.

The sandbox checks what is asked and is as slow as that takes; this one is to be never
what a benchmark waits for. It reads no more of a request than it needs, on asyncio's
bare protocol, and a latency keeps no other request waiting.

Run as ``python -m benchmarks.server``, it prints its port and serves until its input is
closed. ``GET /_bench/stats`` tells what it saw, ``GET /_bench/reset`` forgets that, and
``GET /_bench/add?conversations=50&messages=3`` lets messages arrive. With a time in
milliseconds, as in ``&since_ms=1700000000000``, they arrive all over the day after it
and the CRM, whose answers are the sandbox's, tells of each.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl

from benchmarks.workload import (
    MEAN_LENGTH,
    SCOPE_ID,
    Arrival,
    conversation_id,
    message_id,
    page,
    sent_ms,
    spread_lengths,
    spread_places,
)
from sandbox import CRM_ROOT, CrmApi, CrmStore, Refusal, RequestParts

_END_OF_HEAD = b"\r\n\r\n"
_HISTORY = re.compile(
    rb"GET /v2/origin/custom/"
    + SCOPE_ID.encode()
    + rb"/chats/([0-9a-f]{8})[-0-9a-f]*/history\?([^ ]*) HTTP/1.1\r\n",
)
_CRM = re.compile(rb"GET (" + CRM_ROOT.encode() + rb"/[^ ]*) HTTP/1.1\r\n")
_TOKEN = re.compile(rb"\r\nAuthorization: *([^\r]*)\r\n", re.IGNORECASE)
_CONTROL = re.compile(rb"GET /_bench/([a-z]+)(?:\?([^ ]*))? HTTP/1.1\r\n")
_SIGNATURE = re.compile(rb"\r\nX-Signature: *[0-9a-f]{40}\r\n", re.IGNORECASE)
_JSON = b"Content-Type: application/json; charset=utf-8\r\n"


@dataclass
class Bench:
    """What is served, how, and what was seen.

    Attributes:
        lengths: How many messages each conversation has.
        latency: Seconds between a request and its answer.
        allowed: Requests in any second that are answered, the rest get 429; 0 for all.
            Those to the CRM do not count, because it has a host of its own.
    """

    lengths: list[int]
    latency: float = 0.0
    allowed: int = 0
    _arrivals: list[float] = field(default_factory=list)
    _let_in: deque[float] = field(default_factory=deque)
    _refused: int = 0
    _arrived: dict[int, Arrival] = field(default_factory=dict)
    _crm: CrmApi = field(default_factory=lambda: CrmApi(CrmStore()))
    _crm_arrivals: list[float] = field(default_factory=list)

    def answer(self, request: bytes) -> tuple[bytes, float]:
        """Answer one request.

        Args:
            request: Its head.

        Returns:
            The whole response, and after how many seconds it is due.
        """
        found = _HISTORY.match(request)
        if found is None:
            asked_crm = _CRM.match(request)
            if asked_crm is None:
                return self._control(request), 0.0
            self._crm_arrivals.append(time.monotonic())
            return self._crm_answer(asked_crm[1].decode(), request), self.latency
        now = time.monotonic()
        self._arrivals.append(now)
        if not self._lets_in(now):
            self._refused += 1
            return _response(b"429 Too Many Requests"), self.latency
        if not _SIGNATURE.search(request):
            return _response(b"403 Forbidden"), self.latency
        asked = dict(parse_qsl(found[2].decode()))
        number = int(found[1], 16)
        body = page(
            number,
            self.lengths[number],
            int(asked["offset"]),
            int(asked["limit"]),
            self._arrived.get(number),
        )
        status = b"200 OK" if body else b"204 No Content"
        return _response(status, body), self.latency

    def _lets_in(self, now: float) -> bool:
        if not self.allowed:
            return True
        while self._let_in and self._let_in[0] <= now - 1.0:
            self._let_in.popleft()
        if len(self._let_in) >= self.allowed:
            return False
        self._let_in.append(now)
        return True

    def _crm_answer(self, target: str, request: bytes) -> bytes:
        token = _TOKEN.search(request)
        headers = {"Authorization": token[1].decode()} if token else {}
        # No host in its links: the tap takes no more of them than the query.
        asked = self._crm.check(RequestParts("GET", target, headers))
        if isinstance(asked, Refusal):
            return _response(b"%d Refused" % asked.status)
        answer = self._crm.answer(asked)
        if answer.status == HTTPStatus.NO_CONTENT:
            return _response(b"204 No Content")
        return _response(b"%d -" % answer.status, json.dumps(answer.content).encode())

    def _control(self, request: bytes) -> bytes:
        found = _CONTROL.match(request)
        command = found[1] if found else b""
        if command == b"stats":
            return _response(b"200 OK", json.dumps(self._stats()).encode())
        if command == b"reset":
            self._arrivals.clear()
            self._refused = 0
            self._crm_arrivals.clear()
            return _response(b"204 No Content")
        if found and command == b"add":
            asked = dict(parse_qsl(found[2].decode()))
            messages, since_ms = int(asked["messages"]), asked.get("since_ms")
            for number in spread_places(int(asked["conversations"]), len(self.lengths)):
                if since_ms is not None:
                    self._arrive(number, messages, int(since_ms))
                self.lengths[number] += messages
            return _response(b"204 No Content")
        return _response(b"404 Not Found")

    def _arrive(self, number: int, messages: int, since_ms: int) -> None:
        """Say when new messages of a conversation come, and let the CRM tell of them.

        Talks of other conversations are left out: nobody asks for them.
        """
        after = self.lengths[number]
        arrival = Arrival(since_ms, after, messages)
        self._arrived[number] = arrival
        chat_id = conversation_id(number)
        began_at = sent_ms(number, 0) // 1000
        self._crm.store.talks.add(
            number + 1, chat_id, created_at=began_at, updated_at=began_at
        )
        for place in range(after, after + messages):
            self._crm.store.message_arrived(
                chat_id,
                message_id(number, place),
                at=sent_ms(number, place, arrival) // 1000,
                incoming=place % 2 == 0,
            )

    def _stats(self) -> dict[str, float]:
        return {
            "requests": len(self._arrivals),
            "seconds": _seconds(self._arrivals),
            "crm_requests": len(self._crm_arrivals),
            "crm_seconds": _seconds(self._crm_arrivals),
            "refused": self._refused,
            "most_in_a_second": _most_in_a_second(self._arrivals),
            "messages": sum(self.lengths),
        }


class _Connection(asyncio.Protocol):
    """One client's connection, kept alive. Requests come one after the other."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._received = b""
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101 (for mypy)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while _END_OF_HEAD in self._received:
            request, _, self._received = self._received.partition(_END_OF_HEAD)
            response, delay = self._bench.answer(request + b"\r\n")
            if delay:
                loop = asyncio.get_running_loop()
                loop.call_later(delay, self._transport.write, response)
            else:
                self._transport.write(response)


def _response(status: bytes, body: bytes = b"") -> bytes:
    # A 204 has no length: a client may take even a 0 for a body.
    length = b"" if status[:3] == b"204" else b"Content-Length: %d\r\n" % len(body)
    return b"HTTP/1.1 " + status + b"\r\n" + _JSON + length + b"\r\n" + body


def _seconds(arrivals: list[float]) -> float:
    return arrivals[-1] - arrivals[0] if arrivals else 0.0


def _most_in_a_second(arrivals: list[float]) -> int:
    most = 0
    window: deque[float] = deque()
    for arrival in arrivals:
        window.append(arrival)
        while window[0] <= arrival - 1.0:
            window.popleft()
        most = max(most, len(window))
    return most


async def _serve(bench: Bench) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Connection(bench), "127.0.0.1", 0, backlog=1024
    )
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    # Input ends when the one who started the server does, however that ends.
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def main() -> None:
    """Serve until the input is closed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server")
    parser.add_argument("--conversations", type=int, default=1000)
    parser.add_argument("--mean", type=float, default=MEAN_LENGTH, help="their length")
    parser.add_argument("--length", type=int, help="all of this length, no spread")
    parser.add_argument("--latency", type=float, default=0.0, help="in seconds")
    parser.add_argument("--allowed", type=int, default=0, help="a second, 0 for all")
    options = parser.parse_args()
    count = options.conversations
    lengths = (
        spread_lengths(count, options.mean)
        if options.length is None
        else [options.length] * count
    )
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(Bench(lengths, options.latency, options.allowed)))


if __name__ == "__main__":
    main()
