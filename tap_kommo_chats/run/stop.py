"""How a signal ends a run: soon, and with what is done in the state."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

from tap_kommo_chats.errors import StopRequestedError

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger("tap-kommo-chats.chat_history")

STOPPING_SECONDS = 4.0
"""After a signal the process ends within five seconds, whatever it waits for."""

_AGAIN_SECONDS = 0.1
"""So long after a signal that was not acted on it is sent again."""


class Output(Protocol):
    """Where a run's records go."""

    def write_state(self) -> None:
        """Write the state as it is."""
        ...

    def end_with_state(self) -> None:
        """Write the state once more, if a record was written after it."""
        ...

    def flush(self) -> None:
        """Hand to the target what is still held back."""
        ...


_acted_on = threading.Event()
"""Whether a signal reached a run, which then ends by itself if it can."""

_is_watched = threading.Event()


def watch_signals() -> None:
    """See to it that a signal ends the process in time. For the command, once.

    Python notes a signal and acts on it later, in the main thread. One that comes just
    before a call that waits, such as a write to a target that does not read, interrupts
    nothing. So a thread that was started before sends it again until it is acted on,
    and ends the process when that did not.
    """
    if not hasattr(signal, "pthread_kill"):
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    watch = threading.Thread(target=_watch, args=(reader,), name="signals", daemon=True)
    # Where no thread can be had, the system's own alarm is what is left.
    with suppress(RuntimeError):
        watch.start()
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        _is_watched.set()


def _watch(reader: int) -> None:
    number = os.read(reader, 1)[0]
    deadline = time.monotonic() + STOPPING_SECONDS
    main = threading.main_thread().ident
    while time.monotonic() < deadline:
        if not _acted_on.wait(_AGAIN_SECONDS) and main is not None:
            signal.pthread_kill(main, number)
        elif _acted_on.is_set():
            time.sleep(max(0.0, deadline - time.monotonic()))
    os._exit(128 + number)


def _end_in_time(signal_number: int) -> None:
    """End the process in time though no thread watches: a target may not read."""
    if hasattr(signal, "setitimer"):
        # Left to the system, because Python may not get to act on it.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, STOPPING_SECONDS)
    else:
        timer = threading.Timer(STOPPING_SECONDS, os._exit, [128 + signal_number])
        timer.daemon = True
        timer.start()


class Stop:
    """Whether a signal asked to stop, and what it may break into."""

    def __init__(self) -> None:
        """Start with no signal."""
        self.signal_number: int | None = None
        self._is_interruptible = False

    def request(self, signal_number: int) -> None:
        """Ask the run to stop, and see to it that it does. For a signal's handler.

        Raises:
            StopRequestedError: If the run waits for something that may take long.
        """
        _acted_on.set()
        if self.signal_number is None and not _is_watched.is_set():
            _end_in_time(signal_number)
        self.signal_number = signal_number
        if self._is_interruptible:
            raise StopRequestedError

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let a signal break into what waits in the block, such as for an answer.

        Raises:
            StopRequestedError: If a signal asks to stop, or did before.
        """
        self._is_interruptible = True
        try:
            if self.signal_number is not None:
                raise StopRequestedError
            yield
        finally:
            self._is_interruptible = False

    def check(self, output: Output) -> None:
        """End the run if a signal asked to, with what is done in the state.

        Raises:
            SystemExit: If one did; its code is the signal's.
        """
        if self.signal_number is not None:
            output.write_state()
            # Here and not at the interpreter's end, where nothing could stop it.
            output.flush()
            logger.warning("Stopped by signal %d", self.signal_number)
            raise SystemExit(128 + self.signal_number)
