"""What may leave the process through the log: no secret, and one line for each line.

Everything that runs in the process writes to the log, the libraries under the sources
of conversations too, and what they write is made for those who work on them: addresses
with their signatures, headers, rows. So, for every handler that the operator set up:

- Below a warning, only the tap, the SDK and the HTTP client are heard.
- Secrets of the settings are taken out, and the queries of addresses that others name.
- What a message says stays in its line, and a traceback is set in, so that neither can
  be taken for a line of the log. The texts of exceptions are left out of tracebacks,
  because they may quote a message or a row.
"""

from __future__ import annotations

import copy
import logging
import re
import traceback
from typing import TYPE_CHECKING

from tap_kommo_chats.printable import escaped, is_printable
from tap_kommo_chats.redaction import Redaction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

_OURS = "tap-kommo-chats"

_HEARD_FROM = {
    _OURS: logging.DEBUG,
    "urllib3": logging.DEBUG,
    # Below, it shows what maps make of records.
    "singer_sdk": logging.INFO,
    # It warns of each look for more of a packed list that has ended.
    "aiohttp": logging.ERROR,
}
"""The level from which each logger is heard. All others are from a warning on."""

_QUERY = re.compile(r"\?[^\s?=\"'<>]+=[^\s\"'<>]*")


def handlers() -> Iterator[logging.Handler]:
    """Go through all handlers of the process, each once."""
    seen: set[logging.Handler] = set()
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    for logger in loggers:
        # What is no logger stands for one that may come.
        found = logger.handlers if isinstance(logger, logging.Logger) else ()
        for handler in found:
            if handler not in seen:
                seen.add(handler)
                yield handler


def guard_log() -> None:
    """Let nothing out of the handlers that there are but what may be shown."""
    for handler in _all():
        handler.addFilter(_is_heard)
        handler.setFormatter(_Guard(handler.formatter or logging.Formatter()))


def hide_in_log(secrets: Iterable[str]) -> None:
    """Take these texts out of every line of a guarded log.

    Args:
        secrets: What may not be shown.
    """
    redact = Redaction(secrets)
    for handler in _all():
        if isinstance(handler.formatter, _Guard):
            handler.formatter.redact = redact


def _all() -> Iterator[logging.Handler]:
    yield from handlers()
    # Python's own, for when there is no other.
    if logging.lastResort is not None:
        yield logging.lastResort


class _Guard(logging.Formatter):
    """Formats as another one does, and lets only through what may be shown."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self._formatter = formatter
        self.redact = Redaction(())

    def format(self, record: logging.LogRecord) -> str:
        line = self.redact(self._formatter.format(_shown(record)))
        is_ours = record.name.split(".")[0] == _OURS
        return line if is_ours else _QUERY.sub("?...", line)


def _shown(record: logging.LogRecord) -> logging.LogRecord:
    """Return a line with nothing in it that could be taken for another line."""
    shown = copy.copy(record)
    try:
        message = record.getMessage()
    except Exception:  # noqa: BLE001 (whatever the arguments' own texts raise)
        # Python would write the record to standard error as it is.
        message = str(record.msg)
        shown.args = ()
    if not is_printable(message):
        shown.msg, shown.args = escaped(message), ()
    if record.exc_info and record.exc_info[0]:
        kind, _, frames = record.exc_info
        shown.exc_info = _without_text(kind, frames)
        lines = "".join(traceback.format_exception(*shown.exc_info)).splitlines()
        shown.exc_text = "\n".join(f"  {escaped(line)}" for line in lines)
    return shown


def _without_text(
    kind: type[BaseException], frames: TracebackType | None
) -> tuple[type[BaseException], BaseException, TracebackType | None]:
    """Make an exception of the same name that says nothing."""
    silent = type(kind.__name__, (Exception,), {"__module__": kind.__module__})
    return silent, silent(), frames


def _is_heard(record: logging.LogRecord) -> bool:
    level = _HEARD_FROM.get(record.name.split(".")[0], logging.WARNING)
    return record.levelno >= level
