"""How many requests a second all workers together may send, as the server counts.

Libraries for rate limits count requests as they leave. The server counts them as they
arrive, and what left evenly may arrive bunched: one request is held up, by a slow
handshake or by a busy network, and the ones behind it catch up. Kommo blocks addresses
that ask too much, so this limiter reckons with the latest moment at which a request can
have arrived. That moment is known when the answer is there: the answer took longer than
the quickest one did, and at most all of that was lost on the way out. Where answers
take longer than a second, the next request goes before that is known.

A server may allow less than the operator said, for good or while somebody else asks it
from the same address. From its first refusal on, requests leave evenly and no longer in
bursts, and the rate is sought that is not refused.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, inf
from typing import TYPE_CHECKING

from tap_kommo_chats.errors import LimiterStoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RETRY_AFTER_AT_MOST = 300.0
"""Seconds. A server that asks for a longer pause gets this one."""

_SECOND = 1.01
"""A second, and a little for what the two clocks and the quickest answer hide."""

_QUICKEST_OF = 50
"""How many of the last answers the quickest one is taken from."""

_ENOUGH_ANSWERS = 7
"""With fewer than these the quickest answer says too little."""

_ON_ITS_WAY_AT_MOST = 5.0
"""Seconds after which a request has reached the server, if it ever does."""

_JUDGED_BY = 16
"""So many requests tell how many a second get through, or all of the last second."""

_LESS = 0.05
"""After a refusal so much less is asked for than got through, as a share of it."""

_PATIENCE = 25
"""So many answers later all of it is asked for, after as many again so much more. A
refusal in each such round is two in a hundred requests."""

_DOUBLED_AT_MOST = 4
"""How often the pause is doubled of a server that lets nothing through: 16 seconds."""


@dataclass(slots=True, eq=False)
class Sent:
    """A request that was sent.

    Attributes:
        at: When, in seconds.
        cold: Whether it had to open a connection first, which takes nobody knows how
            much of the time until the answer.
        answered: When its answer was there, or None before that.
        refused: Whether the answer was that there are too many.
    """

    at: float
    cold: bool
    answered: float | None = None
    refused: bool = False


@dataclass(frozen=True, slots=True)
class _Excess:
    """More requests than the server takes. It may refuse several of them.

    Attributes:
        asked: How many a second were asked for.
        tried: Those that tell how many get through, in the order they were sent.
    """

    asked: float
    tried: list[Sent]

    @property
    def sent(self) -> float:
        """How many requests a second went."""
        return self._per_second(len(self.tried))

    @property
    def got_through(self) -> float:
        """How many requests a second got through, as far as is known."""
        return self._per_second(sum(not sent.refused for sent in self.tried))

    def _per_second(self, requests: int) -> float:
        seconds = self.tried[-1].at - self.tried[0].at + 1 / self.asked
        return requests / max(_SECOND, seconds)


class _Rate:
    """How many requests a second to ask for: what got through, and at times more.

    After a refusal it is soon back at what got through, stays about there, and rises
    ever faster when nothing is refused above it. So a limit that stays is seldom
    passed, and one that was lifted is found soon.
    """

    def __init__(self, most: float) -> None:
        self._most = most
        self._got_through = inf
        self._answers = 0

    @property
    def is_sought(self) -> bool:
        """Whether the server refused something."""
        return self._got_through < inf

    @property
    def per_second(self) -> float:
        way = self._answers / _PATIENCE - 1
        return min(self._most, self._got_through * (1 + _LESS * way**5))

    def rise(self) -> None:
        """Note that something got through."""
        self._answers += 1

    def fall(self, excess: _Excess) -> None:
        """Note that something was refused."""
        self._answers = 0
        if got_through := excess.got_through:
            self._got_through = min(excess.asked, got_through)
        else:
            # A server that takes nothing at all tells no rate.
            self._got_through = excess.sent if excess.asked == inf else excess.asked


class RequestPace:
    """Says when the next request may go. Pure: it is told the time.

    All times are in seconds from one origin.
    """

    def __init__(self, requests_per_second: int) -> None:
        """Start with nothing sent.

        Args:
            requests_per_second: How many requests may reach the server in any second;
                0 for no limit, until the server refuses one.
        """
        self._rate = _Rate(requests_per_second or inf)
        self._sent: deque[Sent] = deque()
        self._round_trips: deque[float] = deque(maxlen=_QUICKEST_OF)
        self._got_through = self._in_vain = 0
        self._excess = _Excess(inf, [])
        self._slowed_at = self._paused_at = self._paused_until = -inf

    def seconds_to_go(self, now: float) -> float:
        """Tell how long the next request has to wait, if nothing is answered before.

        Args:
            now: The current time.

        Returns:
            Seconds, 0 or less when it may go.
        """
        until = self._paused_until
        rate = self._rate.per_second
        if self._rate.is_sought:
            until = max(until, self._sent[-1].at + 1 / rate)
        if rate < inf:
            # The first ones double, so that an excess is about what got through.
            most = min(ceil(rate), 2 * self._got_through + 1)
            if most <= len(self._sent):
                until = max(until, self._arrivals(now)[-most] + _SECOND)
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
        self._sent.append(sent)
        needed = _ON_ITS_WAY_AT_MOST + _SECOND + _JUDGED_BY / self._rate.per_second
        while self._sent[0].at < now - needed:
            self._sent.popleft()
        return sent

    def answer(self, sent: Sent, now: float, *, has_failed: bool = False) -> None:
        """Note that a request is over.

        Args:
            sent: The request. If it was too much, `refuse` was told before.
            now: The current time.
            has_failed: Whether no answer came.
        """
        sent.answered = now
        if not sent.cold:
            self._round_trips.append(now - sent.at)
        if has_failed or sent.refused:
            return
        self._got_through += 1
        if sent.at > self._slowed_at:
            self._in_vain = 0
            self._rate.rise()

    def refuse(self, sent: Sent, now: float, seconds: float | None) -> None:
        """Note that the server asks for fewer requests: all go slower, or pause.

        Args:
            sent: The request it said so to.
            now: The current time.
            seconds: For how long it asks to pause; None when it does not say.
        """
        sent.refused = True
        # Several requests on their way are refused for one and the same excess.
        if sent.at > self._slowed_at:
            self._slowed_at = now
            self._in_vain += 1
            self._excess = self._look_back()
        self._rate.fall(self._excess)
        if seconds is None and not self._excess.got_through:
            seconds = _SECOND * 2 ** min(self._in_vain - 1, _DOUBLED_AT_MOST)
        if seconds:
            until = now + min(seconds, RETRY_AFTER_AT_MOST)
            self._paused_at, self._paused_until = now, max(self._paused_until, until)

    def _look_back(self) -> _Excess:
        """Take what was sent last, without what a pause lies between."""
        asked, last = self._rate.per_second, self._sent[-1].at
        since = last - max(_SECOND, _JUDGED_BY / asked)
        if self._paused_at < last:
            since = max(since, self._paused_at)
        return _Excess(asked, [sent for sent in self._sent if sent.at > since])

    def _arrivals(self, now: float) -> list[float]:
        """The latest moments at which requests can have reached the server, in order.

        By arrival and not by departure: a request that is held up arrives among those
        that were sent after it.
        """
        is_known = len(self._round_trips) >= _ENOUGH_ANSWERS
        quickest = min(self._round_trips) if is_known else 0.0
        return sorted(
            self._arrived(sent, now, 0.0 if sent.cold else quickest)
            for sent in self._sent
        )

    @staticmethod
    def _arrived(sent: Sent, now: float, back: float) -> float:
        answered = now if sent.answered is None else sent.answered
        # One that hangs must not keep all others waiting.
        return max(sent.at, min(answered - back, sent.at + _ON_ITS_WAY_AT_MOST))


class RequestLimiter:
    """Lets requests of any thread go at that pace."""

    def __init__(self, requests_per_second: int) -> None:
        """Start with nothing sent.

        Args:
            requests_per_second: How many requests may reach the server in any second;
                0 for no limit, until the server refuses one.
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
            say. All workers pause for that long, and are slower after.

        Raises:
            LimiterStoppedError: If `stop` was called.
        """
        sent = self._wait()
        has_failed = True

        def slow_down(seconds: float | None) -> None:
            with self._changed:
                self._pace.refuse(sent, time.monotonic(), seconds)

        try:
            yield slow_down
            has_failed = False
        finally:
            with self._changed:
                self._pace.answer(sent, time.monotonic(), has_failed=has_failed)
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
