"""What an operator sees of a run: how far it is, and at the end what it did.

On a terminal that is a bar, elsewhere a line of the log every 30 seconds. No thread and
no timer is behind it: whoever reads says `tick` whenever something happened.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tqdm import tqdm

from tap_kommo_chats.durations import format_seconds
from tap_kommo_chats.log import handlers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import NoReturn, TextIO

_WINDOW_SECONDS = 180.0
"""The pace is that of so much time: what was long ago says little of what is left."""

_ENOUGH_SECONDS = 5.0
"""A shorter time says too little of the pace."""

_LINE_SECONDS = 30.0
_BAR_SECONDS = 0.25

_USUAL_WIDTH, _USUAL_HEIGHT = 80, 24


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How far a run is at one moment.

    Attributes:
        seconds: How long it has been going on.
        done: How many conversations it is done with, whatever became of them.
        known: How many there are, as far as is known.
        all_known: Whether no more of them can turn up.
        messages: How many messages were emitted.
        requests: How many requests the Chats API was sent, each attempt counted.
        crm_requests: The same of the CRM; None when there is none.
        what: What the conversations are called.
    """

    seconds: float
    done: int
    known: int
    all_known: bool
    messages: int
    requests: int
    crm_requests: int | None
    what: str = "conversations"

    def numbers(self) -> dict[str, float | None]:
        """Name the numbers, as attributes of a line of the log."""
        return {
            "seconds": round(self.seconds, 3),
            f"{self.what}_done": self.done,
            f"{self.what}_known": self.known,
            "messages": self.messages,
            "requests": self.requests,
            "crm_requests": self.crm_requests,
        }

    def totals(self) -> str:
        """Sum it up for the end of the run."""
        crm = (
            ""
            if self.crm_requests is None
            else f", requests to the CRM: {self.crm_requests}"
        )
        return (
            f"messages: {self.messages}, requests: {self.requests}{crm}, "
            f"duration: {format_seconds(self.seconds)}"
        )


@dataclass(frozen=True, slots=True)
class Outlook:
    """A snapshot, and what the last minutes say beside it.

    Attributes:
        now: The snapshot.
        requests_per_second: None when there is no telling yet.
        crm_requests_per_second: None as well when there is no CRM.
        seconds_left: None when nothing tells when the run will end.
    """

    now: Snapshot
    requests_per_second: float | None
    crm_requests_per_second: float | None
    seconds_left: float | None

    def __str__(self) -> str:
        """Write it in one line."""
        # What matters least stands last, where a narrow terminal cuts.
        known = f"{self.now.known}{'' if self.now.all_known else '+'}"
        parts = [f"{self.now.done}/{known} {self.now.what}"]
        if self.seconds_left is not None:
            parts.append(f"{format_seconds(self.seconds_left)} left")
        parts.append(f"{self.now.messages} messages")
        if self.requests_per_second is not None:
            parts.append(f"{self.requests_per_second:.1f} requests/s")
        if self.crm_requests_per_second is not None:
            parts.append(f"{self.crm_requests_per_second:.1f}/s to the CRM")
        return ", ".join(parts)

    def numbers(self) -> dict[str, float | None]:
        """Name the numbers, as attributes of a line of the log."""
        return {
            **self.now.numbers(),
            "requests_per_second": _rounded(self.requests_per_second),
            "crm_requests_per_second": _rounded(self.crm_requests_per_second),
            "seconds_left": _rounded(self.seconds_left),
        }


