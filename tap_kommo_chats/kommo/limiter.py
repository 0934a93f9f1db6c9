"""How many requests a second all workers together may send, as the server counts.

Libraries for rate limits count requests as they leave. The server counts them as they
arrive, and what left evenly may arrive bunched: one request is held up, by a slow
handshake or by a busy network, and the ones behind it catch up. Kommo blocks addresses
that ask too much, so this limiter reckons with the latest moment at which a request can
have arrived. That moment is known when the answer is there: the answer took longer than
the quickest one did, and at most all of that was lost on the way out. Where answers
take longer than a second, the next request goes before that is known.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_kommo_chats.errors import LimiterStoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RETRY_AFTER_AT_MOST = 300.0
"""Seconds. A server that asks for a longer pause gets this one."""

_SECOND = 1.01
"""A second, and a little for what the two clocks and the quickest answer hide."""

_SLOWEST = 16 * _SECOND
_RECOVERY = 0.98
"""Each answer that is no refusal takes away so much of a slow-down."""

_QUICKEST_OF = 50
"""How many of the last answers the quickest one is taken from."""

_ON_ITS_WAY_AT_MOST = 5.0
"""Seconds after which a request has reached the server, if it ever does."""

_ENOUGH_ANSWERS = 7
"""With fewer than these the quickest answer says too little."""


@dataclass(slots=True, eq=False)
class Sent:
    """A request that was sent.

    Attributes:
        at: When, in seconds.
        cold: Whether it had to open a connection first, which takes nobody knows how
            much of the time until the answer.
        answered: When its answer was there, or None before that.
    """

    at: float
    cold: bool
    answered: float | None = None


class RequestPace:
    """Says when the next request may go. Pure: it is told the time.

    All times are in seconds from one origin.
    """

    def __init__(self, requests_per_second: int) -> None:
        """Start with nothing sent.

        Args:
            requests_per_second: How many requests may reach the server in any second;
                0 for no limit.
        """
        self._requests_per_second = requests_per_second
        self._sent: list[Sent] = []
        self._round_trips: deque[float] = deque(maxlen=_QUICKEST_OF)
        self._span = _SECOND
        self._slowed_at = self._paused_until = float("-inf")

    def seconds_to_go(self, now: float) -> float:
        """Tell how long the next request has to wait, if nothing is answered before.

        Args:
            now: The current time.

        Returns:
            Seconds, 0 or less when it may go.
        """
        until = self._paused_until
        if 0 < self._requests_per_second <= len(self._sent):
            # By arrival and not by departure: a request that is held up arrives among
            # those that were sent after it.
            arrived = sorted(self._arrived(sent, now) for sent in self._sent)
            until = max(until, arrived[-self._requests_per_second] + self._span)
        return until - now

    def send(self, now: float, *, cold: bool) -> Sent:
        """Note that a request goes.

        Args:
            now: The current time.
            cold: Whether it has to open a connection first.

        Returns:
            What to hand to `answer` and `refuse`.
        """
        sent = Sent(now, cold)
        if self._requests_per_second:
            self._sent = [
                before
                for before in self._sent
                if self._arrived(before, now) > now - _SLOWEST
            ]
            self._sent.append(sent)
        return sent

    def answer(self, sent: Sent, now: float, *, refused: bool) -> None:
        """Note that a request was answered, or failed.

        Args:
            sent: The request.
            now: The current time.
            refused: Whether the answer was that there are too many. Any other lets
                the requests go a little faster again.
        """
        sent.answered = now
        if not sent.cold:
            self._round_trips.append(now - sent.at)
        if not refused:
            self._span = max(_SECOND, self._span * _RECOVERY)

    def refuse(self, sent: Sent, now: float, seconds: float | None) -> None:
        """Note that the server asks for fewer requests: all pause, and go slower then.

        Args:
            sent: The request it said so to.
            now: The current time.
            seconds: For how long it asks to pause; None when it does not say.
        """
        # Several requests on their way are refused for one and the same excess.
        if sent.at > self._slowed_at:
            self._slowed_at = now
            self._span = min(self._span * 2, _SLOWEST)
        pause = self._span if seconds is None else seconds
        self._paused_until = max(
            self._paused_until, now + min(pause, RETRY_AFTER_AT_MOST)
        )

    def _arrived(self, sent: Sent, now: float) -> float:
        """The latest moment at which a request can have reached the server."""
        answered = sent.answered
        if answered is None:
            # One that hangs must not keep all others waiting.
            answered = min(now, sent.at + _ON_ITS_WAY_AT_MOST)
        if sent.cold or len(self._round_trips) < _ENOUGH_ANSWERS:
            return answered
        return max(sent.at, answered - min(self._round_trips))


class RequestLimiter:
    """Lets requests of any thread go at that pace."""

    def __init__(self, requests_per_second: int) -> None:
        """Start with nothing sent.

        Args:
            requests_per_second: How many requests may reach the server in any second;
                0 for no limit. What the server asks for is honoured all the same.
        """
        self._pace = RequestPace(requests_per_second)
        self._changed = threading.Condition()
        self._connected = threading.local()
        self._stopped = False
        self.requests_made = 0

    @contextmanager
    def turn(self) -> Iterator[Callable[[float | None], None]]:
        """Wait for one's turn, and send one request in the block.

        Yields:
            A function to call when the server answered that this was too much. It
            takes how many seconds the server asked to pause, or None when it did not
            say. All workers pause for that long, and are slower for a while after.

        Raises:
            LimiterStoppedError: If `stop` was called.
        """
        sent = self._wait()
        refused = False

        def slow_down(seconds: float | None) -> None:
            nonlocal refused
            refused = True
            with self._changed:
                self._pace.refuse(sent, time.monotonic(), seconds)

        try:
            yield slow_down
        finally:
            with self._changed:
                self._pace.answer(sent, time.monotonic(), refused=refused)
                self._changed.notify_all()

    def stop(self) -> None:
        """Let no further request go, and wake up all who wait for one."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _wait(self) -> Sent:
        with self._changed:
            while not self._stopped:
                seconds = self._pace.seconds_to_go(time.monotonic())
                if seconds <= 0:
                    # The first request of a thread opens its connection.
                    cold = not hasattr(self._connected, "before")
                    self._connected.before = True
                    self.requests_made += 1
                    return self._pace.send(time.monotonic(), cold=cold)
                self._changed.wait(seconds)
            raise LimiterStoppedError
