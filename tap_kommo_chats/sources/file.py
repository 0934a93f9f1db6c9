"""Conversations listed in a file, on this machine or wherever fsspec reaches."""

from __future__ import annotations

import csv
import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO, cast
from urllib.parse import urlsplit

from tap_kommo_chats.errors import RunError
from tap_kommo_chats.file_formats import file_format, is_packed
from tap_kommo_chats.records.conversations import FILE, Conversation
from tap_kommo_chats.sources.listing import ID_COLUMN, read_entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tap_kommo_chats.sources.listing import Report

_EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "abfs": "azure",
    "abfss": "azure",
    "az": "azure",
    "http": "http",
    "https": "http",
}
"""The extra that brings what fsspec needs, by the URL's scheme."""


class FileSource:
    """A file with one conversation a line. It is read line by line, never whole."""

    def __init__(self, location: str, report: Report) -> None:
        """Keep where it is; it is opened when it is iterated.

        Args:
            location: A path or any URL that fsspec opens, with a suffix that
                `file_format` knows.
            report: Is told of each line that is not as it should be.
        """
        self._location = location
        self._report = report

    def __iter__(self) -> Iterator[Conversation]:
        """Yield the conversations in the file's order.

        Raises:
            RunError: If the file cannot be opened, or breaks off.
        """
        read_lines = _READERS[file_format(self._location) or ".txt"]
        with _opened(self._location) as file:
            for number, entry in read_lines(file):
                where = f"Line {number} of conversations_file"
                if entry is None:
                    self._report(f"{where} cannot be read and was left out")
                elif conversation := read_entry(entry, FILE, where, self._report):
                    yield conversation


@contextmanager
def _opened(location: str) -> Iterator[TextIO]:
    # Imported only by those who list conversations in a file.
    import fsspec  # noqa: PLC0415

    try:
        with fsspec.open(
            location,
            "rt",
            compression="gzip" if is_packed(location) else None,
            encoding="utf-8-sig",
            # A name that is not UTF-8 is one bad line, and not the end of the file.
            errors="surrogateescape",
            newline="",
        ) as file:
            yield cast("TextIO", file)
    except ImportError as error:
        scheme = urlsplit(location).scheme
        remedy = (
            f"pip install 'tap-kommo-chats[{_EXTRAS[scheme]}]'"
            if scheme in _EXTRAS
            else str(error)
        )
        msg = f"conversations_file needs a package for {scheme}:// to be read: {remedy}"
        raise RunError(msg) from None
    except RunError:
        raise
    except Exception as error:  # noqa: BLE001 (see below)
        # Each of the places fsspec reaches has errors of its own. Their text is left
        # out, because it may quote a signed URL.
        number = getattr(error, "errno", None)
        reason = os.strerror(number) if type(number) is int else type(error).__name__
        msg = (
            f"conversations_file cannot be read ({reason}): check the setting, that "
            "the file is there and whole, and that this user may read it"
        )
        raise RunError(msg) from None


def _texts(file: TextIO) -> Iterator[tuple[int, Mapping[str, object] | None]]:
    for number, line in enumerate(file, start=1):
        if line.strip():
            yield number, {ID_COLUMN: line}


def _rows(file: TextIO) -> Iterator[tuple[int, Mapping[str, object] | None]]:
    rows = csv.DictReader(file, strict=True)
    if ID_COLUMN not in (rows.fieldnames or ()):
        msg = (
            f"conversations_file has no column {ID_COLUMN}: name the columns in its "
            "first line"
        )
        raise RunError(msg)
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            if "end of data" in str(error):
                msg = (
                    "conversations_file has a quotation mark that is never closed, so "
                    "that the lines after it cannot be told apart: mend the file"
                )
                raise RunError(msg) from None
            yield rows.reader.line_num, None
            continue
        if row is None:
            return
        yield rows.line_num, row


def _objects(file: TextIO) -> Iterator[tuple[int, Mapping[str, object] | None]]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        yield number, value if isinstance(value, dict) else None


_READERS: dict[
    str, Callable[[TextIO], Iterable[tuple[int, Mapping[str, object] | None]]]
] = {".txt": _texts, ".csv": _rows, ".jsonl": _objects}
"""By suffix: what reads a file line by line, and yields None for one it cannot read."""
