"""How many requests a second all workers together may send, as the server counts.

Libraries for rate limits count requests as they leave. The server counts them as they
arrive, and what left evenly may arrive bunched: one request is held up, by a slow
handshake or by a busy network, and the ones behind it catch up. Kommo blocks addresses
that ask too much, so this limiter reckons with the latest moment at which a request can
have arrived. That moment is known when the answer is there: the answer took longer than
the quickest one did, and at most all of that was lost on the way out.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RETRY_AFTER_AT_MOST = 300.0
"""Seconds. A server that asks for a longer pause gets this one."""

_SECOND = 1.02
"""A second, and a little for what the two clocks and the quickest answer hide."""

_SLOWEST = 16 * _SECOND
_RECOVERY = 0.9
_QUICKEST_OF = 50


@dataclass(slots=True)
class _Sent:
    at: float
    cold: bool
    answered: float | None = None


class LimiterStoppedError(Exception):
    """The run is ending, so no further request may be sent."""


class RequestLimiter:
    """Lets requests go, from any thread, no faster than is allowed."""

    def __init__(
        self,
        requests_per_second: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start with nothing sent.

        Args:
            requests_per_second: How many requests may reach the server in any second;
                0 for no limit. What the server asks for is honoured all the same.
            clock: Tells the time in seconds, from any origin.
        """
        self._clock = clock
        self._changed = threading.Condition()
        self._sent: deque[_Sent] = deque(maxlen=requests_per_second)
        self._round_trips: deque[float] = deque(maxlen=_QUICKEST_OF)
        self._connected = threading.local()
        self._span = _SECOND
        self._slowed_at = self._paused_until = float("-inf")
        self._stopped = False

    @contextmanager
    def turn(self) -> Iterator[Callable[[float | None], None]]:
        """Wait for one's turn, and send one request in the block.

        Yields:
            A function to call when the server answered that this was too much. It
            takes how many seconds the server asked to wait, or None when it did not
            say. All workers pause for that long, and are slower for a while after.

        Raises:
            LimiterStoppedError: If `stop` was called.
        """
        sent = self._wait()
        refused = False

        def slow_down(seconds: float | None) -> None:
            nonlocal refused
            refused = True
            self._slow_down(sent, seconds)

        try:
            yield slow_down
        finally:
            with self._changed:
                sent.answered = self._clock()
                if not sent.cold:
                    self._round_trips.append(sent.answered - sent.at)
                if not refused:
                    self._span = max(_SECOND, self._span * _RECOVERY)
                self._changed.notify_all()

    def stop(self) -> None:
        """Let no further request go, and wake up all who wait for one."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _wait(self) -> _Sent:
        with self._changed:
            while (seconds := self._seconds_to_go()) > 0 and not self._stopped:
                self._changed.wait(seconds)
            if self._stopped:
                raise LimiterStoppedError
            # The first request of a thread opens a connection, and nothing tells how
            # much of the time that took.
            sent = _Sent(self._clock(), cold=not hasattr(self._connected, "before"))
            self._connected.before = True
            self._sent.append(sent)
            return sent

    def _seconds_to_go(self) -> float:
        now = self._clock()
        until = self._paused_until
        if self._sent.maxlen and len(self._sent) == self._sent.maxlen:
            until = max(until, self._arrived(self._sent[0], now) + self._span)
        return until - now

    def _arrived(self, sent: _Sent, now: float) -> float:
        """The latest moment at which a request can have reached the server."""
        answered = now if sent.answered is None else sent.answered
        if sent.cold or not self._round_trips:
            return answered
        return max(sent.at, answered - min(self._round_trips))

    def _slow_down(self, sent: _Sent, seconds: float | None) -> None:
        with self._changed:
            now = self._clock()
            # Several requests in flight are refused for one and the same excess.
            if sent.at > self._slowed_at:
                self._slowed_at = now
                self._span = min(self._span * 2, _SLOWEST)
            pause = self._span if seconds is None else seconds
            pause = min(max(pause, 0.0), RETRY_AFTER_AT_MOST)
            self._paused_until = max(self._paused_until, now + pause)
            self._changed.notify_all()
