"""The limiter: turns that threads wait for."""

from __future__ import annotations

import contextlib
import threading

import pytest

from tap_kommo_chats.errors import LimiterStoppedError
from tap_kommo_chats.kommo.limiter import RequestLimiter
from tap_kommo_chats.kommo.pace import RETRY_AFTER_AT_MOST

PATIENCE = 10.0


def test_stopping_wakes_those_who_wait_and_lets_none_go() -> None:
    limiter = RequestLimiter(1)
    with limiter.turn() as turn:
        turn.pause(RETRY_AFTER_AT_MOST)
    stopped = threading.Event()
    started = threading.Event()

    def wait() -> None:
        started.set()
        with pytest.raises(LimiterStoppedError), limiter.turn():
            pass
        stopped.set()

    thread = threading.Thread(target=wait)
    thread.start()
    started.wait(PATIENCE)

    limiter.stop()

    assert stopped.wait(PATIENCE)
    thread.join(PATIENCE)


def test_a_request_that_fails_is_over_all_the_same() -> None:
    limiter = RequestLimiter(0)
    with contextlib.suppress(ZeroDivisionError), limiter.turn():
        _ = 1 / 0

    with limiter.turn():
        pass
