"""The package as it stands: described, tried on examples, green on what is loaded."""

from __future__ import annotations

import json
import re
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from sandbox import OWN_ORIGIN, Sandbox, seeded_crm, seeded_store
from tests.support.dbt import TRANSFORM
from tests.support.marks import LONG
from tests.support.meltano_project import (
    ROOT,
    TAP,
    MeltanoProject,
    settings_for,
    utility,
)
from tests.transform.databases import DuckDb, Postgres
from tests.transform.strategies import chats, drawn, world_of
from tests.transform.warehouse import KEYS, Warehouse, in_duckdb, in_postgres

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.postgres import PostgresServer
    from tests.transform.databases import Database
    from tests.transform.world import World

SQL = re.compile(r"^```sql\n(.*?)^```", re.MULTILINE | re.DOTALL)
UP_TO_3_13 = pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="DuckDB is not built for Python 3.14"
)
PLACES = [pytest.param("duckdb", marks=UP_TO_3_13), "postgres"]


def described() -> dict[str, set[str]]:
    """Return the columns that each model describes."""
    found = {}
    for path in TRANSFORM.rglob("_kommo__models.yml"):
        for model in yaml.safe_load(path.read_text(encoding="utf-8"))["models"]:
            assert model["description"]
            assert all(column["description"] for column in model["columns"])
            found[model["name"]] = {column["name"] for column in model["columns"]}
    return found


def test_every_model_is_described() -> None:
    models = {path.stem for path in TRANSFORM.glob("models/**/*.sql")}

    assert described().keys() == models
    assert models > KEYS.keys()


def test_the_manual_tells_of_every_variable() -> None:
    texts = [
        path.read_text(encoding="utf-8")
        for pattern in ("**/*.sql", "**/*.yml")
        for path in TRANSFORM.glob(pattern)
    ]
    names = {name for text in texts for name in re.findall(r"var\('(kommo_\w+)'", text)}
    manual = (ROOT / "docs" / "analysis.md").read_text(encoding="utf-8")
    _, _, section = manual.partition("\n## Variables\n")
    told = set(re.findall(r"`(kommo_\w+)`", section.partition("\n## ")[0]))

    assert {name for name in names if not name.startswith("kommo_using_")} == {
        name for name in told if not name.startswith("kommo_using_")
    }


