"""Answers that take much memory once they are decoded, and room for one at a time.

A page of 50 messages has 25 kB. Of small answers as many may be in memory as there are
threads and places in their queue; of large ones that would be hundreds of megabytes,
however slow the target is.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tap_kommo_chats.errors import LimiterStoppedError

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE = 128 * 1024
"""Bytes from which on an answer is large. Decoded, a value of three bytes has 90."""

VALUES_AT_MOST = 100_000
"""Values in an answer: 40 for each row of the longest page, or 30 MB."""


def has_too_many_values(content: bytes) -> bool:
    """Tell whether JSON has more values than any page, without decoding it.

    Args:
        content: What is taken for JSON.
    """
    if len(content) <= LARGE or _marks(content) <= VALUES_AT_MOST:
        return False
    # Texts may be full of commas, so those outside of texts are counted.
    plain = content.replace(b"\\\\", b"").replace(b'\\"', b"")
    count = begin = 0
    while count <= VALUES_AT_MOST:
        end = plain.find(b'"', begin)
        if end < 0:
            return count + _marks(plain[begin:]) > VALUES_AT_MOST
        count += 1 + _marks(plain[begin:end])
        begin = plain.find(b'"', end + 1) + 1
        if not begin:
            return False
    return True


def _marks(content: bytes) -> int:
    """Count what stands before values in lists and objects."""
    return len(content) - len(content.translate(None, b",[{"))


class Room:
    """Room for one large answer, from when it is decoded until its rows are written."""

    def __init__(self) -> None:
        """Start with nothing in it."""
        self._changed = threading.Condition()
        self._is_taken = False
        self._stopped = False

    @contextmanager
    def taken_for(self, content: bytes) -> Iterator[bool]:
        """Wait for the room if an answer is large, and take it unless the block fails.

        Yields:
            Whether it is large, so that somebody has to call `leave`.

        Raises:
            LimiterStoppedError: If `stop` was called.
        """
        if len(content) <= LARGE:
            yield False
            return
        self._enter()
        try:
            yield True
        except BaseException:
            self.leave()
            raise

    def _enter(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or not self._is_taken)
            if self._stopped:
                raise LimiterStoppedError
            self._is_taken = True

    def leave(self) -> None:
        """Make it free: once for each time it was taken, in whichever thread."""
        with self._changed:
            self._is_taken = False
            self._changed.notify()

    def stop(self) -> None:
        """Let nothing in any more, and wake up all who wait."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
