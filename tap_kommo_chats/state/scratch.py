"""A temporary SQLite database of the process.

It takes to the disk what does not fit its small cache, so memory stays flat however
much is kept there. Nothing of it outlives the run, and no message is in it.
"""

from __future__ import annotations

import os
import sqlite3
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from tap_kommo_chats.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Row: TypeAlias = tuple[Any, ...]


class Scratch:
    """The database, gone with whoever has it. One thread at a time uses it.

    Each method raises `RunError` if the database cannot take or give what it should.
    """

    def __init__(self, tables: str) -> None:
        """Open it, and make its tables by some SQL."""
        # An empty name is a temporary database, deleted when it is closed.
        self._database = sqlite3.connect(
            "", isolation_level=None, check_same_thread=False
        )
        # Python complains of one that nobody closes. Its garbage may be collected in
        # any thread.
        weakref.finalize(self, self._database.close)
        try:
            self._database.executescript(
                f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {tables}"
            )
        except sqlite3.Error as error:
            raise _failure(error) from None

    def rows(self, statement: str, values: Row = ()) -> Iterator[Row]:
        """Yield the rows of a statement, which is run when the first is asked for."""
        try:
            yield from self._database.execute(statement, values)
        except sqlite3.Error as error:
            raise _failure(error) from None

    def first(self, statement: str, values: Row = ()) -> Row | None:
        """Return the first row of a statement; None when it has none."""
        try:
            row: Row | None = self._database.execute(statement, values).fetchone()
        except sqlite3.Error as error:
            raise _failure(error) from None
        return row

    def do(self, statement: str, values: Row = ()) -> int:
        """Run a statement, and return how many rows it changed."""
        try:
            return self._database.execute(statement, values).rowcount
        except sqlite3.Error as error:
            raise _failure(error) from None

    def do_many(self, statement: str, values: Iterable[Row]) -> None:
        """Run a statement with each of some values."""
        try:
            self._database.executemany(statement, values)
        except sqlite3.Error as error:
            raise _failure(error) from None


def _failure(error: sqlite3.Error) -> RunError:
    return RunError(
        f"What the run knows cannot be kept in {_folder()} ({error}): make room"
        " there, let this user write there, or name another folder in TMPDIR"
    )


def _folder() -> str:
    """Name the folder that SQLite takes for what is temporary (it does not tell)."""
    named = (os.environ.get("SQLITE_TMPDIR"), os.environ.get("TMPDIR"))
    for folder in (*named, "/var/tmp", "/usr/tmp", "/tmp"):  # noqa: S108 (SQLite's)
        if folder and Path(folder).is_dir() and os.access(folder, os.W_OK | os.X_OK):
            return folder
    return "any folder for temporary files"
