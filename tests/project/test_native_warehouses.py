"""What arrives of native chats, users and leads, with three settings and Meltano.

That records are what was served is held by the tests of the streams.
"""

from __future__ import annotations

import json
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Sandbox, seeded_crm, seeded_store
from tap_kommo_chats import tap
from tests.project.test_warehouses import DATABASES, warehouse_of
from tests.support.marks import LONG
from tests.support.meltano_project import MeltanoProject
from tests.support.native import NativeAccount
from tests.support.tap import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.project.test_warehouses import Warehouse
    from tests.support.postgres import PostgresServer


def settings(sandbox: Sandbox) -> dict[str, str]:
    return {
        "TAP_KOMMO_CHATS_CRM_URL": sandbox.url,
        "TAP_KOMMO_CHATS_CRM_ACCESS_TOKEN": sandbox.crm_token,
        "TAP_KOMMO_CHATS_NATIVE_CHANNELS": "true",
        "TAP_KOMMO_CHATS_REQUESTS_PER_SECOND": "0",
    }


STREAMS: dict[str, tuple[str, ...]] = {
    "talk_messages": ("conversation_id", "message_id"),
    "chat_events": ("event_id",),
    "talks": ("talk_id",),
    "leads": ("lead_id",),
    "users": ("user_id",),
    "pipelines": ("pipeline_id", "status_id"),
    "accounts": ("account_id",),
}
"""What tells the rows of each stream of an account from each other."""

SCHEMAS = {vars(kind)["name"]: kind.shape.schema for kind in tap.STREAMS}


def emitted(sandbox: Sandbox) -> dict[str, dict[Any, Any]]:
    """Return what a first run emits now, by stream and key."""
    output = run(NativeAccount(sandbox).config())
    return {stream: by_key(stream, output.records_of(stream)) for stream in STREAMS}


def arrived(warehouse: Warehouse) -> dict[str, dict[Any, Any]]:
    """Return what a warehouse holds, by stream and key. No row is there twice."""
    found = {}
    for stream in STREAMS:
        rows = warehouse.table(stream)
        found[stream] = by_key(stream, rows)
        assert len(found[stream]) == len(rows)
    return found


def by_key(stream: str, rows: list[Any]) -> dict[Any, Any]:
    return {
        tuple(row[name] for name in STREAMS[stream]): {
            name: comparable(row.get(name), part)
            for name, part in SCHEMAS[stream]["properties"].items()
        }
        for row in rows
    }


def comparable(value: Any, schema: dict[str, Any]) -> Any:
    """Make one value of what a record has and of what databases make of it."""
    kinds = schema["type"]
    if {"object", "array"} & {*kinds}:
        found = json.loads(value) if isinstance(value, str) else value
        # Numbers with a point are compared as doubles.
        return json.loads(json.dumps(found, default=float))
    if schema.get("format") == "date-time" and value is not None:
        at = datetime.fromisoformat(value) if isinstance(value, str) else value
        zone = at.tzinfo or timezone.utc
        return at.replace(tzinfo=zone).astimezone(timezone.utc)
    if "number" in kinds and value is not None:
        return float(value)
    # DuckDB's loader makes null of an empty text.
    return None if value == "" else value


@LONG
@pytest.mark.parametrize("loader", DATABASES)
def test_three_settings_bring_everything_twice_with_changes_in_between(
    loader: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    store = seeded_store()
    crm = seeded_crm(store)
    with Sandbox(store, crm) as sandbox:
        warehouse = warehouse_of(loader, tmp_path, postgres, sandbox)
        others = {
            name: value
            for name, value in warehouse.project.settings.items()
            if not name.startswith("TAP_KOMMO_CHATS_")
        }
        project = MeltanoProject(tmp_path, {**others, **settings(sandbox)})
        project.load(loader)
        expected = emitted(sandbox)
        first = arrived(warehouse)
        counts = warehouse.ask(
            "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM accounts),"
            " (SELECT count(*) FROM pipelines), (SELECT count(*) FROM leads),"
            " (SELECT count(*) FROM talks), (SELECT count(*) FROM chat_events)"
        )
        changed = [
            talk for talk in crm.talks.all() if crm.messages.of([talk["talk_id"]])
        ]
        now = int(time.time()) - 60
        for number, talk in enumerate(changed[:10]):
            crm.add_message(talk["talk_id"], now - number, text=f"new ✓ {number}")
        project.load(loader)
        expected_then = emitted(sandbox)
        second = arrived(warehouse)

    assert len(first["talk_messages"]) > 300
    for stream, rows in expected.items():
        assert first[stream] == rows, stream
        assert second[stream] == expected_then[stream], stream
    assert second["talk_messages"] != first["talk_messages"]
    talks, events = len(crm.talks.all()), len(crm.events.all())
    assert counts[:2] == (len(crm.users.all()), 1)
    assert counts[2:5] == (
        sum(len(each["_embedded"]["statuses"]) for each in crm.pipelines.all()),
        len([lead for lead in crm.leads.all() if not lead["is_deleted"]]),
        talks,
    )
    assert 0 < counts[5] <= events
