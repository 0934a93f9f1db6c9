"""What a signal does before there is a run that could be stopped.

It imports next to nothing, so that it is in force at once.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType


def end_on_signals() -> None:
    """End the process as a run ends on a signal: with one line, and the same code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 (Python's)
    when = time.strftime("%Y-%m-%d %H:%M:%S")
    line = f"{when} | WARNING  | tap-kommo-chats | Stopped by signal {number}\n"
    with suppress(OSError):  # it may be closed
        os.write(2, line.encode())
    # Not by an exception, which would end up in the middle of an import.
    os._exit(128 + number)
