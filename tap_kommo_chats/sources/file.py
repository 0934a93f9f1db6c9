"""Conversations listed in a file, on this machine or wherever fsspec reaches."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, TextIO, TypeAlias

from tap_kommo_chats.errors import RunError
from tap_kommo_chats.file_formats import file_format
from tap_kommo_chats.records.conversations import FILE, Conversation
from tap_kommo_chats.sources.listing import ID_COLUMN, MARK_COLUMN, read_entry
from tap_kommo_chats.sources.places import opened
from tap_kommo_chats.state.layout import SEARCHED_UNTIL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tap_kommo_chats.sources.listing import Report

LINE_AT_MOST = 1024 * 1024
"""Characters of a line, or of the lines that are one row of a table. An id has 36."""

_Found: TypeAlias = "tuple[int, Mapping[str, object] | str]"
"""The number of a line, and what it says; or why it cannot be read."""

_UNREADABLE = "cannot be read"
_TOO_LONG = f"is longer than {LINE_AT_MOST} characters"


class FileSource:
    """A file with one conversation a line. It is read line by line, never whole.

    Attributes:
        searched_for: The origins that the searches looked for that made it, as far as
            it was read; none where it does not tell.
    """

    def __init__(
        self, location: str, report: Report, timeout: int, *, has_talks: bool = False
    ) -> None:
        """Keep where it is; it is opened when it is iterated.

        Args:
            location: A path or any URL that fsspec opens, with a suffix that
                `file_format` knows.
            report: Is told of each line that is not as it should be.
            timeout: Seconds to wait for a server to connect or to send something.
            has_talks: Whether a line may name a talk.
        """
        self._location = location
        self._report = report
        self._timeout = timeout
        self._has_talks = has_talks
        self.searched_for: frozenset[str] = frozenset()

    def __iter__(self) -> Iterator[Conversation]:
        """Yield the conversations in the file's order.

        Raises:
            RunError: If the file cannot be opened, or breaks off.
        """
        read_lines = _READERS[file_format(self._location) or ".txt"]
        with opened("conversations_file", self._location, self._timeout) as file:
            for number, entry in read_lines(_Lines(file)):
                where = f"Line {number} of conversations_file"
                if isinstance(entry, str):
                    self._report(f"{where} {entry} and was left out")
                elif MARK_COLUMN in entry and ID_COLUMN not in entry:
                    # Not an entry, but how far the search was that made the list.
                    self.searched_for = _origins_of(entry[MARK_COLUMN])
                elif conversation := read_entry(
                    entry, FILE, where, self._report, has_talks=self._has_talks
                ):
                    yield conversation


def _origins_of(mark: object) -> frozenset[str]:
    until = mark.get(SEARCHED_UNTIL) if isinstance(mark, dict) else None
    return frozenset(until) if isinstance(until, dict) else frozenset()


class _LongLineError(Exception):
    """A line is longer than any can be. The next one can be read."""


class _Lines:
    """The lines of a file, of which no more is held than one may be long.

    Attributes:
        number: How many were read.
    """

    def __init__(self, file: TextIO) -> None:
        self.number = 0
        self._file = file
        self._left = LINE_AT_MOST

    def begin(self) -> None:
        """Begin an entry, which may take several lines."""
        self._left = LINE_AT_MOST

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """Return the next line, with its end.

        Raises:
            _LongLineError: If the entry gets too long with it. The line is passed over.
        """
        line = self._file.readline(self._left + 1)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) <= self._left:
            self._left -= len(line)
            return line
        while line and not line.endswith("\n"):
            line = self._file.readline(LINE_AT_MOST)
        raise _LongLineError


def _each(lines: _Lines) -> Iterator[tuple[int, str | None]]:
    """Yield the lines that are entries of their own, with None for one too long."""
    while True:
        lines.begin()
        try:
            line = next(lines)
        except StopIteration:
            return
        except _LongLineError:
            yield lines.number, None
        else:
            if line.strip():
                yield lines.number, line


def _texts(lines: _Lines) -> Iterator[_Found]:
    for number, line in _each(lines):
        yield number, _TOO_LONG if line is None else {ID_COLUMN: line}


def _rows(lines: _Lines) -> Iterator[_Found]:
    rows = csv.reader(lines, strict=True)
    try:
        names = next(rows, [])
    except (csv.Error, _LongLineError):
        names = []
    if ID_COLUMN not in names:
        msg = (
            f"conversations_file has no column {ID_COLUMN}: name the columns in its "
            "first line"
        )
        raise RunError(msg)
    while True:
        lines.begin()
        try:
            row = next(rows, None)
        except _LongLineError:
            yield lines.number, _TOO_LONG
        except csv.Error as error:
            if "end of data" in str(error):
                msg = (
                    "conversations_file has a quotation mark that is never closed, so "
                    "that the lines after it cannot be told apart: mend the file"
                )
                raise RunError(msg) from None
            yield lines.number, _UNREADABLE
        else:
            if row is None:
                return
            if row:
                yield lines.number, dict(zip(names, row, strict=False))


def _objects(lines: _Lines) -> Iterator[_Found]:
    for number, line in _each(lines):
        if line is None:
            yield number, _TOO_LONG
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        yield number, value if isinstance(value, dict) else _UNREADABLE


_READERS: dict[str, Callable[[_Lines], Iterator[_Found]]] = {
    ".txt": _texts,
    ".csv": _rows,
    ".jsonl": _objects,
}
"""By suffix: what reads a file line by line."""
