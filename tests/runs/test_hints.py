"""What did not change is not asked for, wherever it is known from."""

from __future__ import annotations

import csv
import gzip
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from aiohttp import web

from sandbox import OWN_ORIGIN, Sandbox, WebhooksFile, generated_store
from tests.runs.test_incremental import DAY, HOUR, fill, message, names, now_ms
from tests.support.marks import LONG
from tests.support.states import known, state_of
from tests.support.tap import config_for, failing_run, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tests.support.postgres import PostgresServer

QUERY = "SELECT conversation_id, updated_at FROM chats"
OLD = 30 * DAY


def settings_without_ids(sandbox: Sandbox, **more: object) -> dict[str, Any]:
    config = config_for(sandbox, ["unused"])
    del config["conversation_ids"]
    return {**config, **more}


def asked(sandbox: Sandbox) -> list[str]:
    return [r.conversation_id for r in sandbox.requests if r.conversation_id]


def moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, tz=timezone.utc)


Listing: TypeAlias = "Callable[[dict[str, int]], dict[str, Any]]"
"""Puts conversations and their last activities, in milliseconds, where a source finds
them, and returns the settings to read them."""


@pytest.fixture(params=["csv", "jsonl", "jsonl.gz", "sqlite", "postgres", "crm"])
def listing(
    request: pytest.FixtureRequest, tmp_path: Path, sandbox: Sandbox
) -> Listing:
    """A source that knows when something last happened."""
    if request.param == "postgres":
        return in_postgres(request.getfixturevalue("postgres"))
    if request.param == "sqlite":
        return in_sqlite(tmp_path / "chats.db")
    if request.param == "crm":
        return in_crm(sandbox)
    return in_file(tmp_path / f"chats.{request.param}")


