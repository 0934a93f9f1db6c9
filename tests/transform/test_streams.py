"""What each combination of streams gives."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.support.marks import LONG
from tests.transform.figures import Figures
from tests.transform.people import People
from tests.transform.strategies import AS_OF, chats, drawn, run_at, world_of
from tests.transform.warehouse import Warehouse, assert_same, in_duckdb, in_postgres
from tests.transform.world import COLUMNS, Variables, World

if TYPE_CHECKING:
    from pathlib import Path

CRM = set(COLUMNS) - {"chat_history", "talk_messages", "conversations"}
COMBINATIONS = {
    "an own channel without the CRM": {"chat_history", "conversations", "runs"},
    "native channels": {"talk_messages", *CRM},
    "native channels and nothing else": {"talk_messages"},
    "events without a text": CRM,
    "events and nothing else": {"chat_events"},
    "all but talks": set(COLUMNS) - {"talks"},
}
PERSONAL = ("text", "phone", "email")
pytestmark = LONG


def reduced(world: World, streams: set[str]) -> World:
    return replace(
        world,
        tables={name: rows for name, rows in world.tables.items() if name in streams},
    )


@pytest.mark.parametrize("streams", COMBINATIONS.values(), ids=COMBINATIONS)
def test_a_combination_of_streams_gives_the_tables_it_can(
    streams: set[str], tmp_path: Path
) -> None:
    world = reduced(world_of(drawn(chats(), 120)), streams)
    warehouse = in_duckdb(tmp_path)
    warehouse.load(world)

    said = warehouse.dbt.build(**world.variables.as_dbt_has_them())

    tables = warehouse.tables()
    figures = Figures(People(world))
    assert_same("kommo_messages", tables, [asdict(each) for each in figures.messages])
    assert_same("kommo_waits", tables, [asdict(each) for each in figures.waits])
    assert_same("kommo_conversations", tables, figures.conversations())
    assert_same("kommo_daily", tables, figures.daily())
    needed = {"talks", "chat_events", "users", "leads", "accounts", "runs"}
    assert all(f"{stream} is not loaded" in said for stream in needed - streams)


def test_a_wait_expires_between_builds_without_the_crm(tmp_path: Path) -> None:
    world = reduced(world_of(drawn(chats(), 800)), {"talk_messages", "runs"})
    warehouse = in_duckdb(tmp_path)
    before = Figures(People(world)).unanswered()
    warehouse.build(world)
    world.rows("runs").append(run_at(AS_OF + timedelta(days=5)))

    tables = warehouse.build(world)

    after = Figures(People(world))
    assert len(after.unanswered()) < len(before)
    assert_same("kommo_waits", tables, [asdict(each) for each in after.waits])


def test_a_stream_is_switched_off_by_a_variable(tmp_path: Path) -> None:
    world = world_of(drawn(chats(), 60))
    warehouse = in_duckdb(tmp_path)
    warehouse.load(world)

    warehouse.dbt.build(
        kommo_using_talk_messages=False,
        kommo_using_chat_events=False,
        **world.variables.as_dbt_has_them(),
    )

    expected = People(reduced(world, set(COLUMNS) - {"talk_messages", "chat_events"}))
    assert_same(
        "kommo_messages",
        warehouse.tables(),
        [asdict(each) for each in expected.messages],
    )


@pytest.mark.parametrize("variables", [{}, {"kommo_using_talks": True}])
def test_what_is_nowhere_to_be_found_fails_the_build(
    variables: dict[str, bool], tmp_path: Path
) -> None:
    warehouse = in_duckdb(tmp_path)
    streams = {"chat_events"} if variables else {"users"}
    warehouse.load(reduced(world_of([]), streams))

    done = warehouse.dbt.run("build", variables=variables)

    assert done.returncode
    assert "kommo_schema" in done.stdout


@pytest.mark.parametrize("place", ["duckdb", "postgres"])
def test_what_is_personal_is_there_only_while_a_variable_says_so(
    place: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    warehouse = (
        in_duckdb(tmp_path)
        if place == "duckdb"
        else in_postgres(tmp_path, request.getfixturevalue("postgres"))
    )
    world = world_of(drawn(chats(), 60))
    told = replace(world, variables=Variables(personal_columns=PERSONAL))

    while_told = personal(warehouse, told)
    after = personal(warehouse, world)

    assert while_told == {*PERSONAL, "Hello 👋", "+12025550100", "ana@example.com"}
    assert after == set()


def personal(warehouse: Warehouse, world: World) -> set[object]:
    """Return the names of personal columns, and what is in them."""
    tables = warehouse.build(world)
    found: set[object] = set()
    for rows in tables.values():
        for row in rows:
            found |= {name for name in PERSONAL if name in row}
            found |= {row[name] for name in PERSONAL if row.get(name)}
    return found
