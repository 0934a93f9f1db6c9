"""Telling of what may happen a million times, in a few lines."""

from __future__ import annotations

import logging
import threading
from collections import Counter

LINES_AT_MOST = 20
"""Lines of one kind."""

_KINDS_AT_MOST = 20
_OTHERS = "other lines"


class Teller:
    """Writes the first lines of each kind to a log, and counts the others.

    Otherwise one list of bad rows fills a disk. For any number of threads.
    """

    def __init__(self, logger: logging.Logger) -> None:
        """Start with nothing told."""
        self._logger = logger
        self._lock = threading.Lock()
        self._counts: Counter[tuple[int, str]] = Counter()

    def tell(self, kind: str, line: str, level: int = logging.ERROR) -> None:
        """Write a line, or count it.

        Args:
            kind: What the line has in common with others. Of a server that sees to it
                that no two are alike, most are taken for one kind.
            line: The line.
            level: Its level.
        """
        key = (level, kind)
        with self._lock:
            if key not in self._counts and len(self._counts) >= _KINDS_AT_MOST:
                key = (level, _OTHERS)
            self._counts[key] += 1
            is_one_of_the_first = self._counts[key] <= LINES_AT_MOST
        if is_one_of_the_first:
            self._logger.log(level, "%s", line)

    def sum_up(self) -> None:
        """Say how many lines of each kind were not written, and start anew."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        for (level, kind), count in counts.items():
            if (more := count - LINES_AT_MOST) > 0:
                self._logger.log(level, "... and %s more: %s", f"{more:,}", kind)
