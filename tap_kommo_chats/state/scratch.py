"""A temporary SQLite database of the process.

It takes to the disk what does not fit its small cache, so memory stays flat however
much is kept there. Nothing of it outlives the run, and no message is in it.
"""

from __future__ import annotations

import sqlite3
import weakref


def open_scratch(owner: object, tables: str) -> sqlite3.Connection:
    """Open a database that is gone with its owner.

    Args:
        owner: Whose it is. One thread at a time uses it.
        tables: SQL that makes its tables.
    """
    # An empty name is a temporary database, deleted when it is closed.
    database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    # Python complains of one that nobody closes. Its garbage may be collected in any
    # thread.
    weakref.finalize(owner, database.close)
    database.executescript(
        f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {tables}"
    )
    return database
