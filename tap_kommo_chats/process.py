"""Running the command, and ending it with what an operator needs to read."""

from __future__ import annotations

import ctypes
import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from singer_sdk.exceptions import SingerSDKError

from tap_kommo_chats.command import command
from tap_kommo_chats.errors import OutputError, SettingsError, TapError
from tap_kommo_chats.log import guard_log
from tap_kommo_chats.printable import printable
from tap_kommo_chats.run.stop import watch_signals
from tap_kommo_chats.streams.writer import end_output
from tap_kommo_chats.tap import TapKommoChats

if TYPE_CHECKING:
    import click

_OUTPUT_BYTES = 64 * 1024
_SAID_AT_MOST = 4000
"""Characters of what is told of a failed run: it may name ids of ten conversations."""

OF_SETTINGS = {"kind": "settings"}
"""Stands as an attribute with a line on settings, where the log has attributes: another
attempt changes nothing."""

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
    watch_signals()
    problems: list[str] = []
    kind: dict[str, str] = {}
    try:
        _open_output()
        try:
            _command()()
        finally:
            # Here and not at the interpreter's end, which would tell of it in its way.
            end_output()
    except SettingsError as error:
        problems = error.problems
        kind = OF_SETTINGS
    except (SingerSDKError, TapError) as error:
        # These are raised for an operator, whom a traceback would not help.
        problems = [str(error)]
        if isinstance(error, OutputError):
            _close_output()
    except Exception as error:  # noqa: BLE001 (Python would show its text)
        TapKommoChats.logger.critical(
            "%s: this is a mistake in the tap, please report this line and those below",
            type(error).__name__,
            exc_info=True,
        )
    for problem in problems:
        said = printable(problem, _SAID_AT_MOST)
        TapKommoChats.logger.critical("%s", said, extra=kind)
    sys.exit(1)


def _open_output() -> None:
    """Let output go out in larger pieces.

    Python writes 8 kB at a time, which is ten records and one system call.

    Raises:
        OutputError: If there is none.
    """
    # Python's own, when the process was started with it closed.
    if sys.stdout is None:
        msg = "Standard output is closed: let it lead to a target"
        raise OutputError(msg)
    raw = getattr(sys.stdout.buffer, "raw", sys.stdout.buffer)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(raw, _OUTPUT_BYTES), encoding="utf-8"
    )


def _close_output() -> None:
    """Keep Python from complaining again, when it hands over what nobody takes."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _command() -> click.Command:
    """Make the command, and set up the log as the environment says.

    Raises:
        TapError: If the environment says what cannot be.
    """
    try:
        made = command()
    except ValueError:
        msg = (
            "The log cannot be set up: check TAP_KOMMO_CHATS_LOGLEVEL or LOGLEVEL "
            "(DEBUG, INFO, WARNING or ERROR), and SINGER_SDK_LOG_CONFIG"
        )
        raise TapError(msg) from None
    guard_log()
    return made
