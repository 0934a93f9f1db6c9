"""What arrives of native chats, users and leads, with three settings and Meltano."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import CrmStore, Sandbox, seeded_crm, seeded_store
from tests.project.test_warehouses import DATABASES, warehouse_of
from tests.support.marks import LONG
from tests.support.meltano_project import MeltanoProject

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


def served(crm: CrmStore) -> dict[str, tuple[Any, ...]]:
    """Return what a warehouse should hold of the messages, by their ids."""
    return {
        message["id"]: (
            talk["talk_id"],
            message["chat_id"],
            # DuckDB's loader makes null of an empty text.
            message["text"] or None,
            message["message_type"],
            message["type"],
            message["origin"],
            message["author"]["name"],
            message["created_at"],
            (message["attachment"] or {}).get("link"),
        )
        for talk in crm.talks.all()
        for message in crm.messages.of([talk["talk_id"]])
    }


def arrived(warehouse: Warehouse) -> dict[str, tuple[Any, ...]]:
    """Return what it holds of them. No message is there twice."""
    (rows,) = warehouse.ask(
        "SELECT CAST(json_agg(q) AS TEXT) FROM ("
        "SELECT message_id, talk_id, conversation_id, text, message_type, direction,"
        " origin, author ->> 'name' AS name, created_at,"
        " attachment ->> 'link' AS link FROM talk_messages) AS q"
        if warehouse.loader == "target-postgres"
        else "SELECT CAST(json_group_array(q) AS TEXT) FROM ("
        "SELECT message_id, talk_id, conversation_id, text, message_type, direction,"
        " origin, author ->> '$.name' AS name, created_at,"
        " attachment ->> '$.link' AS link FROM talk_messages) AS q"
    )
    found = [
        tuple(None if value == "" else value for value in row.values())
        for row in json.loads(rows)
    ]
    by_id = {str(first): tuple(rest) for first, *rest in found}
    assert len(by_id) == len(found)
    return by_id


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
        first, first_served = arrived(warehouse), served(crm)
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
        second = arrived(warehouse)

    assert len(first) > 300
    assert first == first_served
    assert second == served(crm) != first_served
    talks, events = len(crm.talks.all()), len(crm.events.all())
    assert counts[:2] == (len(crm.users.all()), 1)
    assert counts[2:5] == (
        sum(len(each["_embedded"]["statuses"]) for each in crm.pipelines.all()),
        len([lead for lead in crm.leads.all() if not lead["is_deleted"]]),
        talks,
    )
    assert 0 < counts[5] <= events
