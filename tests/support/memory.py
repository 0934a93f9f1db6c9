"""How much memory something takes."""

from __future__ import annotations

import gc
import json
import re
import subprocess
import sys
import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

STATUS = Path("/proc/self/status")
"""Where Linux tells how much memory a process has had at most."""

_TAP = f"""
import sys
from pathlib import Path
from tap_kommo_chats.process import main
from tap_kommo_chats.kommo import host
host.LONGEST_WAIT = float(sys.argv.pop())
try:
    main()
finally:
    print(Path("{STATUS}").read_text(), file=sys.stderr)
"""


@dataclass(frozen=True)
class Measured:
    """A run of the tap in a process of its own.

    Attributes:
        code: Its exit code.
        log: What it wrote to standard error.
        records: How many records it wrote.
        messages: How many of them are messages.
        peak_mb: The most memory it had.
    """

    code: int
    log: str
    records: int
    messages: int
    peak_mb: float


def run_measured(config: dict[str, Any], folder: Path, waits: float = 30.0) -> Measured:
    """Run the tap as a command, on Linux, and measure it.

    Args:
        config: Its settings.
        folder: Where its files may be.
        waits: Seconds between two attempts at most.
    """
    path = folder / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    output = folder / "output.jsonl"
    with output.open("wb") as file:
        done = subprocess.run(
            [sys.executable, "-c", _TAP, "--config", str(path), str(waits)],
            stdout=file,
            stderr=subprocess.PIPE,
            check=False,
            encoding="utf-8",
            timeout=300,
        )
    peak = re.search(r"^VmHWM:\s+(\d+) kB$", done.stderr, re.MULTILINE)
    assert peak is not None, done.stderr
    with output.open("rb") as file:
        records = [line for line in file if line.startswith(b'{"type":"RECORD"')]
    messages = sum(b'"stream":"chat_history"' in line[:60] for line in records)
    peak_mb = int(peak[1]) / 1024
    return Measured(done.returncode, done.stderr, len(records), messages, peak_mb)


def peak_of(iterable: Iterable[object]) -> int:
    """The most bytes that Python held at once while it went through something."""
    gc.collect()
    tracemalloc.start()
    try:
        for _ in iterable:
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
