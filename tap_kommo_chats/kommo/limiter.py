"""How many requests a second all threads together may send to a host."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tap_kommo_chats.errors import LimiterStoppedError
from tap_kommo_chats.kommo.pace import RequestPace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_kommo_chats.kommo.rate import Sent


class Turn:
    """A request's turn, and what its answer says of those to come."""

    def __init__(
        self, sent: Sent, pace: RequestPace, lock: threading.Condition
    ) -> None:
        """Take what was sent. The lock is the pace's."""
        self._pace = pace
        self._lock = lock
        self._sent = sent

    def refuse(self, seconds: float | None) -> None:
        """Have all threads go slower: this request was one too many.

        Args:
            seconds: For how long the server asks to pause; None when it does not say.
        """
        with self._lock:
            self._pace.refuse(self._sent, time.monotonic(), seconds)

    def pause(self, seconds: float) -> None:
        """Have all threads pause for so many seconds, and go on as before then."""
        with self._lock:
            self._pace.pause(time.monotonic(), seconds)


class RequestLimiter:
    """Lets requests of any thread go at a pace."""

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
    def turn(self) -> Iterator[Turn]:
        """Wait for one's turn, and send one request in the block.

        Yields:
            What to tell when the server asks for fewer requests.

        Raises:
            LimiterStoppedError: If `stop` was called.
        """
        sent = self._wait()
        has_failed = True
        try:
            yield Turn(sent, self._pace, self._changed)
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
