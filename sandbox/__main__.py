"""The command ``python -m sandbox``."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from contextlib import contextmanager, nullcontext
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.crm.item import OWN_ORIGIN
from sandbox.crm.terms import USUAL_TERMS, Terms
from sandbox.faults import NO_FAULTS, Faults
from sandbox.options import from_json
from sandbox.seed.conversations import generated_store, seeded_store
from sandbox.seed.crm import seeded_crm
from sandbox.seed.times import days_until
from sandbox.server import Sandbox
from sandbox.webhooks import WebhooksFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from sandbox.chats.store import ConversationStore


def main(arguments: list[str] | None = None) -> int:
    """Serve the seeded or generated conversations until SIGTERM or SIGINT.

    Args:
        arguments: The command line; the process's own if None.

    Returns:
        The exit code: 0 after a signal, 1 if the port or the file cannot be had.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if (options.conversations is None) != (options.messages is None):
        parser.error("--conversations and --messages go together")

    # Before anything else, so that no signal finds the default handler.
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    days_later = 0 if options.until is None else days_until(options.until)
    store = (
        seeded_store(days_later)
        if options.conversations is None
        else generated_store(options.conversations, options.messages)
    )
    try:
        sandbox = Sandbox(
            store,
            seeded_crm(store, days_later) if options.crm else None,
            faults=options.faults,
            host=options.host,
            port=options.port,
        )
    except ValueError as error:
        parser.error(str(error))
    sandbox.crm.terms = options.crm_terms
    try:
        if options.settings_file is not None:
            # A file left by an earlier run would tell a waiting script a lie.
            options.settings_file.unlink(missing_ok=True)
        with _webhooks(store, options.webhooks_file), sandbox:
            settings = _settings(sandbox)
            if options.crm:
                settings += _crm_settings(sandbox)
            _announce(settings, options.settings_file)
            stop.wait()
    except OSError as error:
        sys.stderr.write(f"The sandbox cannot start: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="A local stand-in for Kommo's APIs, for development.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--port", type=int, default=8765, help="0 picks a free one")
    parser.add_argument(
        "--settings-file",
        type=Path,
        metavar="PATH",
        help="also write the settings to this file once the sandbox is ready",
    )
    parser.add_argument(
        "--webhooks-file",
        type=Path,
        metavar="PATH",
        help="append which conversation changed and when, as lines of JSON",
    )
    _add_contents(parser)
    return parser


def _add_contents(parser: argparse.ArgumentParser) -> None:
    """Add what says what is served, and how."""
    parser.add_argument(
        "--conversations",
        type=_count,
        metavar="N",
        help="serve N small generated conversations in place of the seeded ones",
    )
    parser.add_argument(
        "--messages", type=_count, metavar="M", help="with M messages each"
    )
    parser.add_argument(
        "--until",
        type=date.fromisoformat,
        metavar="DAY",
        help="let the seeded conversations end just before this day, as in 2026-06-30",
    )
    parser.add_argument(
        "--crm",
        action="store_true",
        help="serve the CRM API as well: for the conversations, and for native chats",
    )
    parser.add_argument(
        "--crm-terms",
        type=_terms,
        default=USUAL_TERMS,
        metavar="JSON",
        help="""what the CRM refuses, and how it answers, as in '{"addon": false}'""",
    )
    parser.add_argument(
        "--faults",
        type=_faults,
        default=NO_FAULTS,
        metavar="JSON",
        help="""what goes wrong, as in '{"server_error": 0.05, "seed": 7}'""",
    )


def _webhooks(
    store: ConversationStore, path: Path | None
) -> AbstractContextManager[object]:
    return nullcontext() if path is None else WebhooksFile(store, path)


def _count(text: str) -> int:
    if not text.isdecimal():
        message = f"not a count: {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _faults(text: str) -> Faults:
    with _errors_shown():
        return from_json(Faults, text, "fault")


def _terms(text: str) -> Terms:
    with _errors_shown():
        return from_json(Terms, text, "term")


@contextmanager
def _errors_shown() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        # argparse shows the text of this kind of error only.
        raise argparse.ArgumentTypeError(str(error)) from None


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


def _crm_settings(sandbox: Sandbox) -> str:
    """Return what a tap needs to read the CRM, as ``KEY=VALUE`` lines."""
    return (
        f"TAP_KOMMO_CHATS_CRM_URL={sandbox.url}\n"
        f"TAP_KOMMO_CHATS_CRM_ACCESS_TOKEN={sandbox.crm_token}\n"
        f"TAP_KOMMO_CHATS_CRM_ORIGINS={json.dumps([OWN_ORIGIN])}\n"
        "TAP_KOMMO_CHATS_NATIVE_CHANNELS=true\n"
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
