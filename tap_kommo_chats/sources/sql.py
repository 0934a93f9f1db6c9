"""Conversations listed by a query, in any database SQLAlchemy speaks to."""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tap_kommo_chats.errors import RunError
from tap_kommo_chats.printable import printable
from tap_kommo_chats.records.conversations import SQL, Conversation
from tap_kommo_chats.redaction import Redaction, url_secrets
from tap_kommo_chats.sources.listing import ID_COLUMN, read_entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg
    import sqlalchemy
    from psycopg.abc import Buffer

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

_ENCODED = "in a user or password, write @ as %40, / as %2F, : as %3A and % as %25"

_MEANINGS = (
    ("password|authentication|access denied|log[io]n failed", "it refuses the login"),
    ("resolve|getaddrinfo|name or service", "its host is no name that resolves"),
    ("refused", "its host refuses connections at that port"),
    ("time(d|out)", "it does not answer in time"),
    ("does not exist|unknown database", "there is no such database"),
    (
        "connection option|connection info|keyword argument",
        "its driver does not take a parameter of the URL",
    ),
    (r"\b(ssl|tls|certificate)\b", "TLS failed"),
)
"""What drivers say when they cannot connect (looked at, never shown), and what it means
to an operator."""

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

    def __init__(
        self, url: str, query: str, report: Report, *, has_talks: bool = False
    ) -> None:
        """Keep where to ask; the connection is made when it is iterated.

        Args:
            url: SQLAlchemy's URL of the database. It is a secret.
            query: A SELECT with a column `conversation_id` and, where there is one,
                `updated_at`.
            report: Is told of each row that is not as it should be.
            has_talks: Whether a row may name a talk.
        """
        self._url = url
        self._query = query
        self._report = report
        self._has_talks = has_talks

    def __iter__(self) -> Iterator[Conversation]:
        """Yield the conversations in the query's order.

        Raises:
            RunError: If the database cannot be asked, or breaks off.
        """
        engine = self._engine()
        try:
            with _connected(engine) as connection:
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
        driver: Any = connection.connection.driver_connection
        if connection.dialect.name == "sqlite":
            # Python handles signals between its own steps only, and a query of SQLite's
            # would be one step.
            driver.set_progress_handler(lambda: 0, _STEPS_APART)
        if connection.dialect.driver == "psycopg":
            _let_times_be_text(driver)
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
                if conversation := read_entry(
                    entry, SQL, where, self._report, has_talks=self._has_talks
                ):
                    yield conversation

    def _engine(self) -> sqlalchemy.Engine:
        try:
            import sqlalchemy  # noqa: PLC0415 (as above)
        except ImportError:
            msg = (
                "conversations_sql_url needs SQLAlchemy: "
                "pip install 'tap-kommo-chats[sql]'"
            )
            raise RunError(msg) from None

        url = _usable_url(self._url)
        try:
            return sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
        except (ImportError, sqlalchemy.exc.NoSuchModuleError) as error:
            kind = printable(url.drivername.partition("+")[0], _SAID_AT_MOST)
            remedy = (
                f"pip install 'tap-kommo-chats[{_EXTRAS[kind]}]'"
                if url.drivername in _DRIVERS.values()
                else "install it beside the tap "
                f"({printable(str(error), _SAID_AT_MOST)})"
            )
            msg = f"conversations_sql_url needs a driver for {kind}: {remedy}"
            raise RunError(msg) from None
        except (sqlalchemy.exc.ArgumentError, ValueError, TypeError):
            msg = (
                "conversations_sql_url has a parameter that its driver does not take: "
                "check what follows the question mark"
            )
            raise RunError(msg) from None

    def _what_it_said(self, error: Exception) -> str:
        """Quote what the database says of the query, without what is secret."""
        cause = _cause(error)
        redact = Redaction({self._url, *url_secrets(self._url)})
        said = printable(" ".join(redact(str(cause)).split()), _SAID_AT_MOST)
        return f"{type(cause).__name__}: {said}"


def _usable_url(text: str) -> sqlalchemy.URL:
    """Read the setting, with the driver that the tap's extras bring."""
    import sqlalchemy  # noqa: PLC0415 (as above)

    try:
        url = sqlalchemy.make_url(text)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        msg = (
            "conversations_sql_url is not a SQLAlchemy URL: write one such as "
            f"postgresql://user:password@host:5432/database; {_ENCODED}"
        )
        raise RunError(msg) from None
    url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    if url.host and "@" in f"{url.host}{url.database}":
        # What follows the first @ would be asked for as a host.
        msg = f"conversations_sql_url has more than one @: {_ENCODED}"
        raise RunError(msg)
    if _is_missing_file(url):
        # SQLite would make an empty one.
        msg = (
            "conversations_sql_url names a file that is not there: check the path "
            "(sqlite:////with/four/slashes is an absolute one)"
        )
        raise RunError(msg)
    return url


@contextmanager
def _connected(engine: sqlalchemy.Engine) -> Iterator[sqlalchemy.Connection]:
    """Connect to the database.

    Raises:
        RunError: If that fails. What the driver says then is not quoted: it may hold
            any piece of the URL, cut where nobody meant it to be.
    """
    try:
        connection = engine.connect()
    except Exception as error:  # noqa: BLE001 (drivers have errors of their own)
        said = str(_cause(error)).lower()
        meaning = next(
            (meaning for words, meaning in _MEANINGS if re.search(words, said)),
            type(_cause(error)).__name__,
        )
        msg = (
            f"The database of conversations cannot be reached ({meaning}): check "
            f"conversations_sql_url; {_ENCODED}"
        )
        raise RunError(msg) from None
    with connection:
        yield connection


def _let_times_be_text(driver: psycopg.Connection[Any]) -> None:
    """Let a time that Python has not be text, and not the end of the query.

    PostgreSQL has `infinity`, and times before Christ.
    """
    from psycopg import Error  # noqa: PLC0415 (imported by those who need it)
    from psycopg.types import datetime as types  # noqa: PLC0415 (as above)

    def lenient(loader: type[Any]) -> type[Any]:
        class Lenient(loader):  # type: ignore[misc]
            def load(self, data: Buffer) -> object:
                try:
                    return super().load(data)
                except Error:
                    return bytes(data).decode()

        return Lenient

    for name, loader in (
        ("date", types.DateLoader),
        ("timestamp", types.TimestampLoader),
        ("timestamptz", types.TimestamptzLoader),
    ):
        driver.adapters.register_loader(name, lenient(loader))


def _cause(error: Exception) -> BaseException:
    """Return the driver's error in SQLAlchemy's."""
    cause: BaseException | None = getattr(error, "orig", None)
    return cause or error


def _is_missing_file(url: sqlalchemy.URL) -> bool:
    """Tell whether a URL names a SQLite file that does not exist."""
    return (
        url.get_backend_name() == "sqlite"
        and url.database is not None
        and url.database not in {"", ":memory:"}
        and not url.database.startswith("file:")
        and not Path(url.database).exists()
    )
