"""The whole way: sandbox, tap, Meltano, loader, and what then stands in the warehouse.

What a warehouse should hold is worked out from what the sandbox served, without the
tap's code.
"""

from __future__ import annotations

import itertools
import json
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
import yaml
from aiohttp import web

from sandbox import (
    OWN_ORIGIN,
    CrmStore,
    Sandbox,
    generated_store,
    seeded_crm,
    seeded_store,
)
from tests.support.marks import LONG
from tests.support.meltano_project import ROOT, TAP, MeltanoProject, settings_for
from tests.support.states import known as known_of
from tests.support.states import state_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sandbox import PageRequest, Row, SeenRequest
    from tests.support.postgres import PostgresServer

Key = tuple[str, str]
Rows = list[dict[str, Any]]

UP_TO_3_13 = pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="the loader is not built for Python 3.14"
)
LARGE = pytest.mark.slow(reason="it is fetched for one test, and is large")
DATABASES = [
    pytest.param("target-duckdb", marks=UP_TO_3_13),
    pytest.param("target-postgres", marks=LONG),
]
ALL = [*DATABASES, pytest.param("target-jsonl", marks=LONG)]

DAY_MS = 86_400_000
REFUSED = 3
AT_MOST = 60


@dataclass(frozen=True)
class Warehouse:
    """A place that a loader fills, and Meltano set up to fill it.

    Attributes:
        loader: The loader's name.
        project: Meltano.
        rows: Reads the rows of `chat_history`, objects decoded, times in UTC.
        ask: Puts a query and returns the first row.
        table: Reads the rows of a table as they are, without what the loader adds.
    """

    loader: str
    project: MeltanoProject
    rows: Callable[[], Rows]
    ask: Callable[[str], tuple[Any, ...]]
    table: Callable[[str], Rows]


@dataclass(frozen=True)
class TwoRuns:
    """What a warehouse held after each of two runs, and what the server held then."""

    warehouse: Warehouse
    first: Rows
    first_served: dict[Key, dict[str, Any]]
    recent: set[Key]
    second: Rows
    second_served: dict[Key, dict[str, Any]]
    said: str