class Trend:
    """What the last minutes say of a run. Pure: it is told the time."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._seen: deque[Snapshot] = deque()

    def look(self, now: Snapshot) -> Outlook:
        """Take in a snapshot, and compare it with those of the last minutes.

        Args:
            now: The snapshot, later than those before.

        Returns:
            What they say together.
        """
        seen = self._seen
        seen.append(now)
        begin = now.seconds - _WINDOW_SECONDS
        # The one at which the window begins, or the last before it, is kept.
        while len(seen) > 1 and seen[1].seconds <= begin:
            seen.popleft()
        then = seen[0]
        seconds = now.seconds - then.seconds
        if seconds < _ENOUGH_SECONDS:
            return Outlook(now, None, None, None)
        done = now.done - then.done
        return Outlook(
            now,
            (now.requests - then.requests) / seconds,
            None
            if now.crm_requests is None
            else (now.crm_requests - (then.crm_requests or 0)) / seconds,
            (now.known - now.done) * seconds / done
            if now.all_known and done > 0
            else None,
        )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


class _Display(Protocol):
    """Shows how far a run is.

    Attributes:
        seconds_apart: How often.
    """

    seconds_apart: float

    def show(self, outlook: Outlook) -> None: ...

    def close(self) -> None: ...


class Progress:
    """Tells an operator of a run."""

    def __init__(
        self,
        logger: logging.Logger,
        look: Callable[[float], Snapshot],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin the run.

        Args:
            logger: Takes the lines.
            look: Takes a snapshot; it is given how many seconds the run has been going
                on. Called only when something is to be shown.
            clock: Tells the time in seconds, from any origin.
        """
        self._logger = logger
        self._look = look
        self._clock = clock
        self._trend = Trend()
        self._began = clock()
        self._is_first = True
        self._display: _Display = (
            _Bar(sys.stderr) if is_for_bar(logger) else _Lines(logger)
        )
        self._next = self._began + self._display.seconds_apart

    def tick(self) -> None:
        """Show how far the run is, if it is time to. Costs next to nothing if not."""
        now = self._clock()
        if now < self._next and not self._is_first:
            return
        outlook = self._trend.look(self._look(now - self._began))
        self._is_first = False
        if now >= self._next:
            self._next = now + self._display.seconds_apart
            self._display.show(outlook)

    def close(self) -> None:
        """Take the bar away, without a line."""
        self._display.close()

    def end(self, outcome: str, numbers: Mapping[str, int]) -> None:
        """Take the bar away, and sum the run up in one line.

        Args:
            outcome: What the line begins with.
            numbers: The numbers in it, as attributes of the line.
        """
        self.close()
        last = self._look(self._clock() - self._began)
        self._logger.info(
            "%s; %s", outcome, last.totals(), extra={**numbers, **last.numbers()}
        )


def is_for_bar(logger: logging.Logger) -> bool:
    """Tell whether a bar can be shown, and is wanted.

    Args:
        logger: What would take lines instead. If it does not, nobody wants to see how
            far the run is.
    """
    return (
        logger.isEnabledFor(logging.INFO)
        # Python's own, when the process was started with it closed.
        and sys.stderr is not None
        and sys.stderr.isatty()
        # Messages would run over it.
        and not sys.stdout.isatty()
        and os.environ.get("TERM") != "dumb"
    )


class _Lines:
    """Shows it in the log."""

    seconds_apart = _LINE_SECONDS

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def show(self, outlook: Outlook) -> None:
        self._logger.info("Progress: %s", outlook, extra=outlook.numbers())

    def close(self) -> None:
        pass


class _Bar:
    """Shows it as the last line of a terminal, below the log."""

    seconds_apart = _BAR_SECONDS

    def __init__(self, terminal: TextIO) -> None:
        # A thread that draws when nobody else does, which `tick` makes needless; and
        # a lock for processes, which on some Pythons starts a process itself.
        tqdm.monitor_interval = 0
        self._lock = threading.RLock()
        tqdm.set_lock(self._lock)
        self._terminal = terminal
        self._bar: tqdm[NoReturn] = tqdm(
            file=terminal,
            leave=False,
            ncols=_width(terminal),
            nrows=_USUAL_HEIGHT,
            bar_format=" ",
        )
        self._handlers = list(_handlers_of(terminal))
        for handler in self._handlers:
            handler.setStream(_Above(terminal))

    def show(self, outlook: Outlook) -> None:
        # Another thread's line may draw the bar too. A signal's exception must leave
        # the lock free, which tqdm's own use of it does not see to.
        with self._lock:
            bar, now = self._bar, outlook.now
            bar.ncols = _width(self._terminal)
            bar.n, bar.total = now.done, now.known
            bar.desc = str(outlook)
            bar.bar_format = (
                "{percentage:3.0f}%|{bar}| {desc}" if now.all_known else "{desc}"
            )
            bar.refresh(nolock=True)

    def close(self) -> None:
        self._bar.close()
        for handler in self._handlers:
            handler.setStream(self._terminal)


class _Above:
    """Writes to a terminal above its bar."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal

    def write(self, text: str, /) -> None:
        with tqdm.external_write_mode(file=self._terminal):
            self._terminal.write(text)

    def flush(self) -> None:
        self._terminal.flush()


def _handlers_of(terminal: TextIO) -> Iterator[logging.StreamHandler[TextIO | _Above]]:
    """Find whatever writes the log to a terminal, as the operator set it up."""
    for handler in handlers():
        if isinstance(handler, logging.StreamHandler) and handler.stream is terminal:
            yield handler


def _width(terminal: TextIO) -> int:
    """Return the width of a terminal, less the column that some keep for the cursor."""
    try:
        columns = os.get_terminal_size(terminal.fileno()).columns
    except OSError:
        columns = 0
    # A terminal that was never told its size says 0.
    return (columns or _USUAL_WIDTH) - 1
