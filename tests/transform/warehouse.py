"""A warehouse that worlds are loaded into, and what dbt makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.dbt import Dbt
from tests.transform.databases import DuckDb, Postgres

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.support.postgres import PostgresServer
    from tests.transform.databases import Database
    from tests.transform.world import Row, World

KEYS = {
    "kommo_messages": ("conversation_id", "message_id"),
    "kommo_waits": ("conversation_id", "message_id"),
    "kommo_talks": ("conversation_id", "talk_id"),
    "kommo_conversations": ("conversation_id",),
    "kommo_daily": ("account_id", "origin", "local_day"),
    "kommo_agents_daily": ("account_id", "local_day", "agent"),
    "kommo_unanswered": ("conversation_id",),
}
"""The tables, and by what their rows are told apart."""


@dataclass(frozen=True)
class Warehouse:
    """A database, and dbt set up to work in it."""

    database: Database
    dbt: Dbt

    def load(self, world: World) -> None:
        """Let the streams and the seeds be those of a world."""
        self.database.load(world)
        self.dbt.seed("kommo_office_hours", [str(line) for line in world.hours])
        self.dbt.seed(
            "kommo_holidays",
            [f"{line.account_id or ''},{line.day},x" for line in world.holidays],
        )

    def build(self, world: World, *options: str) -> dict[str, list[Row]]:
        """Load a world, build the tables, and return them."""
        self.load(world)
        self.dbt.build(*options, **world.variables.as_dbt_has_them())
        return self.tables()

    def tables(self) -> dict[str, list[Row]]:
        """Return all tables."""
        return {table: self.database.rows(table) for table in KEYS}


def in_duckdb(folder: Path) -> Warehouse:
    """Make one in a file of DuckDB."""
    database = DuckDb(folder / "kommo.duckdb")
    return Warehouse(database, Dbt(folder, database.target, database.settings))


def in_postgres(folder: Path, server: PostgresServer) -> Warehouse:
    """Make one in a database of a PostgreSQL server."""
    database = Postgres(server, server.create_database())
    return Warehouse(database, Dbt(folder, database.target, database.settings))


def assert_same(
    table: str, tables: dict[str, list[Row]], expected: Iterable[Row]
) -> None:
    """Compare rows by their keys, in the columns that were worked out."""
    wanted = by_key(table, expected)
    found = by_key(table, tables[table])
    assert wanted
    assert found.keys() == wanted.keys()
    differ = {
        key: {
            name: (found[key][name], value)
            for name, value in row.items()
            if found[key][name] != value
            and found[key][name] != pytest.approx(value, abs=0.0501)
        }
        for key, row in wanted.items()
    }
    assert not {key: names for key, names in differ.items() if names}


def by_key(table: str, rows: Iterable[Row]) -> dict[tuple[Any, ...], Row]:
    """Return rows by their keys, which no two share."""
    listed = list(rows)
    found = {tuple(row[name] for name in KEYS[table]): row for row in listed}
    assert len(found) == len(listed)
    return found
