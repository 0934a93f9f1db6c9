"""What a build does follows what changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    in_duckdb,
    in_postgres,
)

if TYPE_CHECKING:
    from tests.transform.world import Row, World

CHATS = 60
MARK = -1
MARKED = {
    "kommo_messages": "author_user_id",
    "kommo_waits": "bot_messages",
    "kommo_talks": "rate",
    "kommo_conversations": "customer_messages",
    "kommo_agents_daily": "replies",
}
"""Columns that a mark can be put in, which leaves when the row is built again. No
figure of `kommo_daily` is made of them."""

pytestmark = LONG


@dataclass(frozen=True)
class Builds:
    """What the tables held after each of several builds, one upon the other.

    Attributes:
        after_nothing: A run that wrote nothing but its own row, and every row marked.
        late: The row that came then.
        after_late: With that row.
        world: What was loaded after a build of it had stopped half way.
        after_stop: With the next build.
        after_all: With nothing left.
    """

    after_nothing: dict[str, list[Row]]
    late: Row
    after_late: dict[str, list[Row]]
    world: World
    after_stop: dict[str, list[Row]]
    after_all: dict[str, list[Row]]


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def builds(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Builds:
    folder = tmp_path_factory.mktemp(request.param)
    warehouse = (
        in_duckdb(folder)
        if request.param == "duckdb"
        else in_postgres(folder, request.getfixturevalue("postgres"))
    )
    found = drawn(chats(), CHATS)
    world = world_of(found)
    warehouse.build(world)
    mark(warehouse)
    world.rows("runs").append(run_at(AS_OF + timedelta(minutes=5)))
    after_nothing = warehouse.build(world)

    first = world.rows("talk_messages")[0]
    sent_at = first["sent_at"] - timedelta(days=1)
    late = {**first, "message_id": "late", "sent_at": sent_at}
    world.rows("talk_messages").append(late)
    after_late = warehouse.build(world)

    changed_world = changed(world, found[:10], CHATS)
    half = ("--select", "+kommo_waits", "--indirect-selection", "cautious")
    warehouse.build(changed_world, *half)
    after_stop = warehouse.build(changed_world)

    kept = {"accounts", "runs", "users"}
    tables = {name: world.rows(name) if name in kept else [] for name in world.tables}
    after_all = warehouse.build(replace(world, tables=tables))
    return Builds(after_nothing, late, after_late, changed_world, after_stop, after_all)


def test_after_a_load_that_wrote_nothing_nothing_is_built(builds: Builds) -> None:
    for table, column in MARKED.items():
        assert {row[column] for row in builds.after_nothing[table]} == {MARK}


def test_who_waits_is_as_of_the_run_that_wrote_nothing(builds: Builds) -> None:
    (as_of,) = {row["as_of"] for row in builds.after_nothing["kommo_unanswered"]}

    assert as_of == (AS_OF + timedelta(minutes=5)).replace(microsecond=0)


def test_a_late_row_lets_its_conversation_be_built_and_no_other(builds: Builds) -> None:
    for table in (
        "kommo_messages",
        "kommo_waits",
        "kommo_talks",
        "kommo_conversations",
    ):
        anew = {
            row["conversation_id"]
            for row in builds.after_late[table]
            if row[MARKED[table]] != MARK
        }
        assert anew == {builds.late["conversation_id"]}


def test_a_build_that_stopped_half_way_is_made_up_for(builds: Builds) -> None:
    expected = Figures(People(builds.world)).daily()

    assert_same("kommo_daily", builds.after_stop, expected)


def test_what_is_deleted_leaves_all_tables(builds: Builds) -> None:
    assert builds.after_all == {table: [] for table in KEYS}


def mark(warehouse: Warehouse) -> None:
    for table, column in MARKED.items():
        warehouse.database.execute(f"UPDATE {table} SET {column} = {MARK}")  # noqa: S608
