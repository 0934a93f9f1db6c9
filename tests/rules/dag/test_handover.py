"""What a search hands over to the shards, asked as the tap asks it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_kommo_chats.handover import query, reading_settings, search_settings
from sandbox import OWN_ORIGIN
from tap_kommo_chats.settings.schema import SETTINGS_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from tests.support.postgres import PostgresServer

AMOJO = "d3a8417e-0f6b-4c29-b5d1-7c20e9a6f835"
SCOPE = f"6b1f0c52-94ad-4d0e-8a37-5e2c9d7f4410_{AMOJO}"
BEGAN, CLOSED, WROTE = 1_700_000_000, 1_700_000_900, 1_700_000_500
ACCOUNT = {
    "scope_id": SCOPE,
    "channel_secret": "s",
    "crm_url": "https://north.kommo.com",
    "crm_access_token": "t",
    "crm_origins": [OWN_ORIGIN],
    "start_date": "2024-01-01T00:00:00Z",
    "drop_fields": ["sender.phone"],
}


@pytest.fixture
def warehouse(postgres: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    with postgres.connect(postgres.create_database()) as connection:
        connection.execute("CREATE SCHEMA kommo")
        connection.execute(
            "CREATE TABLE kommo.accounts (account_id bigint, amojo_id varchar)"
        )
        connection.execute(
            "CREATE TABLE kommo.talks (account_id bigint, talk_id bigint, chat_id"
            " varchar, origin varchar, contact_id bigint, created_at bigint, updated_at"
            " bigint)"
        )
        connection.execute(
            "CREATE TABLE kommo.chat_events (account_id bigint, talk_id bigint,"
            " contact_id bigint, type varchar, created_at bigint)"
        )
        connection.execute("INSERT INTO kommo.accounts VALUES (7, %s)", [AMOJO.upper()])
        yield connection


def talk(
    warehouse: psycopg.Connection[Any], talk_id: int, chat_id: str | None, **more: Any
) -> None:
    fields = {
        "account_id": 7,
        "talk_id": talk_id,
        "chat_id": chat_id,
        "origin": OWN_ORIGIN,
        "contact_id": 5,
        "created_at": BEGAN,
        "updated_at": CLOSED,
        **more,
    }
    warehouse.execute(
        "INSERT INTO kommo.talks VALUES (%(account_id)s, %(talk_id)s, %(chat_id)s,"
        " %(origin)s, %(contact_id)s, %(created_at)s, %(updated_at)s)",
        fields,
    )


def event(
    warehouse: psycopg.Connection[Any],
    talk_id: int | None,
    kind: str,
    at: int,
    contact_id: int | None = None,
) -> None:
    warehouse.execute(
        "INSERT INTO kommo.chat_events VALUES (7, %s, %s, %s, %s)",
        [talk_id, contact_id, kind, at],
    )


def handed_over(warehouse: psycopg.Connection[Any]) -> dict[str, tuple[Any, ...]]:
    rows = warehouse.execute(query(SCOPE, [OWN_ORIGIN])).fetchall()
    found = {chat_id: tuple(rest) for chat_id, *rest in rows}
    assert len(found) == len(rows)
    return found


def test_something_happened_when_a_message_was_sent_and_not_when_a_talk_was_closed(
    warehouse: psycopg.Connection[Any],
) -> None:
    talk(warehouse, 1, "chat")
    event(warehouse, 1, "incoming_chat_message", WROTE)
    event(warehouse, 1, "talk_closed", CLOSED)

    assert handed_over(warehouse) == {"chat": (WROTE, 7)}


def test_of_several_talks_of_a_conversation_the_latest_counts(
    warehouse: psycopg.Connection[Any],
) -> None:
    talk(warehouse, 1, "chat")
    talk(warehouse, 2, "chat", created_at=WROTE)
    event(warehouse, 1, "outgoing_chat_message", BEGAN + 1)
    event(warehouse, 2, "talk_created", WROTE)

    assert handed_over(warehouse) == {"chat": (WROTE, 7)}


def test_a_talk_without_an_event_happened_when_it_was_changed_last(
    warehouse: psycopg.Connection[Any],
) -> None:
    talk(warehouse, 1, "chat")

    assert handed_over(warehouse) == {"chat": (CLOSED, 7)}


def test_an_event_that_names_no_talk_is_of_all_talks_of_its_contact(
    warehouse: psycopg.Connection[Any],
) -> None:
    for number, chat_id in ((1, "one"), (2, "other")):
        talk(warehouse, number, chat_id, updated_at=BEGAN)
    event(warehouse, None, "incoming_chat_message", WROTE, contact_id=5)

    assert handed_over(warehouse) == {"one": (WROTE, 7), "other": (WROTE, 7)}


def test_a_talk_that_tells_no_time_is_handed_over_without_one(
    warehouse: psycopg.Connection[Any],
) -> None:
    talk(warehouse, 1, "chat", created_at=None, updated_at=None)

    assert handed_over(warehouse) == {"chat": (None, 7)}


def test_other_channels_and_other_accounts_are_left_out(
    warehouse: psycopg.Connection[Any],
) -> None:
    talk(warehouse, 1, "native", origin="waba")
    talk(warehouse, 2, "elsewhere", account_id=8)
    talk(warehouse, 3, None)
    warehouse.execute("INSERT INTO kommo.accounts VALUES (8, 'another')")

    assert handed_over(warehouse) == {}


def test_an_origin_may_have_any_letters(warehouse: psycopg.Connection[Any]) -> None:
    assert warehouse.execute(query(SCOPE, ["o'brien %s :x"])).fetchall() == []


def test_a_search_and_a_reading_share_no_stream_but_that_of_runs() -> None:
    excluded = json.loads(search_settings(ACCOUNT)["_select"])
    selected = json.loads(reading_settings(ACCOUNT, "postgresql://h/d")["_select"])

    assert {f"!{pattern}" for pattern in selected} - {"!runs.*"} == {*excluded} - {
        "*.*"
    }


def test_a_search_knows_no_secret_of_the_channel_and_a_reading_none_of_the_crm() -> (
    None
):
    search = search_settings(ACCOUNT)
    reading = reading_settings(ACCOUNT, "postgresql://h/d")

    assert not {"channel_secret", "scope_id", "crm_origins"} & search.keys()
    assert not {"crm_access_token", "crm_url"} & reading.keys()
    # Masks hold for both.
    assert search["drop_fields"] == reading["drop_fields"] == ["sender.phone"]
    known = SETTINGS_SCHEMA["properties"].keys() | {"_select"}
    assert search.keys() | reading.keys() <= known
