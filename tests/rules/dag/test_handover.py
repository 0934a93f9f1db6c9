"""What a search hands over to the shards, asked as the tap asks it."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.rows import dict_row

from airflow_kommo_chats.handover import (
    asking_settings,
    file_of,
    file_settings,
    query,
    search_settings,
)
from sandbox import OWN_ORIGIN
from tap_kommo_chats.file_formats import file_format, is_packed
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
NATIVE = {
    "crm_url": "https://north.kommo.com",
    "crm_access_token": "t",
    "native_channels": True,
}
URL = "postgresql://h/d"


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


def handed_over(
    warehouse: psycopg.Connection[Any], **more: Any
) -> dict[int, tuple[Any, ...]]:
    """Ask as the tap of an account with these settings does."""
    text = query({**ACCOUNT, **more}).replace(":account_id", "7")
    with warehouse.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(text.encode()).fetchall()
    found = {
        row["talk_id"]: (row["conversation_id"], row["updated_at"]) for row in rows
    }
    assert len(found) == len(rows)
    return found


def test_a_talk_is_handed_over_with_its_conversation_channel_times_and_account(
    warehouse: psycopg.Connection[Any],
) -> None:
    talk(warehouse, 1, "chat")
    event(warehouse, 1, "incoming_chat_message", WROTE)

    with warehouse.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(query(ACCOUNT).encode()).fetchall()

    assert rows == [
        {
            "conversation_id": "chat",
            "talk_id": 1,
            "origin": OWN_ORIGIN,
            "created_at": BEGAN,
            "updated_at": WROTE,
            "account_id": 7,
        }
    ]


def test_something_happened_when_a_message_was_sent_and_not_when_a_talk_was_closed(
    warehouse: psycopg.Connection[Any],
) -> None:
    talk(warehouse, 1, "chat")
    event(warehouse, 1, "incoming_chat_message", WROTE)
    event(warehouse, 1, "talk_closed", CLOSED)

    assert handed_over(warehouse) == {1: ("chat", WROTE)}


def test_each_talk_of_a_conversation_has_a_row_with_what_happened_in_it(
    warehouse: psycopg.Connection[Any],
) -> None:
    talk(warehouse, 1, "chat")
    talk(warehouse, 2, "chat", created_at=WROTE)
    event(warehouse, 1, "outgoing_chat_message", BEGAN + 1)
    event(warehouse, 2, "talk_created", WROTE)

    assert handed_over(warehouse) == {1: ("chat", BEGAN + 1), 2: ("chat", WROTE)}


def test_a_talk_without_an_event_happened_when_it_was_changed_last(
    warehouse: psycopg.Connection[Any],
) -> None:
    talk(warehouse, 1, "chat")

    assert handed_over(warehouse) == {1: ("chat", CLOSED)}


def test_an_event_that_names_no_talk_is_of_all_talks_of_its_contact(
    warehouse: psycopg.Connection[Any],
) -> None:
    for number, chat_id in ((1, "one"), (2, "other")):
        talk(warehouse, number, chat_id, updated_at=BEGAN)
    event(warehouse, None, "incoming_chat_message", WROTE, contact_id=5)

    assert handed_over(warehouse) == {1: ("one", WROTE), 2: ("other", WROTE)}


def test_a_talk_that_tells_no_time_is_handed_over_without_one(
    warehouse: psycopg.Connection[Any],
) -> None:
    talk(warehouse, 1, "chat", created_at=None, updated_at=None)

    assert handed_over(warehouse) == {1: ("chat", None)}


@pytest.fixture
def channels(warehouse: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """A warehouse with talks of several channels, and of another account."""
    for number, origin in ((1, OWN_ORIGIN), (2, "waba"), (3, "telegram"), (4, None)):
        talk(warehouse, number, f"c{number}", origin=origin)
    talk(warehouse, 5, None)
    talk(warehouse, 6, "elsewhere", account_id=8)
    warehouse.execute("INSERT INTO kommo.accounts VALUES (8, 'another')")
    return warehouse


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        (None, {1, 4}),
        (False, {1, 4}),
        ("false", {1, 4}),
        (["waba"], {1, 2, 4}),
        ('["waba"]', {1, 2, 4}),
        (True, {1, 2, 3, 4}),
        ("true", {1, 2, 3, 4}),
    ],
)
def test_talks_of_the_channels_that_are_looked_at_are_handed_over_and_no_others(
    channels: psycopg.Connection[Any], native: Any, expected: set[int]
) -> None:
    # One that tells no channel is of the channel of one's own, as it is to the tap.
    assert handed_over(channels, native_channels=native).keys() == expected


@pytest.mark.parametrize(
    ("native", "expected"), [(["waba"], {2}), (True, {1, 2, 3, 4})]
)
def test_without_a_channel_of_ones_own_those_of_native_channels_are_all(
    channels: psycopg.Connection[Any], native: Any, expected: set[int]
) -> None:
    more = {"native_channels": native, "crm_origins": None, "scope_id": None}

    assert handed_over(channels, **more).keys() == expected


@pytest.mark.parametrize("scope_id", [SCOPE, SCOPE.upper(), None])
def test_the_account_is_told_by_the_scope_or_by_the_number_that_the_tap_puts_in(
    channels: psycopg.Connection[Any], scope_id: str | None
) -> None:
    more = {"scope_id": scope_id, "native_channels": True}

    assert handed_over(channels, **more).keys() == {1, 2, 3, 4}
    assert (":account_id" in query({**ACCOUNT, **more})) == (scope_id is None)


def test_an_origin_may_have_any_letters(warehouse: psycopg.Connection[Any]) -> None:
    assert handed_over(warehouse, crm_origins=["o'brien %s :x {y}"]) == {}


@pytest.mark.parametrize("account", [ACCOUNT, NATIVE])
def test_a_search_and_a_reading_share_no_stream_but_that_of_runs(
    account: dict[str, Any],
) -> None:
    excluded = json.loads(search_settings(account)["_select"])
    selected = json.loads(asking_settings(account, URL)["_select"])

    assert {f"!{pattern}" for pattern in selected} - {"!runs.*"} == {*excluded} - {
        "*.*"
    }


def test_a_search_knows_nothing_of_the_channel() -> None:
    search = search_settings({**ACCOUNT, "native_channels": ["waba"]})

    assert not {"channel_secret", "scope_id", "crm_origins"} & search.keys()
    # Else it would look at nothing else.
    assert "native_channels" not in search


def test_a_search_looks_at_the_native_channels_that_are_all_there_is_to_read() -> None:
    search = search_settings({**NATIVE, "native_channels": ["waba"]})

    assert search["native_channels"] == ["waba"]


def readings(account: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return asking_settings(account, URL), file_settings(account, "/found/x.jsonl.gz")


def test_a_reading_does_not_search_and_has_a_list_in_place_of_that() -> None:
    both = {**ACCOUNT, "native_channels": True, "found_talks_file": "mine.jsonl"}

    for reading in readings({**both, "talk_ids": "1-9", "talk_ids_requests": 100}):
        assert reading["search_crm"] is False
        of_a_search = {"talk_ids", "talk_ids_requests", "found_talks_file"}
        assert not of_a_search & reading.keys()
    asking, filed = readings(both)
    assert asking["conversations_sql_url"] == URL
    assert asking["conversations_sql_query"] == query(both)
    assert filed["conversations_file"] == "/found/x.jsonl.gz"


def test_masks_hold_for_search_and_reading() -> None:
    for settings in (search_settings(ACCOUNT), *readings(ACCOUNT)):
        assert settings["drop_fields"] == ["sender.phone"]


def test_a_reading_knows_no_secret_of_a_crm_that_it_has_nothing_to_ask_for() -> None:
    asking, filed = readings(ACCOUNT)

    assert not {name for name in asking if "crm" in name}
    # Of a file it has to leave out the talks of other channels.
    assert filed["crm_origins"] == [OWN_ORIGIN]


@pytest.mark.parametrize("name", ["channel_id", "native_channels"])
def test_a_reading_that_needs_the_crm_has_it(name: str) -> None:
    account = {**ACCOUNT, name: ["waba"]}
    if name == "channel_id":
        del account["scope_id"]

    for reading in readings(account):
        assert {"crm_url", "crm_access_token", "crm_origins"} <= reading.keys()


def test_a_search_and_a_reading_have_settings_that_the_tap_has() -> None:
    settings = [
        search_settings(ACCOUNT, "/found/north.jsonl.gz"),
        *readings(ACCOUNT),
        *readings(NATIVE),
    ]

    known = SETTINGS_SCHEMA["properties"].keys() | {"_select"}
    assert {name for each in settings for name in each} <= known


def test_the_shards_read_the_file_that_their_search_keeps() -> None:
    place = file_of("s3://bucket/kommo/", "north")

    assert place == "s3://bucket/kommo/north.jsonl.gz"
    assert search_settings(NATIVE, place)["found_talks_file"] == place
    assert file_settings(NATIVE, place)["conversations_file"] == place
    assert "found_talks_file" not in search_settings(NATIVE)


names = st.text(min_size=1) | st.sampled_from(
    [".", "..", "a/b", "a%2Fb", "#", "?", "$"]
)


@given(names, names)
def test_whatever_an_account_is_called_its_file_is_its_own_and_in_the_folder(
    one: str, other: str
) -> None:
    for folder in ("/data/found", "s3://bucket/kommo"):
        place = file_of(folder, one)

        assert (place == file_of(folder, other)) == (one == other)
        assert str(PurePosixPath(urlsplit(place).path).parent) == urlsplit(folder).path
        assert not PurePosixPath(place).name.startswith(".")
        assert place.isascii()
        assert not {*place.removeprefix("s3://")} & {*"$*?#[]{}:\\ "}
        assert (file_format(place), is_packed(place)) == (".jsonl", True)
