"""What ends a run that a signal asked to stop."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

WAITS_FOR_EVER = """
import os, signal, threading
from tap_kommo_chats.run import stop

def none_left(thread):
    raise RuntimeError("can't start new thread")

threading.Thread.start = none_left
stop.STOPPING_SECONDS = 0.1
stop.watch_signals()
stop.Stop().request(signal.SIGTERM)
os.read(os.pipe()[0], 1)
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a POSIX system")
def test_a_stopped_run_ends_in_time_also_where_no_thread_can_be_had() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WAITS_FOR_EVER], check=False, timeout=60
    )

    assert done.returncode == -signal.SIGALRM
