"""How a signal ends a run: soon, and with what is done in the state."""

from __future__ import annotations

import logging
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from tap_kommo_chats.errors import StopRequestedError

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger("tap-kommo-chats.chat_history")

STOPPING_SECONDS = 4.0
"""After a signal the process ends within five seconds, whatever it waits for."""


class Output(Protocol):
    """Where a run's records go."""

    def write_state(self) -> None:
        """Write the state as it is."""
        ...

    def flush(self) -> None:
        """Hand to the target what is still held back."""
        ...


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
        self.signal_number = signal_number
        # A target that does not read would keep the run from stopping.
        timer = threading.Timer(STOPPING_SECONDS, os._exit, [128 + signal_number])
        timer.daemon = True
        timer.start()
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
