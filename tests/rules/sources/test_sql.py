"""Conversations listed by a query."""

from __future__ import annotations

import sqlite3
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tap_kommo_chats.errors import RunError
from tap_kommo_chats.records.conversations import Conversation
from tap_kommo_chats.sources.sql import SQLSource
from tests.support.memory import peak_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.postgres import PostgresServer

A = "30477717-9f3c-4d3f-8101-60327e14dc48"
B = "7b1d2c90-0c35-4a0e-9f25-2f4f6a1f8f11"
MOMENT = "2025-01-05 10:20:30"
MOMENT_MS = 1_736_072_430_000
DAYS_START_MS = 1_736_035_200_000
DAYS_END_MS = 1_736_121_599_999
PASSWORD = "hush-hush"  # noqa: S105 (made up)
ALL = "SELECT * FROM chats ORDER BY number"


def read(url: str, query: str) -> tuple[list[Conversation], list[str]]:
    """Read a query, and return what was said about it too."""
    said: list[str] = []
    return list(SQLSource(url, query, said.append)), said


def read_well(url: str, query: str) -> list[Conversation]:
    conversations, said = read(url, query)
    assert said == []
    return conversations


def refusal(url: str, query: str = "SELECT 1") -> str:
    """What is said of a query that cannot be read; one line without secrets."""
    with pytest.raises(RunError) as raised:
        read(url, query)
    said = str(raised.value)
    assert "\n" not in said
    assert url not in said
    assert PASSWORD not in said
    # Nor may anything else show it that logs the error.
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    return said


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A SQLite database with two chats."""
    path = tmp_path / "chats.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE chats (number, conversation_id, updated_at)")
        database.execute(f"INSERT INTO chats VALUES (1, '{A}', NULL), (2, '{B}', NULL)")  # noqa: S608 (the test's own)
        database.commit()
    return path


@pytest.fixture
def url(file: Path) -> str:
    return f"sqlite:///{file}"


def test_a_row_needs_an_id_only(url: str) -> None:
    query = "SELECT conversation_id FROM chats ORDER BY number"

    assert read_well(url, query) == [Conversation(A, "sql"), Conversation(B, "sql")]


@pytest.mark.parametrize(
    "value",
    [
        f"'{MOMENT}'",
        f"datetime('{MOMENT}')",
        "'2025-01-05T10:20:30.000000Z'",
        "1736072430",
        "1736072430000",
        "1736072430.0",
    ],
)
def test_a_time_may_be_text_or_a_number(url: str, value: str) -> None:
    query = f"SELECT '{A}' AS conversation_id, {value} AS updated_at"

    assert read_well(url, query) == [Conversation(A, "sql", MOMENT_MS)]


def test_other_columns_are_not_looked_at(url: str) -> None:
    assert read_well(url, ALL) == [Conversation(A, "sql"), Conversation(B, "sql")]


def test_a_query_may_have_a_percent_sign_and_a_colon(url: str) -> None:
    query = (
        f"SELECT conversation_id, '{MOMENT}' AS updated_at FROM chats"  # noqa: S608 (the test's own)
        f" WHERE conversation_id LIKE '3%' AND '{MOMENT}:x' <> ':x' AND 7 % 2 = 1"
    )

    assert read_well(url, query) == [Conversation(A, "sql", MOMENT_MS)]


@pytest.mark.parametrize("end", [";", " ;\n", " -- chats"])
def test_a_query_may_end_as_in_a_console(url: str, end: str) -> None:
    assert len(read_well(url, ALL + end)) == 2


def test_a_query_may_begin_with(url: str) -> None:
    query = "WITH known AS (SELECT conversation_id FROM chats) SELECT * FROM known"

    assert len(read_well(url, query)) == 2


def test_a_query_may_find_nothing(url: str) -> None:
    assert read_well(url, "SELECT conversation_id FROM chats WHERE 0") == []


def test_bad_rows_are_numbered_and_left_out(url: str) -> None:
    query = (
        f"SELECT '{A}' AS conversation_id, NULL AS updated_at UNION ALL"
        " SELECT NULL, NULL UNION ALL SELECT 7, NULL UNION ALL SELECT '../x', NULL"
        f" UNION ALL SELECT '{B}', 'soon'"
    )

    conversations, said = read(url, query)

    assert [each.conversation_id for each in conversations] == [A, B]
    for line, told in zip(
        said,
        [
            "Row 2 of conversations_sql_query has no conversation_id and was left out",
            "Row 3 of conversations_sql_query has no conversation_id and was left out",
            "Row 4 of conversations_sql_query was left out: its conversation_id ",
            "Row 5 of conversations_sql_query has an updated_at that is no time",
        ],
        strict=True,
    ):
        assert line.startswith(told)


@pytest.mark.parametrize(
    "query",
    ["SELECT number AS id FROM chats", "SELECT 1 WHERE 0", "PRAGMA foreign_keys=1"],
)
def test_a_query_without_the_column_is_refused(url: str, query: str) -> None:
    said = refusal(url, query)

    assert "conversations_sql_query gives no column conversation_id" in said
    assert "AS conversation_id" in said


def test_a_query_that_fails_is_told_with_what_the_database_said(url: str) -> None:
    said = refusal(url, "SELECT conversation_id FROM nowhere")

    assert "no such table: nowhere" in said
    assert "check conversations_sql_url and conversations_sql_query" in said


def test_a_long_complaint_is_cut(url: str) -> None:
    assert len(refusal(url, f"SELECT * FROM {'x' * 10_000}")) < 400  # noqa: S608 (the test's own)


@pytest.mark.parametrize("query", ["", "chats", "SELECT 1; SELECT 2", "SELECT '\x00'"])
def test_what_is_no_query_is_refused(url: str, query: str) -> None:
    assert "conversations_sql_query" in refusal(url, query)


def test_a_database_that_is_not_there_is_refused(tmp_path: Path) -> None:
    said = refusal(f"sqlite:///{tmp_path}/nowhere/chats.db")

    assert "conversations_sql_url names a file that is not there" in said


@pytest.mark.parametrize(
    "bad",
    [
        PASSWORD,
        f"user:{PASSWORD}@host/database",
        f"host={PASSWORD} dbname=chats",
        f"postgresql://user:{PASSWORD}@host:port/database",
        f"//{PASSWORD}",
    ],
)
def test_what_is_no_url_is_refused(bad: str) -> None:
    said = refusal(bad)

    assert "conversations_sql_url is not a SQLAlchemy URL: write one such as" in said


def test_a_url_with_a_parameter_of_the_wrong_kind_is_refused(url: str) -> None:
    said = refusal(f"{url}?timeout=soon", ALL)

    assert "conversations_sql_url has a parameter that its driver does not take" in said


@pytest.mark.parametrize(
    "place", ["word@host/db", "word@host:5432/db", "word/more@host/db", "@host/db"]
)
def test_an_at_sign_in_a_password_is_told_before_anybody_is_asked(place: str) -> None:
    said = refusal(f"postgresql://user:{PASSWORD}@{place}")

    assert "write @ as %40" in said
    assert "word" not in said.replace("password", "")


@pytest.mark.parametrize(
    ("more", "meaning"),
    [
        ("@127.0.0.1:1/db", "its host refuses connections at that port"),
        ("@host.invalid/db", "its host is no name that resolves"),
        ("@127.0.0.1:1/db?hush=hush", "its driver does not take a parameter"),
    ],
)
def test_why_a_database_cannot_be_reached_is_told_without_the_drivers_words(
    more: str, meaning: str
) -> None:
    said = refusal(f"postgresql://user:{PASSWORD}{more}")

    assert said.startswith("The database of conversations cannot be reached (")
    assert meaning in said
    for piece in ("127.0.0.1", "host.invalid", "hush", "user:"):
        assert piece not in said


def test_a_complaint_of_the_database_is_one_line_of_text(url: str) -> None:
    said = refusal(url, 'SELECT conversation_id FROM "a\x1b[2J\u202eb"')

    assert r"a\x1b[2J\u202eb" in said


def test_a_database_that_nobody_knows_is_refused() -> None:
    said = refusal(f"nonsense://user:{PASSWORD}@host/database")

    assert "conversations_sql_url needs a driver for nonsense: install it" in said


@pytest.mark.parametrize(
    ("scheme", "package", "extra"),
    [
        ("mysql", "pymysql", "mysql"),
        ("mariadb", "pymysql", "mysql"),
        ("postgresql", "psycopg", "postgres"),
        ("postgres", "psycopg", "postgres"),
    ],
)
def test_a_missing_driver_is_told_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, scheme: str, package: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)

    said = refusal(f"{scheme}://user:{PASSWORD}@127.0.0.1:1/chats")

    assert f"pip install 'tap-kommo-chats[{extra}]'" in said


def test_a_missing_driver_beyond_the_extras_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pyodbc", None)

    said = refusal(f"mssql+pyodbc://user:{PASSWORD}@127.0.0.1:1/chats")

    assert "conversations_sql_url needs a driver for mssql: install it beside" in said
    assert "pyodbc" in said


def test_sqlalchemy_that_is_missing_is_told_with_its_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [*sys.modules]:
        if name.partition(".")[0] == "sqlalchemy":
            monkeypatch.setitem(sys.modules, name, None)

    assert "pip install 'tap-kommo-chats[sql]'" in refusal("sqlite://")


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM chats RETURNING conversation_id",
        f"UPDATE chats SET conversation_id = '{A}' RETURNING conversation_id",  # noqa: S608 (the test's own)
        "INSERT INTO chats VALUES (3, 'c', NULL) RETURNING conversation_id",
        "DROP TABLE chats",
    ],
)
def test_a_query_that_writes_is_refused_and_writes_nothing(
    file: Path, url: str, query: str
) -> None:
    before = file.read_bytes()

    assert "readonly" in refusal(url, query)
    assert file.read_bytes() == before


def test_nothing_is_asked_before_the_reading_begins(tmp_path: Path) -> None:
    SQLSource(f"sqlite:///{tmp_path}/chats.db", "SELECT 1", lambda _: None)

    assert not list(tmp_path.iterdir())


def test_memory_stays_flat_however_many_rows_there_are(url: str) -> None:
    def peak(rows: int) -> int:
        query = (
            f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"  # noqa: S608 (the test's own)
            f" WHERE i < {rows}) SELECT '{A[:-12]}' || (100000000000 + i)"
            " AS conversation_id FROM n"
        )
        return peak_of(SQLSource(url, query, lambda _: None))

    peak(10)
    assert peak(10_000) < 1.2 * peak(2000)


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    """A PostgreSQL database with two chats; its name."""
    name = postgres.create_database()
    with postgres.connect(name) as connection:
        connection.execute("CREATE TABLE chats (number int, conversation_id text)")
        connection.execute(f"INSERT INTO chats VALUES (1, '{A}'), (2, '{B}')")  # noqa: S608 (the test's own)
    return name


def postgres_url(postgres: PostgresServer, database: str, more: str = "") -> str:
    """Its URL as people write it, without a driver."""
    written = postgres.url(database).replace("postgresql+psycopg://", "postgresql://")
    return written + more


@pytest.mark.parametrize(
    "scheme", ["postgresql://", "postgres://", "postgresql+psycopg://"]
)
def test_a_url_of_postgresql_needs_no_driver(
    postgres: PostgresServer, database: str, scheme: str
) -> None:
    url = postgres.url(database).replace("postgresql+psycopg://", scheme)

    assert read_well(url, ALL) == [Conversation(A, "sql"), Conversation(B, "sql")]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"'{MOMENT}Z'::timestamptz", MOMENT_MS),
        ("'2025-01-05 07:20:30-03'::timestamptz", MOMENT_MS),
        (f"'{MOMENT}'::timestamp", MOMENT_MS),
        ("'2025-01-05'::date", DAYS_END_MS),
        ("1736072430::bigint", MOMENT_MS),
        ("1736072430.0::numeric", MOMENT_MS),
        (f"'{MOMENT}'::text", MOMENT_MS),
        ("NULL::timestamptz", None),
    ],
)
def test_each_type_of_time_of_postgresql_is_read(
    postgres: PostgresServer, database: str, value: str, expected: int | None
) -> None:
    query = f"SELECT '{A}' AS conversation_id, {value} AS updated_at"

    assert read_well(postgres_url(postgres, database), query) == [
        Conversation(A, "sql", expected)
    ]


def test_the_time_zone_of_a_session_moves_no_moment(
    postgres: PostgresServer, database: str
) -> None:
    url = postgres_url(postgres, database, "?options=-c%20timezone%3DAsia/Tokyo")
    query = f"SELECT '{A}' AS conversation_id, '{MOMENT}Z'::timestamptz AS updated_at"

    assert read_well(url, query) == [Conversation(A, "sql", MOMENT_MS)]


def test_a_uuid_of_postgresql_is_an_id(postgres: PostgresServer, database: str) -> None:
    query = f"SELECT '{A}'::uuid AS conversation_id"

    assert read_well(postgres_url(postgres, database), query) == [
        Conversation(A, "sql")
    ]


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "date"])
@pytest.mark.parametrize(
    "moment", ["infinity", "-infinity", "0044-03-15 BC", "10000-01-01"]
)
def test_a_moment_that_python_has_not_is_reported_and_its_conversation_is_read(
    postgres: PostgresServer, database: str, moment: str, kind: str
) -> None:
    before_ms = time.time_ns() // 1_000_000
    query = (
        f"SELECT '{A}' AS conversation_id, '{moment}'::{kind} AS updated_at"
        f" UNION ALL SELECT '{B}', '2025-01-05'"
    )

    (first, second), (line,) = read(postgres_url(postgres, database), query)

    assert first.conversation_id == A
    assert first.last_activity_ms is not None
    assert first.last_activity_ms >= before_ms
    assert line.startswith("Row 1 of conversations_sql_query has an updated_at that is")
    # The others are read as ever.
    assert second.last_activity_ms in {DAYS_START_MS, DAYS_END_MS}


@pytest.mark.parametrize(
    "query",
    [
        f"{ALL};",
        f"{ALL} ;\n",
        f"{ALL} -- chats",
        "WITH known AS (SELECT conversation_id FROM chats) SELECT * FROM known",
        "SELECT conversation_id FROM chats WHERE conversation_id LIKE '%-%'",
        f"SELECT conversation_id FROM chats WHERE '{MOMENT}:x' <> ':x' AND 7 % 2 = 1",  # noqa: S608 (the test's own)
        "TABLE chats",
    ],
)
def test_any_query_that_reads_works_on_postgresql(
    postgres: PostgresServer, database: str, query: str
) -> None:
    assert len(read_well(postgres_url(postgres, database), query)) == 2


def test_rows_stay_with_the_server_until_they_are_read(
    postgres: PostgresServer, database: str
) -> None:
    # All of these would take hours, and more memory than there is.
    url = postgres_url(postgres, database, "?options=-c%20statement_timeout%3D20000")
    query = "SELECT generate_series(1, 1000000000)::text AS conversation_id"
    conversations = iter(SQLSource(url, query, lambda _: None))

    first = [next(conversations).conversation_id for _ in range(2500)]

    assert first == [str(number) for number in range(1, 2501)]


def test_a_cursor_of_the_server_is_used(
    postgres: PostgresServer, database: str
) -> None:
    url = postgres_url(postgres, database)

    assert read_well(url, "SELECT name AS conversation_id FROM pg_cursors")


def sessions(postgres: PostgresServer, database: str) -> Iterator[int]:
    with postgres.connect() as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
        while True:
            row = connection.execute(query, (database,)).fetchone()
            assert row is not None
            yield row[0]


def test_the_connection_is_closed_when_the_reading_is_broken_off(
    postgres: PostgresServer, database: str
) -> None:
    url = postgres_url(postgres, database)
    conversations = iter(SQLSource(url, ALL, lambda _: None))
    next(conversations)
    open_now = sessions(postgres, database)
    assert next(open_now) == 1

    del conversations

    # The server notices a little later.
    assert any(count == 0 for count, _ in zip(open_now, range(5000), strict=False))


def test_memory_stays_flat_however_many_rows_postgresql_has(
    postgres: PostgresServer, database: str
) -> None:
    url = postgres_url(postgres, database)

    def peak(rows: int) -> int:
        query = f"SELECT generate_series(1, {rows})::text AS conversation_id"
        return peak_of(SQLSource(url, query, lambda _: None))

    peak(10)
    assert peak(10_000) < 1.2 * peak(2000)


def test_a_query_that_writes_on_postgresql_is_refused_and_writes_nothing(
    postgres: PostgresServer, database: str
) -> None:
    with postgres.connect(database) as connection:
        connection.execute("CREATE SEQUENCE numbers")
        connection.execute(
            "CREATE FUNCTION empty() RETURNS SETOF text LANGUAGE sql AS"
            " 'DELETE FROM chats RETURNING conversation_id'"
        )
    url = postgres_url(postgres, database)

    deleting = refusal(url, "DELETE FROM chats RETURNING conversation_id")
    hidden = refusal(url, "SELECT empty() AS conversation_id")
    counting = refusal(url, "SELECT nextval('numbers')::text AS conversation_id")

    assert "check conversations_sql_url and conversations_sql_query" in deleting
    assert "read-only transaction" in hidden
    assert "read-only transaction" in counting
    assert len(read_well(url, ALL)) == 2


def test_a_wrong_password_is_told_without_it(
    postgres: PostgresServer, database: str
) -> None:
    url = (
        f"postgresql://{postgres.user}:{PASSWORD}@{postgres.host}:{postgres.port}"
        f"/{database}"
    )

    said = refusal(url, ALL)

    assert "it refuses the login" in said
    assert "check conversations_sql_url" in said


def test_a_password_that_the_database_repeats_is_not(
    postgres: PostgresServer, database: str
) -> None:
    password = postgres.password

    said = refusal(
        postgres_url(postgres, database),
        f'SELECT conversation_id FROM "{password}"',  # noqa: S608 (the test's own)
    )

    assert password not in said
    assert "does not exist" in said


def test_a_server_that_is_not_there_is_refused(postgres: PostgresServer) -> None:
    url = f"postgresql://{postgres.user}:{PASSWORD}@127.0.0.1:1/chats"

    assert "check conversations_sql_url" in refusal(url)


def test_a_database_that_breaks_off_is_refused(
    postgres: PostgresServer, database: str
) -> None:
    url = postgres_url(postgres, database)
    query = "SELECT generate_series(1, 100000)::text AS conversation_id"
    conversations = iter(SQLSource(url, query, lambda _: None))
    next(conversations)
    with postgres.connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            (database,),
        )

    with pytest.raises(RunError, match="The query of conversations failed"):
        list(conversations)


def test_the_column_is_missing_on_postgresql_too(
    postgres: PostgresServer, database: str
) -> None:
    said = refusal(postgres_url(postgres, database), "SELECT number AS id FROM chats")

    assert "AS conversation_id" in said
