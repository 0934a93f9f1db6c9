"""Runs a command, and lets nothing of it outlive the process that asked for it.

    python keeper.py <file descriptor> <command> ...

The descriptor is the reading end of a pipe whose other end the asking process holds
and never writes to. However that process ends, the kernel closes its end. Then the
command and whatever it started are told to stop, and killed when they do not.

It imports nothing but the standard library, so that it starts in no time.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

STOPPING_SECONDS = 3.5
"""Airflow gives a task that it stops five seconds."""

_PR_SET_PDEATHSIG = 1


def die_with_parent(how: int = signal.SIGKILL) -> None:
    """Let the kernel send this process a signal when the one above it has ended.

    Linux does so. Elsewhere nothing happens.

    Args:
        how: The signal.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, how)


def stop(group: int) -> None:
    """End a process group, in good time if it does so itself.

    Args:
        group: The number of the group.
    """
    deadline = time.monotonic() + STOPPING_SECONDS
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGTERM)
        while time.monotonic() < deadline:
            time.sleep(0.1)
            os.killpg(group, 0)
        os.killpg(group, signal.SIGKILL)


def keep(lifeline: int, command: list[str]) -> int:
    """Run a command to its end, or to that of whoever holds the other end of a pipe.

    Args:
        lifeline: The reading end.
        command: The command.

    Returns:
        Its exit code; negative when a signal ended it.
    """
    process = subprocess.Popen(
        command,
        # Its own process group, which holds the tap and the target too.
        start_new_session=True,
        # For the case that this process is the one that is killed.
        preexec_fn=lambda: die_with_parent(signal.SIGTERM),  # noqa: PLW1509 (there is one thread yet)
    )

    def watch() -> None:
        os.read(lifeline, 1)
        stop(process.pid)

    threading.Thread(target=watch, daemon=True).start()
    code = process.wait()
    # What the command left behind.
    stop(process.pid)
    return code


if __name__ == "__main__":
    # Who holds the pipe decides when to stop, and no signal to a group it is in. The
    # command would inherit that a signal is ignored, and does not inherit a handler.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    code = keep(int(sys.argv[1]), sys.argv[2:])
    sys.exit(code if code >= 0 else 128 - code)
