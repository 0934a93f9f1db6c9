"""The tables against a plain calculation, row by row."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.support.marks import LONG
from tests.transform.figures import Figures
from tests.transform.people import People
from tests.transform.strategies import AS_OF, changed, chats, drawn, run_at, world_of
from tests.transform.warehouse import (
    KEYS,
    Warehouse,
    assert_same,
    by_key,
    in_duckdb,
    in_postgres,
)
from tests.transform.world import Variables

if TYPE_CHECKING:
    from tests.transform.world import Row, World

CHATS = 400
pytestmark = LONG


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def warehouse(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Warehouse:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "duckdb":
        return in_duckdb(folder)
    return in_postgres(folder, request.getfixturevalue("postgres"))


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
    """Load the first, one with changes of every kind, and one of other variables."""
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
            # Before what the tables were built as of.
            as_of=AS_OF - timedelta(days=2),
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
def test_conversations_are_as_worked_out(builds: Builds, step: int) -> None:
    expected = figures(builds, step).conversations()

    assert {row["has_to_act"] for row in expected} == {"company", "customer", "nobody"}
    assert_same("kommo_conversations", builds.tables[step], expected)


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