@pytest.fixture(scope="module")
def two_runs(
    request: pytest.FixtureRequest,
    postgres: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> TwoRuns:
    """The seeded sandbox loaded twice, with changes in between."""
    with Sandbox(seeded_store()) as sandbox:
        store = sandbox.store
        now_ms = int(time.time()) * 1000
        talk, other, *_, silent = sorted(
            store.conversation_ids(), key=store.size, reverse=True
        )
        assert store.size(silent) == 0
        for number, minutes in enumerate((600, 60, 30)):
            store.add(talk, new_row(now_ms - minutes * 60_000, f"recent-{number}"))
        warehouse = warehouse_of(
            request.param, tmp_path_factory.mktemp("warehouse"), postgres, sandbox
        )
        said = warehouse.project.load(warehouse.loader)
        first, first_served = warehouse.rows(), served(sandbox)
        recent = {
            key
            for key, row in first_served.items()
            if row["sent_at"] > utc(now_ms - DAY_MS)
        }

        store.edit(talk, "recent-1", text="edited ✓", reply_to={"message": {"id": "x"}})
        store.add(talk, new_row(now_ms - 45 * 60_000, "late"))
        store.add(other, new_row(now_ms, "newest"))
        store.add(silent, new_row(now_ms, "first of a silent one"))
        store.add("joins later", new_row(now_ms - 900 * DAY_MS, "old"))
        joined = MeltanoProject(
            warehouse.project.folder,
            {**warehouse.project.settings, **settings_for(sandbox)},
        )
        said += joined.load(warehouse.loader)
        return TwoRuns(
            warehouse,
            first,
            first_served,
            recent,
            warehouse.rows(),
            served(sandbox),
            said,
        )


@pytest.mark.parametrize("two_runs", ALL, indirect=True)
def test_every_field_of_every_message_arrives_as_it_was_served(
    two_runs: TwoRuns,
) -> None:
    assert len(two_runs.first) > 3000
    assert by_key(two_runs.first) == two_runs.first_served


@pytest.mark.parametrize("two_runs", ALL, indirect=True)
def test_the_next_run_brings_what_was_added_and_edited(two_runs: TwoRuns) -> None:
    assert two_runs.second_served != two_runs.first_served
    assert by_key(two_runs.second) == two_runs.second_served


@pytest.mark.parametrize("two_runs", DATABASES, indirect=True)
def test_a_database_holds_each_message_once(two_runs: TwoRuns) -> None:
    assert repeated(two_runs.first) == set()
    assert repeated(two_runs.second) == set()


@pytest.mark.parametrize("loader", DATABASES)
def test_messages_can_be_joined_to_their_contacts(
    loader: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    store = generated_store(5, 3)
    with Sandbox(store, seeded_crm(store)) as sandbox:
        warehouse = warehouse_of(loader, tmp_path, postgres, sandbox)
        warehouse.project.load(loader)
        talks = sandbox.crm.store.talks.all()

    contacts = {talk["contact_id"] for talk in talks if talk["origin"] == OWN_ORIGIN}
    assert warehouse.ask("SELECT count(*), count(updated_at) FROM talks") == (
        len(talks),
        len(talks),
    )
    assert warehouse.ask(
        "SELECT count(DISTINCT c.conversation_id), count(DISTINCT m.message_id),"
        " count(DISTINCT t.contact_id), max(c.outcome), count(c.last_read_at) > 0"
        " FROM conversations AS c"
        " JOIN chat_history AS m ON m.conversation_id = c.conversation_id"
        " JOIN talks AS t ON t.chat_id = c.conversation_id"
    ) == (5, 15, len(contacts), "read", True)


@pytest.mark.parametrize("loader", DATABASES)
def test_a_conversation_can_be_joined_to_its_latest_talk_and_to_all(
    loader: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    store = generated_store(2, 3)
    one, other = store.conversation_ids()
    crm = CrmStore()
    for talk_id, chat, contact in ((1, one, 7), (3, one, 8), (2, one, 9)):
        crm.talks.add(
            talk_id,
            chat,
            contact_id=contact,
            created_at=1_700_000_000,
            updated_at=1_700_000_000 + (0 if talk_id == 3 else talk_id),
        )
    with Sandbox(store, crm) as sandbox:
        warehouse = warehouse_of(loader, tmp_path, postgres, sandbox)
        warehouse.project.load(loader)

    asked = (
        "SELECT {} FROM conversations AS c LEFT JOIN ("
        "SELECT DISTINCT ON (account_id, chat_id) * FROM talks"
        " ORDER BY account_id, chat_id, updated_at DESC NULLS LAST, talk_id DESC"
        ") AS t ON t.account_id = c.account_id AND t.chat_id = c.conversation_id"
        " WHERE c.conversation_id = '{}'"
    )
    told = "t.talk_id, t.contact_id, t.origin"
    assert warehouse.ask(asked.format(told, one)) == (2, 9, OWN_ORIGIN)
    assert warehouse.ask(asked.format(told, other)) == (None, None, None)
    assert warehouse.ask(
        "SELECT array_agg(talk_id ORDER BY talk_id) FROM talks GROUP BY chat_id"
    ) == ([1, 2, 3],)


@LONG
@pytest.mark.parametrize("two_runs", ["target-jsonl"], indirect=True)
def test_jsonl_repeats_only_what_was_read_again(two_runs: TwoRuns) -> None:
    assert repeated(two_runs.first) == set()
    assert repeated(two_runs.second) == two_runs.recent


@pytest.mark.parametrize("two_runs", DATABASES, indirect=True)
def test_times_are_timestamps_in_utc(two_runs: TwoRuns) -> None:
    kind, newest, earlier = two_runs.warehouse.ask(
        "SELECT (SELECT data_type FROM information_schema.columns"
        " WHERE table_name = 'chat_history' AND column_name = 'sent_at'),"
        " max(sent_at), max(sent_at) - INTERVAL '1 day' FROM chat_history"
    )

    last = max(row["sent_at"] for row in two_runs.second_served.values())
    assert kind.lower() in {"timestamp", "timestamp without time zone"}
    assert (newest, earlier) == (last, last - timedelta(days=1))


@pytest.mark.parametrize("two_runs", DATABASES, indirect=True)
def test_what_is_inside_an_object_can_be_queried(two_runs: TwoRuns) -> None:
    found = two_runs.warehouse.ask(
        "SELECT count(*), max(sender ->> 'name'),"
        " max(CAST(message -> 'location' ->> 'lat' AS DOUBLE PRECISION))"
        " FROM chat_history WHERE message ->> 'type' = 'location'"
    )

    sent = [
        row
        for row in two_runs.second_served.values()
        if row["message"]["type"] == "location"
    ]
    assert found == (
        len(sent),
        max(row["sender"]["name"] for row in sent),
        max(row["message"]["location"]["lat"] for row in sent),
    )


@pytest.mark.parametrize("two_runs", DATABASES, indirect=True)
def test_extra_can_be_queried(two_runs: TwoRuns) -> None:
    path = {
        # DuckDB takes a name with a dot for one, too.
        "target-duckdb": """extra -> '$."message.reply_to"'""",
        "target-postgres": "extra -> 'message.reply_to'",
    }[two_runs.warehouse.loader]
    found = two_runs.warehouse.ask(
        f"SELECT count({path}), count({path} -> 'message' ->> 'id')"  # noqa: S608
        " FROM chat_history"
    )

    sent = sum(
        "message.reply_to" in (row["extra"] or {})
        for row in two_runs.second_served.values()
    )
    assert sent > 100
    assert found == (sent, sent)


@pytest.mark.parametrize("two_runs", ALL, indirect=True)
def test_nothing_secret_is_said(two_runs: TwoRuns) -> None:
    settings = two_runs.warehouse.project.settings
    assert settings["TAP_KOMMO_CHATS_CHANNEL_SECRET"] not in two_runs.said
    assert settings["TARGET_POSTGRES_PASSWORD"] not in two_runs.said


@LONG
@pytest.mark.parametrize("loader", ALL)
def test_after_a_failing_run_the_next_misses_and_doubles_nothing(
    loader: str, tmp_path: Path, postgres: PostgresServer
) -> None:
    store = generated_store(12, 60)
    refused = store.conversation_ids()[:REFUSED]

    def refuse(seen: SeenRequest) -> web.Response | None:
        return web.Response(status=404) if seen.conversation_id in refused else None

    with Sandbox(store) as sandbox:
        sandbox.answer = refuse
        warehouse = warehouse_of(loader, tmp_path, postgres, sandbox)
        failed = warehouse.project.run("run", TAP, loader)
        arrived = {conversation for conversation, _ in by_key(warehouse.rows())}
        bookmarks = warehouse.project.bookmarks(loader)
        sandbox.answer = None
        warehouse.project.load(loader)

        assert failed.code == 1, failed.said
        assert f"{REFUSED} conversation(s) could not be read" in failed.said
        others = set(store.conversation_ids()) - set(refused)
        assert (arrived, bookmarks["conversations"].keys()) == (others, others)
        assert by_key(warehouse.rows()) == served(sandbox)
        assert repeated(warehouse.rows()) == set()


@LONG
@pytest.mark.parametrize(
    ("loader", "number", "options"),
    [
        # A killed Meltano leaves a lock, which it gives up after five minutes.
        pytest.param("target-duckdb", signal.SIGKILL, ["--force"], marks=UP_TO_3_13),
        ("target-postgres", signal.SIGKILL, ["--force"]),
        ("target-jsonl", signal.SIGKILL, ["--force"]),
        ("target-postgres", signal.SIGTERM, []),
    ],
)
def test_after_a_run_that_was_ended_the_next_misses_nothing(
    loader: str,
    number: signal.Signals,
    options: list[str],
    tmp_path: Path,
    postgres: PostgresServer,
) -> None:
    reached, released = threading.Event(), threading.Event()
    pages = itertools.count(1)

    def hold_the_thirtieth(_asked: PageRequest) -> None:
        if next(pages) == 30:
            reached.set()
            released.wait(AT_MOST)

    with Sandbox(generated_store(30, 60)) as sandbox:
        sandbox.chats.before_page = hold_the_thirtieth
        warehouse = warehouse_of(loader, tmp_path, postgres, sandbox)
        with warehouse.project.loading(loader) as load:
            assert reached.wait(AT_MOST)
            load.signal(number)
            released.set()
            ended = load.wait()
        warehouse.project.load(loader, *options)

        assert ended.code in {-number, 128 + number}, ended.said
        assert by_key(warehouse.rows()) == served(sandbox)
        if loader != "target-jsonl":
            assert repeated(warehouse.rows()) == set()


@LONG
def test_a_state_of_100000_conversations_passes_through_a_run(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    now_ms = int(time.time()) * 1000
    with Sandbox(generated_store(100_001, 1)) as sandbox:
        *known, new = sandbox.store.conversation_ids()
        before = state_of(
            {
                id_: known_of(
                    sandbox.store.rows(id_)[0]["msec_timestamp"], now_ms - 7 * DAY_MS
                )
                for id_ in known
            }
        )["bookmarks"]["chat_history"]
        warehouse = warehouse_of("target-postgres", tmp_path, postgres, sandbox)
        project = MeltanoProject(
            tmp_path,
            {
                **warehouse.project.settings,
                **settings_for(sandbox, [known[0], known[-1], new]),
            },
        )
        project.set_bookmarks("target-postgres", before)

        project.load("target-postgres")

        after = project.bookmarks("target-postgres")
        # The others were not read since, and are as they were.
        changed = {known[0], known[-1], new}
        kept = {
            id_: written
            for id_, written in after["conversations"].items()
            if id_ not in changed
        }
        assert kept == {id_: before["conversations"][id_] for id_ in known[1:-1]}
        assert changed <= after["conversations"].keys()
        assert "owed" not in after
        assert [row["conversation_id"] for row in warehouse.rows()] == [new]


@pytest.mark.parametrize(
    "loader",
    [
        "target-postgres",
        pytest.param("target-snowflake", marks=LARGE),
        pytest.param(
            "target-bigquery",
            marks=[
                LARGE,
                pytest.mark.skipif(
                    sys.version_info >= (3, 12),
                    reason="it is made for Python before 3.12",
                ),
            ],
        ),
    ],
)
def test_a_loader_starts_and_knows_what_it_is_told(loader: str, tmp_path: Path) -> None:
    project = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    (block,) = (
        block for block in project["plugins"]["loaders"] if block["name"] == loader
    )

    about = MeltanoProject(tmp_path).run("invoke", loader, "--about", "--format=json")

    assert about.code == 0, about.said
    known = json.loads(about.output)["settings"]["properties"]
    assert {setting["name"] for setting in block["settings"]} <= known.keys()


def new_row(at_ms: int, message_id: str) -> Row:
    return {
        "timestamp": at_ms // 1000,
        "msec_timestamp": at_ms,
        "sender": {"id": "9e6f", "name": "Zoë"},
        "message": {"id": message_id, "type": "text", "text": f"I am {message_id}"},
    }


def warehouse_of(
    loader: str, folder: Path, postgres: PostgresServer, sandbox: Sandbox
) -> Warehouse:
    database = postgres.create_database()
    project = MeltanoProject(
        folder,
        {
            **settings_for(sandbox),
            **crm_settings_for(sandbox),
            "TARGET_POSTGRES_HOST": postgres.host,
            "TARGET_POSTGRES_PORT": str(postgres.port),
            "TARGET_POSTGRES_USER": postgres.user,
            "TARGET_POSTGRES_PASSWORD": postgres.password,
            "TARGET_POSTGRES_DATABASE": database,
            # What a developer's .env may have would win over all of the above.
            "TARGET_POSTGRES_SQLALCHEMY_URL": "",
        },
    )
    if loader == "target-jsonl":
        return Warehouse(
            loader,
            project,
            partial(lines_of, folder / "chat_history.jsonl"),
            no_sql,
            lambda name: lines_of(folder / f"{name}.jsonl"),
        )
    ask = (
        partial(duckdb_answers, folder / "kommo.duckdb")
        if loader == "target-duckdb"
        else partial(postgres_answers, postgres, database)
    )

    def table(stream: str) -> Rows:
        names, *found = ask(f"SELECT * FROM {stream}")  # noqa: S608 (a test names it)
        return [
            {
                name: value
                for name, value in zip(names, row, strict=True)
                # What the loader adds about itself.
                if not name.startswith("_sdc_")
            }
            for row in found
        ]

    def rows() -> Rows:
        return [
            {name: decoded(name, value) for name, value in row.items()}
            for row in table("chat_history")
        ]

    def first_answer(query: str) -> tuple[Any, ...]:
        return ask(query)[1]

    return Warehouse(loader, project, rows, first_answer, table)


def crm_settings_for(sandbox: Sandbox) -> dict[str, str]:
    """Return the settings to search a sandbox's CRM, if there is anything in it."""
    if not sandbox.crm.store.talks.all():
        return {}
    return {
        "TAP_KOMMO_CHATS_CRM_URL": sandbox.url,
        "TAP_KOMMO_CHATS_CRM_ACCESS_TOKEN": sandbox.crm_token,
        "TAP_KOMMO_CHATS_CRM_ORIGINS": json.dumps([OWN_ORIGIN]),
    }


def duckdb_answers(file: Path, query: str) -> list[tuple[Any, ...]]:
    """Return the names of the columns, then the rows."""
    with duckdb.connect(str(file), read_only=True) as connection:
        result = connection.execute(query)
        names = tuple(column[0] for column in result.description)
        return [names, *result.fetchall()]


def postgres_answers(
    postgres: PostgresServer, database: str, query: str
) -> list[tuple[Any, ...]]:
    """Return the names of the columns, then the rows."""
    with postgres.connect(database) as connection:
        connection.execute("SET search_path TO kommo")
        # The tests compare queries, which are written here.
        result = connection.execute(query.encode())
        names = tuple(column.name for column in result.description or ())
        return [names, *result.fetchall()]


def no_sql(_query: str) -> tuple[Any, ...]:
    raise NotImplementedError


def lines_of(file: Path) -> Rows:
    rows: Rows = [json.loads(line) for line in file.read_bytes().splitlines()]
    for row in rows:
        sent_at = datetime.fromisoformat(row["sent_at"])
        row["sent_at"] = sent_at.astimezone(timezone.utc).replace(tzinfo=None)
    return rows


def decoded(name: str, value: Any) -> Any:
    """Decode an object that comes as text."""
    if name in {"sender", "receiver", "message", "extra"} and isinstance(value, str):
        return json.loads(value)
    return value


def by_key(rows: Rows) -> dict[Key, dict[str, Any]]:
    """Return rows by their key. Of several with one key the last counts."""
    return {(row["conversation_id"], row["message_id"]): row for row in rows}


def repeated(rows: Rows) -> set[Key]:
    """Return the keys that more than one row has."""
    times = Counter((row["conversation_id"], row["message_id"]) for row in rows)
    return {key for key, count in times.items() if count > 1}


def served(sandbox: Sandbox) -> dict[Key, dict[str, Any]]:
    """Return what a warehouse should hold of what the sandbox holds now."""
    store = sandbox.store
    return {
        (conversation_id, row["message"]["id"]): as_loaded(
            sandbox.scope_id, conversation_id, row
        )
        for conversation_id in store.conversation_ids()
        for row in store.rows(conversation_id)
    }


def utc(milliseconds: int) -> datetime:
    """Return an instant as databases do that keep no zone: in UTC."""
    return datetime(1970, 1, 1) + timedelta(milliseconds=milliseconds)  # noqa: DTZ001


def as_loaded(scope_id: str, conversation_id: str, row: Row) -> dict[str, Any]:
    """Make of a served row what a warehouse should hold.

    Numbers with a point are compared as doubles, as Python and the sandbox have them.
    """
    extra: dict[str, Any] = {}
    return {
        "scope_id": scope_id,
        "conversation_id": conversation_id,
        "message_id": row["message"]["id"],
        "sent_at": utc(row.get("msec_timestamp", row["timestamp"] * 1000)),
        "direction": "outgoing" if "receiver" in row else "incoming",
        "timestamp": row["timestamp"],
        "msec_timestamp": row.get("msec_timestamp"),
        **{
            name: known_part(row.get(name), fields, f"{name}.", extra)
            for name, fields in KNOWN.items()
        },
        "extra": extra
        | {name: value for name, value in row.items() if name not in TOP_LEVEL}
        or None,
    }


PARTICIPANT = {"id", "client_id", "name", "avatar", "phone", "email"}
KNOWN = {
    "sender": PARTICIPANT,
    "receiver": PARTICIPANT,
    "message": {
        "id",
        "client_id",
        "type",
        "text",
        "media",
        "thumbnail",
        "file_name",
        "file_size",
        "media_group_id",
        "location",
        "contact",
    },
}
TOP_LEVEL = {"timestamp", "msec_timestamp", *KNOWN}


def known_part(
    value: dict[str, Any] | None, fields: set[str], path: str, extra: dict[str, Any]
) -> dict[str, Any] | None:
    if value is None:
        return None
    extra.update(
        {path + name: item for name, item in value.items() if name not in fields}
    )
    return {name: item for name, item in value.items() if name in fields}
