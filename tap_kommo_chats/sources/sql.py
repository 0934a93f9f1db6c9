"""Conversations listed by a query, in any database SQLAlchemy speaks to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tap_kommo_chats.errors import RunError
from tap_kommo_chats.records.conversations import SQL, Conversation
from tap_kommo_chats.sources.listing import ID_COLUMN, read_entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy

    from tap_kommo_chats.sources.listing import Report

_ROWS_AT_ONCE = 1000
_SAID_AT_MOST = 200
_STEPS_APART = 100_000

_DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
"""The drivers that the extras bring, for a URL that names none."""

_EXTRAS = {"postgresql": "postgres", "mysql": "mysql", "mariadb": "mysql"}

_READ_ONLY = {
    "sqlite": "PRAGMA query_only = ON",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
    "oracle": "SET TRANSACTION READ ONLY",
}
"""How a database is told that nothing will be written. PostgreSQL is asked through
SQLAlchemy, and others have no such thing."""


class SQLSource:
    """A query with one conversation a row. Rows stay with the server until read."""

    def __init__(self, url: str, query: str, report: Report) -> None:
        """Keep where to ask; the connection is made when it is iterated.

        Args:
            url: SQLAlchemy's URL of the database. It is a secret.
            query: A SELECT with a column `conversation_id` and, where there is one,
                `updated_at`.
            report: Is told of each row that is not as it should be.
        """
        self._url = url
        self._query = query
        self._report = report

    def __iter__(self) -> Iterator[Conversation]:
        """Yield the conversations in the query's order.

        Raises:
            RunError: If the database cannot be asked, or breaks off.
        """
        engine = self._engine()
        try:
            with engine.connect() as connection:
                yield from self._rows(connection)
        except RunError:
            raise
        except Exception as error:  # noqa: BLE001 (drivers have errors of their own)
            msg = (
                f"The query of conversations failed ({self._what_it_said(error)}): "
                "check conversations_sql_url and conversations_sql_query"
            )
            raise RunError(msg) from None
        finally:
            engine.dispose()

    def _rows(self, connection: sqlalchemy.Connection) -> Iterator[Conversation]:
        connection = connection.execution_options(
            stream_results=True,
            yield_per=_ROWS_AT_ONCE,
            # A % in the query is a %.
            no_parameters=True,
            **(
                {"postgresql_readonly": True}
                if connection.dialect.name == "postgresql"
                else {}
            ),
        )
        if connection.dialect.name == "sqlite":
            # Python handles signals between its own steps only, and a query of SQLite's
            # would be one step.
            driver: Any = connection.connection.driver_connection
            driver.set_progress_handler(lambda: 0, _STEPS_APART)
        if statement := _READ_ONLY.get(connection.dialect.name):
            connection.exec_driver_sql(statement)
        # Not `text`, to which the colon of a time in the query would be a parameter.
        with connection.exec_driver_sql(self._query) as rows:
            if not rows.returns_rows or ID_COLUMN not in rows.keys():  # noqa: SIM118 (a method of SQLAlchemy's)
                msg = (
                    f"conversations_sql_query gives no column {ID_COLUMN}: name the "
                    f"column with the ids AS {ID_COLUMN}"
                )
                raise RunError(msg)
            for number, row in enumerate(rows.mappings(), start=1):
                entry = {str(name): value for name, value in row.items()}
                where = f"Row {number} of conversations_sql_query"
                if conversation := read_entry(entry, SQL, where, self._report):
                    yield conversation

    def _engine(self) -> sqlalchemy.Engine:
        try:
            import sqlalchemy  # noqa: PLC0415 (as above)
            from sqlalchemy.exc import ArgumentError, NoSuchModuleError  # noqa: PLC0415
        except ImportError:
            msg = (
                "conversations_sql_url needs SQLAlchemy: "
                "pip install 'tap-kommo-chats[sql]'"
            )
            raise RunError(msg) from None

        try:
            url = sqlalchemy.make_url(self._url)
        except (ArgumentError, ValueError):
            msg = (
                "conversations_sql_url is not a SQLAlchemy URL: write one such as "
                "postgresql://user:password@host:5432/database"
            )
            raise RunError(msg) from None
        url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
        if _is_missing_file(url):
            # SQLite would make an empty one.
            msg = (
                f"conversations_sql_url names a file that is not there ({url.database})"
                ": check the path (sqlite:////with/four/slashes is an absolute one)"
            )
            raise RunError(msg)
        try:
            return sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
        except (ImportError, NoSuchModuleError) as error:
            kind = url.drivername.partition("+")[0]
            remedy = (
                f"pip install 'tap-kommo-chats[{_EXTRAS[kind]}]'"
                if url.drivername in _DRIVERS.values()
                else f"install it beside the tap ({error})"
            )
            msg = f"conversations_sql_url needs a driver for {kind}: {remedy}"
            raise RunError(msg) from None
        except (ArgumentError, ValueError, TypeError):
            msg = (
                "conversations_sql_url has a parameter that its driver does not take: "
                "check what follows the question mark"
            )
            raise RunError(msg) from None

    def _what_it_said(self, error: Exception) -> str:
        """Quote the database, without what the URL has secret in it."""
        import sqlalchemy  # noqa: PLC0415 (as above)

        cause: Any = getattr(error, "orig", None) or error
        said = " ".join(str(cause).split())
        password = sqlalchemy.make_url(self._url).password
        for secret in (self._url, str(password or "")):
            if secret:
                said = said.replace(secret, "...")
        return f"{type(cause).__name__}: {said[:_SAID_AT_MOST]}"


def _is_missing_file(url: sqlalchemy.URL) -> bool:
    """Tell whether a URL names a SQLite file that does not exist."""
    return (
        url.get_backend_name() == "sqlite"
        and url.database is not None
        and url.database not in {"", ":memory:"}
        and not url.database.startswith("file:")
        and not Path(url.database).exists()
    )