def in_file(path: Path) -> Listing:
    def write(activities: dict[str, int]) -> dict[str, Any]:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "wt", encoding="utf-8", newline="") as file:
            if ".csv" in path.name:
                rows = csv.writer(file)
                rows.writerow(["updated_at", "conversation_id"])
                rows.writerows((at // 1000, name) for name, at in activities.items())
            else:
                for name, at in activities.items():
                    entry = {"conversation_id": name, "updated_at": at}
                    file.write(json.dumps(entry) + "\n")
        return {"conversations_file": str(path)}

    return write


def in_sqlite(path: Path) -> Listing:
    def write(activities: dict[str, int]) -> dict[str, Any]:
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("DROP TABLE IF EXISTS chats")
            database.execute("CREATE TABLE chats (conversation_id, updated_at)")
            database.executemany(
                "INSERT INTO chats VALUES (?, datetime(? / 1000, 'unixepoch'))",
                activities.items(),
            )
        return {
            "conversations_sql_url": f"sqlite:///{path}",
            "conversations_sql_query": QUERY,
        }

    return write


def in_postgres(server: PostgresServer) -> Listing:
    database = server.create_database()

    def write(activities: dict[str, int]) -> dict[str, Any]:
        with server.connect(database) as connection, connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS chats")
            cursor.execute(
                "CREATE TABLE chats (conversation_id text, updated_at timestamptz)"
            )
            with cursor.copy("COPY chats FROM STDIN") as copy:
                for name, at in activities.items():
                    copy.write_row((name, moment(at)))
        return {
            "conversations_sql_url": server.url(database),
            "conversations_sql_query": QUERY,
        }

    return write


def in_crm(sandbox: Sandbox) -> Listing:
    known: dict[str, int] = {}
    talk_ids: dict[str, int] = {}

    def write(activities: dict[str, int]) -> dict[str, Any]:
        is_first = not known
        for name, at in activities.items():
            if known.get(name) == at:
                continue
            seconds = at // 1000
            if name not in known:
                talk_ids[name] = len(known) + 1
                sandbox.crm.store.talks.add(
                    talk_ids[name], name, created_at=seconds, updated_at=seconds
                )
            if not is_first:
                sandbox.crm.store.events.add(seconds, talk_id=talk_ids[name])
            known[name] = at
        return {
            "crm_url": sandbox.url,
            "crm_access_token": sandbox.crm_token,
            "crm_origins": [OWN_ORIGIN],
        }

    return write


def read_before(
    ids: Iterable[str], read_ms: int, owed: Iterable[str] = ()
) -> dict[str, Any]:
    """The state after a complete run, in which nothing had happened for long."""
    quiet = known(now_ms() - OLD, read_ms)
    return state_of(dict.fromkeys(ids, quiet), owed=owed, searched_until_ms=read_ms)


def test_of_10_000_conversations_only_the_40_that_changed_are_asked_for(
    listing: Listing, sandbox: Sandbox
) -> None:
    now = now_ms()
    ids = [f"c{number}" for number in range(10_000)]
    changed = ids[7::250]
    fill(sandbox, changed, 70, now - OLD)
    listing(dict.fromkeys(ids, now - OLD))
    new = [message(f"{name}-new", now - HOUR) for name in changed]
    for name, row in zip(changed, new, strict=True):
        sandbox.store.add(name, row)
    activities = dict.fromkeys(ids, now - OLD) | dict.fromkeys(changed, now - HOUR)
    config = settings_without_ids(sandbox, **listing(activities))

    output = run(config, read_before(ids, now - 2 * HOUR))

    assert sorted(asked(sandbox)) == sorted(changed)
    assert names(output) == sorted(f"{name}-new" for name in changed)
    assert set(output.state["bookmarks"]["chat_history"]["conversations"]) == set(ids)
    assert "owed" not in output.state["bookmarks"]["chat_history"]


def test_a_conversation_that_is_not_in_the_state_is_read_whole_however_old(
    listing: Listing, sandbox: Sandbox
) -> None:
    now = now_ms()
    fill(sandbox, ["known", "new"], 60, now - OLD)
    listing({"known": now - OLD})
    config = settings_without_ids(
        sandbox, **listing({"known": now - OLD, "new": now - 2 * HOUR})
    )

    output = run(config, read_before(["known"], now - HOUR))

    assert sorted(set(asked(sandbox))) == ["new"]
    assert len(output.records) == 60


def test_a_source_may_be_late_by_the_look_back_to_tell_what_happened(
    listing: Listing, sandbox: Sandbox
) -> None:
    now = now_ms()
    fill(sandbox, ["late", "early"], 1, now - OLD)
    listing({"late": now - OLD, "early": now - OLD})
    activities = {"late": now - 23 * HOUR, "early": now - 27 * HOUR}
    config = settings_without_ids(sandbox, **listing(activities))

    run(config, read_before(["late", "early"], now - HOUR))

    assert asked(sandbox) == ["late"]


def test_a_conversation_that_failed_is_asked_for_whatever_its_source_knows(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    now = now_ms()
    fill(sandbox, ["a", "b"], 1, now - OLD)
    listed = in_file(tmp_path / "chats.csv")({"a": now - OLD, "b": now - OLD})
    state = read_before(["a", "b"], now - HOUR, owed=["b"])

    output = run(settings_without_ids(sandbox, **listed), state)

    assert asked(sandbox) == ["b"]
    assert "owed" not in output.state["bookmarks"]["chat_history"]


def test_sources_add_up_and_the_later_time_counts(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    now = now_ms()
    ids = ["file", "sql", "both", "listed"]
    fill(sandbox, ids, 1, now - OLD)
    in_both = {"both": now - OLD}
    config = settings_without_ids(
        sandbox,
        conversation_ids=["listed"],
        **in_file(tmp_path / "chats.csv")({"file": now - OLD, **in_both}),
        **in_sqlite(tmp_path / "chats.db")({"sql": now - OLD, "both": now - HOUR}),
    )

    output = run(config, read_before(ids, now - HOUR))

    assert sorted(asked(sandbox)) == ["both", "listed"]
    rows = {r["conversation_id"]: r for r in output.records_of("conversations")}
    assert rows["both"]["sources"] == ["file", "sql"]
    assert rows["both"]["last_activity_at"][:19] == moment(now - HOUR).isoformat()[:19]


def test_one_conversation_of_two_sources_is_read_once(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    fill(sandbox, ["a"], 3, now_ms() - OLD)
    listed = in_file(tmp_path / "chats.csv")({"a": now_ms()})

    output = run(settings_without_ids(sandbox, conversation_ids=["a"], **listed))

    assert len(output.records) == 3
    assert asked(sandbox) == ["a"]


def test_every_outcome_but_unchanged_is_told(
    sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = now_ms()
    fill(sandbox, ["read", "unchanged", "failed"], 1, now - OLD)
    activities = {"unchanged": now - OLD, "read": now, "failed": now, "empty": now}
    listed = in_file(tmp_path / "chats.csv")(activities)
    sandbox.answer = lambda request: (
        web.Response(status=404) if request.conversation_id == "failed" else None
    )
    state = read_before(["read", "unchanged", "failed"], now - HOUR)

    failed = failing_run(settings_without_ids(sandbox, **listed), caplog, state)

    rows = {r["conversation_id"]: r for r in failed.output.records_of("conversations")}
    assert {name: row["outcome"] for name, row in rows.items()} == {
        name: name for name in ("read", "failed", "empty")
    }
    assert "Kommo answered 404" in rows["failed"]["error"]
    assert {name for name, row in rows.items() if row["last_read_at"]} == {
        "read",
        "empty",
    }


def test_a_bad_line_is_named_and_counted_and_ends_the_run_non_zero(
    sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(sandbox, ["a", "b"], 1, now_ms() - OLD)
    path = tmp_path / "chats.jsonl"
    path.write_text('{"conversation_id":"a"}\nnonsense\n{"conversation_id":"b"}\n')

    failed = failing_run(
        settings_without_ids(sandbox, conversations_file=str(path)), caplog
    )

    assert len(failed.output.records) == 2
    assert "Line 2 of conversations_file" in failed.log
    assert "1 entry(ies) of the lists of conversations" in str(failed.error)


def test_a_list_that_breaks_off_stops_the_run_before_anything_is_asked(
    sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "chats.jsonl.gz"
    whole = gzip.compress(b'{"conversation_id":"a"}\n' * 10_000)
    path.write_bytes(whole[: len(whole) // 2])
    config = settings_without_ids(sandbox, conversations_file=str(path))

    failed = failing_run(config, caplog)

    assert "conversations_file cannot be read" in str(failed.error)
    assert sandbox.requests == ()


def test_the_ids_of_chat_webhooks_can_be_read_as_they_are_written(
    tmp_path: Path,
) -> None:
    path = tmp_path / "webhooks.jsonl"
    store = generated_store(5, 3)
    with WebhooksFile(store, path), Sandbox(store) as sandbox:
        config = settings_without_ids(sandbox, conversations_file=str(path))
        first = run(config)
        name = sandbox.store.conversation_ids()[2]
        sandbox.store.add(name, message("new", now_ms()))
        sandbox.forget_requests()

        second = run(config, first.state)

        assert len(first.records) == 15
        assert names(second) == ["new"]
        assert asked(sandbox) == [name]


@LONG
@pytest.mark.parametrize("kind", ["csv", "sqlite", "postgres"])
def test_memory_stays_flat_with_100_000_rows(
    kind: str, sandbox: Sandbox, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    listing = {
        "csv": lambda: in_file(tmp_path / "chats.csv"),
        "sqlite": lambda: in_sqlite(tmp_path / "chats.db"),
        "postgres": lambda: in_postgres(request.getfixturevalue("postgres")),
    }[kind]()
    now = now_ms()
    peaks = []
    for count in (10_000, 100_000):
        rows = {f"30477717-9f3c-4d3f-8101-{n:012}": now - OLD for n in range(count)}
        # All have ended before the start date, so that none gets into the state, which
        # grows with them.
        start_date = moment(now - DAY).isoformat()
        config = settings_without_ids(sandbox, start_date=start_date, **listing(rows))
        peaks.append(peak_memory(config, tmp_path / "config.json"))

    assert peaks[1] < peaks[0] * 1.2
    assert sandbox.requests == ()


def peak_memory(config: dict[str, Any], path: Path) -> int:
    """Run the tap in a process of its own and return the most memory it took."""
    path.write_text(json.dumps(config))
    process = subprocess.Popen(
        [sys.executable, "-m", "tap_kommo_chats", "--config", str(path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss
