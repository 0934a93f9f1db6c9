"""The databases that the tests fill as the loaders do, and let dbt work in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import duckdb
from psycopg import sql

from tests.transform.world import COLUMNS, FLAG, MOMENT, NUMBER, OBJECT, TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.postgres import PostgresServer
    from tests.transform.world import Row, World

_DUCKDB_TYPES = {
    TEXT: "VARCHAR",
    NUMBER: "HUGEINT",
    FLAG: "BOOLEAN",
    MOMENT: "TIMESTAMP",
    OBJECT: "JSON",
}
_POSTGRES_TYPES = {
    TEXT: "text",
    NUMBER: "bigint",
    FLAG: "boolean",
    MOMENT: "timestamp",
    OBJECT: "jsonb",
}


class Database(Protocol):
    """A warehouse.

    Attributes:
        target: What the dbt project calls it.
        settings: How dbt finds it, as environment variables.
    """

    @property
    def target(self) -> str: ...

    @property
    def settings(self) -> dict[str, str]: ...

    def load(self, world: World) -> None:
        """Let the tables of the streams hold these rows and no others."""

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Put a query."""

    def rows(self, table: str) -> list[Row]:
        """Return all rows of a table of the models."""

    def execute(self, statement: str) -> None:
        """Run a statement."""


@dataclass(frozen=True)
class DuckDb:
    """A file of DuckDB."""

    path: Path
    target: str = "duckdb"

    @property
    def settings(self) -> dict[str, str]:
        """Where it is."""
        return {"TARGET_DUCKDB_FILEPATH": str(self.path)}

    def load(self, world: World) -> None:
        """Fill the tables by way of files, which is many times as fast."""
        with duckdb.connect() as connection:
            # As attached, a file can be read by the version that dbt has.
            connection.execute(f"ATTACH '{self.path}' AS kommo")
            connection.execute("USE kommo.main")
            for stream, columns in COLUMNS.items():
                connection.execute(f"DROP TABLE IF EXISTS {stream}")
                if stream not in world.tables:
                    continue
                kinds = {name: _DUCKDB_TYPES[kind] for name, kind in columns.items()}
                listed = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
                connection.execute(f"CREATE TABLE {stream} ({listed})")
                lines = self.path.with_suffix(f".{stream}.jsonl")
                lines.write_text(
                    "".join(
                        json.dumps(row, default=str) + "\n"
                        for row in _ordered(world, stream)
                    ),
                    encoding="utf-8",
                )
                if world.tables[stream]:
                    connection.execute(
                        # The names are this module's own.
                        f"INSERT INTO {stream} SELECT * FROM read_json('{lines}',"  # noqa: S608
                        " format='newline_delimited', columns="
                        f"{json.dumps(kinds).replace(chr(34), chr(39))})"
                    )

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Put a query."""
        with duckdb.connect(str(self.path), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def rows(self, table: str) -> list[Row]:
        """Return all rows of a table."""
        with duckdb.connect(str(self.path), read_only=True) as connection:
            result = connection.execute(f"SELECT * FROM {table}")  # noqa: S608
            names = [column[0] for column in result.description]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def execute(self, statement: str) -> None:
        """Run a statement."""
        with duckdb.connect() as connection:
            connection.execute(f"ATTACH '{self.path}' AS kommo")
            connection.execute("USE kommo.main")
            connection.execute(statement)


@dataclass(frozen=True)
class Postgres:
    """A database of a PostgreSQL server."""

    server: PostgresServer
    database: str
    target: str = "postgres"

    @property
    def settings(self) -> dict[str, str]:
        """Where it is, and who logs in."""
        return {
            "TARGET_POSTGRES_HOST": self.server.host,
            "TARGET_POSTGRES_PORT": str(self.server.port),
            "TARGET_POSTGRES_USER": self.server.user,
            "TARGET_POSTGRES_PASSWORD": self.server.password,
            "TARGET_POSTGRES_DATABASE": self.database,
        }

    def load(self, world: World) -> None:
        """Fill the tables. A missing object is JSON's null there."""
        with self.server.connect(self.database) as connection:
            connection.execute("CREATE SCHEMA IF NOT EXISTS kommo")
            for stream, columns in COLUMNS.items():
                table = sql.Identifier("kommo", stream)
                if stream not in world.tables:
                    drop = sql.SQL("DROP TABLE IF EXISTS {} CASCADE")
                    connection.execute(drop.format(table))
                    continue
                fields = sql.SQL(", ").join(
                    sql.SQL("{} {}").format(
                        sql.Identifier(name), sql.SQL(_POSTGRES_TYPES[kind])
                    )
                    for name, kind in columns.items()
                )
                create = sql.SQL("CREATE TABLE IF NOT EXISTS {} ({})")
                connection.execute(create.format(table, fields))
                connection.execute(sql.SQL("TRUNCATE {}").format(table))
                copy = sql.SQL("COPY {} FROM STDIN").format(table)
                with connection.cursor().copy(copy) as into:
                    for row in _ordered(world, stream):
                        into.write_row(
                            [
                                json.dumps(value) if columns[name] == OBJECT else value
                                for name, value in row.items()
                            ]
                        )

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Put a query."""
        with self.server.connect(self.database) as connection:
            connection.execute("SET search_path TO kommo")
            return connection.execute(query.encode()).fetchall()

    def rows(self, table: str) -> list[Row]:
        """Return all rows of a table."""
        name = sql.Identifier(*(table.split(".") if "." in table else ("kommo", table)))
        with self.server.connect(self.database) as connection:
            cursor = connection.execute(sql.SQL("SELECT * FROM {}").format(name))
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def execute(self, statement: str) -> None:
        """Run a statement in the schema of the tables."""
        with self.server.connect(self.database) as connection:
            connection.execute("SET search_path TO kommo")
            connection.execute(statement.encode())


def _ordered(world: World, stream: str) -> Iterator[dict[str, Any]]:
    for row in world.tables[stream]:
        yield {name: row.get(name) for name in COLUMNS[stream]}
