"""The command ``python -m sandbox``."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from pathlib import Path

from sandbox.seed import seeded_store
from sandbox.server import Sandbox


def main(arguments: list[str] | None = None) -> int:
    """Serve the seeded conversations until SIGTERM or SIGINT.

    Args:
        arguments: The command line; the process's own if None.

    Returns:
        The exit code: 0 after a signal, 1 if the port or the file cannot be had.
    """
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="A local stand-in for Kommo's Chats API, for development.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--port", type=int, default=8765, help="0 picks a free one")
    parser.add_argument(
        "--settings-file",
        type=Path,
        metavar="PATH",
        help="also write the settings to this file once the sandbox is ready",
    )
    options = parser.parse_args(arguments)

    # Before anything else, so that no signal finds the default handler.
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    try:
        sandbox = Sandbox(seeded_store(), host=options.host, port=options.port)
    except ValueError as error:
        parser.error(str(error))
    try:
        if options.settings_file is not None:
            # A file left by an earlier run would tell a waiting script a lie.
            options.settings_file.unlink(missing_ok=True)
        with sandbox:
            _announce(_settings(sandbox), options.settings_file)
            stop.wait()
    except OSError as error:
        sys.stderr.write(f"The sandbox cannot start: {error}\n")
        return 1
    return 0


def _settings(sandbox: Sandbox) -> str:
    """Return what a tap needs to read the sandbox, as ``KEY=VALUE`` lines."""
    # ASCII only, so that the lines survive any locale of the terminal.
    ids = json.dumps(sandbox.store.conversation_ids(), separators=(",", ":"))
    return (
        f"TAP_KOMMO_CHATS_API_URL={sandbox.url}\n"
        f"TAP_KOMMO_CHATS_SCOPE_ID={sandbox.scope_id}\n"
        f"TAP_KOMMO_CHATS_CHANNEL_SECRET={sandbox.secret}\n"
        f"TAP_KOMMO_CHATS_CONVERSATION_IDS={ids}\n"
    )


def _announce(settings: str, settings_file: Path | None) -> None:
    if settings_file is not None:
        _write_whole(settings_file, settings)
    sys.stdout.write(settings + "ready\n")
    sys.stdout.flush()


def _write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader sees all of it or none."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


if __name__ == "__main__":
    sys.exit(main())
