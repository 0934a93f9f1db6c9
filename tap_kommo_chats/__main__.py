"""The command `tap-kommo-chats`."""

from __future__ import annotations

import ctypes
import io
import os
import sys
from contextlib import suppress

from singer_sdk.exceptions import ConfigValidationError, SingerSDKError

from tap_kommo_chats.errors import TapError, TargetGoneError
from tap_kommo_chats.tap import TapKommoChats

_OUTPUT_BYTES = 64 * 1024

_M_MMAP_THRESHOLD = -3
_LARGE_BYTES = 1024 * 1024


def _give_memory_back() -> None:
    """Have the C library give back what a large answer took.

    Left to itself, that of GNU keeps it for the thread that read it, and so eight times
    for eight threads: 290 MB where 125 MB were in use.
    """
    with suppress(AttributeError, OSError, TypeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def main() -> None:
    """Run the tap, and end a failed run with what an operator needs to read.

    Raises:
        SystemExit: Always; the code is 1 when the run failed.
    """
    _give_memory_back()
    # Python writes 8 kB at a time, which is ten records and one system call.
    raw = getattr(sys.stdout.buffer, "raw", sys.stdout.buffer)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(raw, _OUTPUT_BYTES), encoding="utf-8"
    )
    try:
        TapKommoChats.cli()
    except ConfigValidationError as error:
        for line in error.errors:
            TapKommoChats.logger.critical(line)
        sys.exit(1)
    except (SingerSDKError, TapError) as error:
        # These are raised for an operator, whom a traceback would not help.
        TapKommoChats.logger.critical("%s", error)
        if isinstance(error, TargetGoneError):
            # Python would complain again when it flushes what nobody reads.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
