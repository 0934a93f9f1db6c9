"""When a STATE goes out: often while it is small, never at much cost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BIG_BYTES = 1_000_000
OFTEN_SECONDS = 10.0
SELDOM_SECONDS = 300.0
"""How long there is between two that are big."""

SHARE_OF_RUN = 0.05
"""How much of a run's time writing them may take."""


class Checkpoint:
    """Writes a STATE when one is due."""

    def __init__(
        self,
        write_state: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the clock.

        Args:
            write_state: Writes the state as it is.
            clock: Tells the time in seconds, from any origin.
        """
        self._write_state = write_state
        self._clock = clock
        self._next = clock() + OFTEN_SECONDS

    def write(self) -> None:
        """Write a STATE now."""
        self._write_state()

    def write_if_due(self, size_bytes: int) -> None:
        """Write a STATE if it is time to.

        Args:
            size_bytes: How long it is, about.
        """
        started = self._clock()
        if started < self._next:
            return
        self._write_state()
        ended = self._clock()
        apart = SELDOM_SECONDS if size_bytes > BIG_BYTES else OFTEN_SECONDS
        self._next = ended + max(apart, (ended - started) / SHARE_OF_RUN)
