"""Requests to a server that counts them, in simulated time: no thread, no sleep."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from itertools import count
from math import floor, inf
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tap_kommo_chats.kommo.pace import RequestPace

CONNECTING = 0.25


class Limit(Protocol):
    """What a server lets in. It is asked in the order of arrival."""

    def lets_in(self, at: float) -> bool:
        """Tell whether a request that arrives then is not too many."""
        ...


class AnySecond:
    """So many in any second. Those refused count too, on a server that is strict."""

    def __init__(self, most: int, *, strict: bool = False) -> None:
        """Start with nobody let in."""
        self.most = most
        self._strict = strict
        self._counted: deque[float] = deque()

    def lets_in(self, at: float) -> bool:
        """Tell whether a request that arrives then is not too many."""
        while self._counted and self._counted[0] <= at - 1:
            self._counted.popleft()
        fits = len(self._counted) < self.most
        if fits or self._strict:
            self._counted.append(at)
        return fits


class EachSecond:
    """So many in each second of the server's clock."""

    def __init__(self, most: int) -> None:
        """Start with nobody let in."""
        self.most = most
        self._second = -1
        self._counted = 0

    def lets_in(self, at: float) -> bool:
        """Tell whether a request that arrives then is not too many."""
        second = floor(at + 0.37)
        if second != self._second:
            self._second, self._counted = second, 0
        self._counted += 1
        return self._counted <= self.most


class Bucket:
    """So many a second in the long run, and some at once after a rest."""

    def __init__(self, most: int, at_once: int) -> None:
        """Start after a rest."""
        self.most = most
        self._at_once = self._left = float(at_once)
        self._at = 0.0

    def lets_in(self, at: float) -> bool:
        """Tell whether a request that arrives then is not too many."""
        self._left = min(self._at_once, self._left + self.most * (at - self._at))
        self._at = at
        fits = self._left >= 1
        self._left -= fits
        return fits


@dataclass
class Server:
    """Counts what reaches it. Times are simulated seconds.

    Attributes:
        there: Of request n, seconds on its way to the server.
        back: Of request n, seconds from there to the answer.
        refuses: Of request n and when it arrives, whether it is too many.
        retry_after: For how many seconds the server then asks to pause.
        neighbour: When somebody else's requests arrive, in order. They are `None` to
            `refuses`.
        sent: Of request n, when it left.
        arrived: Of request n, when it arrived.
        refused: Which were too many.
        lent: When a request of the neighbour was let in.
    """

    there: Callable[[int], float] = lambda _: 0.02
    back: Callable[[int], float] = lambda _: 0.3
    refuses: Callable[[int | None, float], bool] = lambda _, __: False
    retry_after: float | None = None
    neighbour: Iterable[float] = ()
    sent: list[float] = field(default_factory=list)
    arrived: list[float] = field(default_factory=list)
    refused: set[int] = field(default_factory=set)
    lent: list[float] = field(default_factory=list)

    def most_in_a_second(self, after: int = 0) -> int:
        """Count the most arrivals in any second, without the first so many requests."""
        times = sorted(self.arrived[after:])
        return max(
            sum(first <= time < first + 1 for time in times[place : place + 50])
            for place, first in enumerate(times)
        )

    def counted(self, since: float, until: float) -> tuple[int, int]:
        """Count how many arrived between two moments, and how many were refused."""
        some = [n for n, at in enumerate(self.arrived) if since <= at < until]
        return len(some), len(self.refused.intersection(some))


def simulate(
    pace: RequestPace,
    server: Server,
    *,
    workers: int,
    requests: int | None = None,
    seconds: float = inf,
) -> Server:
    """Let workers send at a pace, each waiting for its answer, until something is over.

    Args:
        pace: The pace. Its time begins here.
        server: The server, which is also returned.
        workers: How many send.
        requests: So many requests are sent.
        seconds: So long they are sent.
    """
    traffic = _Traffic(pace, server, workers)
    while traffic.now < seconds and (requests is None or len(server.sent) < requests):
        traffic.go_on()
    return server


class _Traffic:
    """What is on its way, and what happens next."""

    def __init__(self, pace: RequestPace, server: Server, workers: int) -> None:
        """Start with nothing sent."""
        self.now = 0.0
        self._pace = pace
        self._server = server
        self._waiting = deque(range(workers))
        self._connected: set[int] = set()
        self._neighbour = iter(server.neighbour)
        self._order = count()
        self._coming: list[tuple[float, int, Callable[[], None]]] = []
        self._await_neighbour()

    def go_on(self) -> None:
        """Let the next thing happen."""
        pause = self._pace.seconds_to_go(self.now) if self._waiting else inf
        if pause <= 0:
            self._send(self._waiting.popleft())
            return
        # A float that is too small to move the clock would stand still for ever.
        wakes = max(self.now + pause, self.now + 1e-6)
        if self._coming[0][0] <= wakes:
            self.now, _, happens = heapq.heappop(self._coming)
            happens()
        else:
            self.now = wakes

    def _at(self, moment: float, happens: Callable[[], None]) -> None:
        heapq.heappush(self._coming, (moment, next(self._order), happens))

    def _await_neighbour(self) -> None:
        self._at(next(self._neighbour, inf), self._let_neighbour_in)

    def _let_neighbour_in(self) -> None:
        if not self._server.refuses(None, self.now):
            self._server.lent.append(self.now)
        self._await_neighbour()

    def _send(self, worker: int) -> None:
        server, number = self._server, len(self._server.sent)
        cold = worker not in self._connected
        self._connected.add(worker)
        sent = self._pace.send(self.now, cold=cold)
        arrives = self.now + server.there(number) + (CONNECTING if cold else 0)
        server.sent.append(self.now)
        server.arrived.append(arrives)

        def arrive() -> None:
            if server.refuses(number, self.now):
                server.refused.add(number)
            self._at(self.now + server.back(number), answer)

        def answer() -> None:
            if number in server.refused:
                self._pace.refuse(sent, self.now, server.retry_after)
            self._pace.answer(sent, self.now)
            self._waiting.append(worker)

        self._at(arrives, arrive)
