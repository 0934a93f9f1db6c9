"""The tables against a plain calculation, row by row."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.dbt import Dbt
from tests.support.marks import LONG
from tests.transform.databases import DuckDb, Postgres
from tests.transform.figures import Figures
from tests.transform.people import People
from tests.transform.strategies import AS_OF, changed, chats, drawn, run_at, world_of
from tests.transform.world import Variables

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
CHATS = 400
pytestmark = LONG


@dataclass(frozen=True)
class Warehouse:
    """A database, and dbt set up to work in it."""

    database: Database
    dbt: Dbt

    def build(self, world: World, *options: str) -> dict[str, list[Row]]:
        """Load a world, build the tables, and return them."""
        self.database.load(world)
        self.dbt.seed(
            "kommo_office_hours",
            [
                f"{line.account_id or ''},{line.weekday},{line.opens_at},{line.closes_at}"
                for line in world.hours
            ],
        )
        self.dbt.seed(
            "kommo_holidays",
            [f"{line.account_id or ''},{line.day},x" for line in world.holidays],
        )
        self.dbt.build(*options, **world.variables.as_dbt_has_them())
        return {table: self.database.rows(table) for table in KEYS}


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def warehouse(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Warehouse:
    folder = tmp_path_factory.mktemp(request.param)
    database: Database
    if request.param == "duckdb":
        database = DuckDb(folder / "kommo.duckdb")
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        database = Postgres(server, server.create_database())
    return Warehouse(database, Dbt(folder, database.target, database.settings))


@dataclass(frozen=True)
class Builds:
    """What the tables held after builds, one upon the other.

    Attributes:
        worlds: What was loaded before each.
        tables: What each made of it.
        from_nothing: What a full build makes of the last.
    """

    worlds: list[World]
    tables: list[dict[str, list[Row]]]
    from_nothing: dict[str, list[Row]]


@pytest.fixture(scope="module")
def builds(warehouse: Warehouse) -> Builds:
    """Three loads: the first, one with changes of every kind, one of other variables."""
    found = drawn(chats(), CHATS)
    first = world_of(found[: CHATS // 2])
    second = changed(first, found[CHATS // 2 :], CHATS)
    second.rows("runs").append(run_at(AS_OF + timedelta(days=5)))
    third = replace(
        second,
        variables=Variables(
            target_minutes=60,
            expiry_days=3,
            unknown_ends_wait=False,
            bots=("Somebody", "2"),
            humans=("own-bot", "The bot's brother"),
            timezone="Asia/Kolkata",
        ),
    )
    worlds = [first, second, third]
    tables = [warehouse.build(world) for world in worlds]
    return Builds(worlds, tables, warehouse.build(third, "--full-refresh"))


STEPS = pytest.mark.parametrize(
    "step", [pytest.param(0, id="first"), pytest.param(1, id="changed"), 2]
)


@STEPS
def test_messages_are_as_worked_out(builds: Builds, step: int) -> None:
    expected = [asdict(message) for message in People(builds.worlds[step]).messages]

    assert_same("kommo_messages", builds.tables[step], expected)


@STEPS
def test_waits_are_as_worked_out(builds: Builds, step: int) -> None:
    expected = [asdict(wait) for wait in figures(builds, step).waits]

    states = {"answered", "closed", "expired", "waiting"}
    assert {wait["state"] for wait in expected} == states
    assert_same("kommo_waits", builds.tables[step], expected)


@STEPS
def test_talks_are_as_worked_out(builds: Builds, step: int) -> None:
    assert_same("kommo_talks", builds.tables[step], figures(builds, step).talks())


@STEPS
def test_figures_of_days_are_as_worked_out(builds: Builds, step: int) -> None:
    assert_same("kommo_daily", builds.tables[step], figures(builds, step).daily())


@STEPS
def test_figures_of_agents_are_as_worked_out(builds: Builds, step: int) -> None:
    expected = figures(builds, step).agents_daily()

    assert_same("kommo_agents_daily", builds.tables[step], expected)


@STEPS
def test_who_waits_is_as_worked_out(builds: Builds, step: int) -> None:
    expected = figures(builds, step).unanswered()

    assert_same("kommo_unanswered", builds.tables[step], expected)


@pytest.mark.parametrize("table", KEYS)
def test_what_was_built_bit_by_bit_equals_what_is_built_from_nothing(
    builds: Builds, table: str
) -> None:
    assert by_key(table, builds.tables[-1][table]) == by_key(
        table, builds.from_nothing[table]
    )


def figures(builds: Builds, step: int) -> Figures:
    return Figures(People(builds.worlds[step]))


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