@LONG
@pytest.mark.parametrize("place", PLACES)
def test_the_examples_hold_and_every_column_is_described(
    place: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    warehouse = (
        in_duckdb(tmp_path)
        if place == "duckdb"
        else in_postgres(tmp_path, request.getfixturevalue("postgres"))
    )
    warehouse.load(world_of(drawn(chats(), 60)))

    done = warehouse.dbt.run("build")

    assert done.returncode == 0, done.stdout.partition("Finished running")[2]
    assert "WARN=0" in done.stdout
    columns = columns_of(warehouse.database)
    assert {name: columns[name] for name in described()} == described()


@LONG
def test_another_project_of_dbt_takes_the_folder_as_a_package(tmp_path: Path) -> None:
    warehouse = in_duckdb(tmp_path)
    warehouse.load(world_of(drawn(chats(), 30)))
    package = warehouse.dbt.project.rename(tmp_path / "package")
    (package / "profiles").rename(tmp_path / "profiles")
    warehouse.dbt.project.mkdir()
    (tmp_path / "profiles").rename(warehouse.dbt.project / "profiles")
    for name, text in {
        "dbt_project.yml": "name: mine\nversion: 1.0.0\nprofile: kommo\n",
        "packages.yml": f"packages: [{{local: '{package}'}}]\n",
    }.items():
        (warehouse.dbt.project / name).write_text(text, encoding="utf-8")

    deps = warehouse.dbt.run("deps")
    said = warehouse.dbt.build()

    assert deps.returncode == 0, deps.stdout
    assert "WARN=0" in said
    assert warehouse.database.rows("kommo_waits")


@LONG
@pytest.mark.parametrize("place", PLACES)
def test_a_load_of_every_fault_is_built(
    place: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    warehouse = (
        in_duckdb(tmp_path)
        if place == "duckdb"
        else in_postgres(tmp_path, request.getfixturevalue("postgres"))
    )
    world = world_of(drawn(chats(), 30))
    add_faults(world)
    warehouse.load(world)
    hash_fields(warehouse)

    warehouse.dbt.build()

    found = {row["message_id"] for row in warehouse.database.rows("kommo_messages")}
    assert found >= {
        row["message_id"]
        for stream in ("chat_history", "talk_messages")
        for row in world.rows(stream)
    }


def add_faults(world: World) -> None:
    """Add what a server should never send, as far as the tap carries it."""
    own, native = world.rows("chat_history"), world.rows("talk_messages")
    for number, at in enumerate(
        ("0001-01-02T00:00:00", "1969-12-31T23:59:59", "9998-12-30T00:00:00")
    ):
        sent_at = datetime.fromisoformat(at)
        own.append({**own[0], "message_id": f"own-at-{number}", "sent_at": sent_at})
        native.append({**native[0], "message_id": f"at-{number}", "sent_at": sent_at})
    for number, sender in enumerate((None, {}, {"id": "", "name": ""}, {"id": None})):
        row = {"message_id": f"own-of-{number}", "sender": sender, "message": sender}
        own.append({**own[0], **row})
        native.append({**native[0], "message_id": f"of-{number}", "author": sender})
    author = {"type": "internal", "user_id": 2**63 - 1}
    native.append({**native[0], "message_id": "huge", "author": author})
    native.append({**native[0], "message_id": "sideways", "direction": "sideways"})
    native.append({**native[0], "message_id": "nowhere", "talk_id": None})
    # One message in two conversations, and one in both streams.
    own.append({**own[0], "conversation_id": "another"})
    both = {name: native[0][name] for name in ("conversation_id", "message_id")}
    own.append({**own[0], **both})
    talks, events = world.rows("talks"), world.rows("chat_events")
    for number, created_at in enumerate((None, -5, 0, 10**18)):
        odd = {"talk_id": 9_000_000 + number, "created_at": created_at}
        talks.append({**talks[0], **odd})
    talks.append({**talks[0], "talk_id": 9_000_010, "chat_id": None})
    events.append({**events[0], "event_id": "of no talk", "talk_id": None})
    world.rows("accounts").append(
        {"account_id": 77, "amojo_id": "amojo11", "timezone": ""}
    )
    world.rows("runs").append(
        {**world.rows("runs")[0], "shard": "one", "scope_id": "x"}
    )


def hash_fields(warehouse: Warehouse) -> None:
    """Let columns be what `hash_fields` makes of them, or gone."""
    schema = "kommo.main" if warehouse.database.target == "duckdb" else "kommo"
    for statement in (
        "ALTER TABLE {}.talks ALTER contact_id TYPE VARCHAR",
        "UPDATE {}.talks SET contact_id = 'd1ff'",
        "ALTER TABLE {}.talks ALTER is_in_work TYPE VARCHAR",
        "ALTER TABLE {}.leads ALTER responsible_user_id TYPE VARCHAR",
        "UPDATE {}.leads SET responsible_user_id = 'd1ff'",
        "ALTER TABLE {}.talk_messages DROP COLUMN text",
        "ALTER TABLE {}.users DROP COLUMN name",
    ):
        warehouse.database.execute(statement.format(schema))


def columns_of(database: Database) -> dict[str, set[str]]:
    """Return the columns of all tables and views."""
    if isinstance(database, Postgres):
        with database.server.connect(database.database) as connection:
            rows = connection.execute(
                "SELECT table_name, column_name FROM information_schema.columns"
            ).fetchall()
    else:
        rows = [
            (row["table_name"], row["column_name"])
            for row in database.rows("information_schema.columns")
        ]
    found: dict[str, set[str]] = {}
    for table, column in rows:
        found.setdefault(table, set()).add(column)
    return found


@LONG
@pytest.mark.parametrize("place", PLACES)
def test_one_command_loads_and_builds_and_the_queries_of_the_manual_give_rows(
    place: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    database: Any = DuckDb(tmp_path / "kommo.duckdb")
    if place == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        database = Postgres(server, server.create_database())
    utility(f"dbt-{place}")
    store = seeded_store()
    with Sandbox(store, seeded_crm(store)) as sandbox:
        settings = {
            **settings_for(sandbox),
            "TAP_KOMMO_CHATS_CRM_URL": sandbox.url,
            "TAP_KOMMO_CHATS_CRM_ACCESS_TOKEN": sandbox.crm_token,
            "TAP_KOMMO_CHATS_CRM_ORIGINS": json.dumps([OWN_ORIGIN]),
            "TAP_KOMMO_CHATS_NATIVE_CHANNELS": "true",
            **database.settings,
        }
        project = MeltanoProject(tmp_path, settings)
        ended = project.run("run", TAP, f"target-{place}", f"dbt-{place}:build")

    assert ended.code == 0, ended.said
    messages = database.rows("kommo_messages")
    assert len(messages) == len(database.rows("chat_history")) + len(
        database.rows("talk_messages")
    )
    assert {row["actor"] for row in messages} == {"customer", "agent", "bot", "unknown"}
    manual = (ROOT / "docs" / "analysis.md").read_text(encoding="utf-8")
    queries = SQL.findall(manual)
    assert queries
    assert all(database.ask(query) for query in queries)
