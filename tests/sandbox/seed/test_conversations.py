"""What the invented conversations promise to those who test against them."""

from __future__ import annotations

import hashlib
import json
import string
import subprocess
import sys
import uuid
from datetime import datetime, timezone
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from sandbox import (
    CHANNEL_SECRET,
    NAMED_CONVERSATION_ID,
    SCOPE_ID,
    generated_store,
    seeded_store,
)
from sandbox.seed.texts import AWKWARD

if TYPE_CHECKING:
    from sandbox.chats.store import ConversationStore, Row

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def store() -> ConversationStore:
    return seeded_store()


@pytest.fixture(scope="module")
def rows(store: ConversationStore) -> list[Row]:
    return [row for chat in store.conversation_ids() for row in store.rows(chat)]


def sizes(store: ConversationStore) -> list[int]:
    return [store.size(chat) for chat in store.conversation_ids()]


def digest(store: ConversationStore) -> str:
    content = [[chat, store.rows(chat)] for chat in store.conversation_ids()]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def test_every_run_has_the_same_conversations(store: ConversationStore) -> None:
    script = (
        "import hashlib, json; from sandbox import seeded_store; s = seeded_store();"
        "c = [[chat, s.rows(chat)] for chat in s.conversation_ids()];"
        "print(hashlib.sha256(json.dumps(c).encode()).hexdigest())"
    )
    elsewhere = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert elsewhere.stdout.strip() == digest(store)


def test_one_conversation_each_has_an_edge_size_and_the_others_are_short(
    store: ConversationStore,
) -> None:
    special = (0, 49, 50, 51, 120, 1200)
    found = sizes(store)
    assert [found.count(size) for size in special] == [1] * len(special)
    assert all(1 <= size <= 48 for size in found if size not in special)
    assert len(found) == 160


def test_most_conversations_are_a_few_messages(store: ConversationStore) -> None:
    assert sum(size <= 12 for size in sizes(store)) > len(sizes(store)) / 2


def test_pages_that_overlap_by_a_row_cost_at_most_two_percent_more(
    store: ConversationStore,
) -> None:
    def overlapping(size: int) -> int:
        requests = 1
        while size - 49 * (requests - 1) >= 50:
            requests += 1
        return requests

    least = sum(max(1, ceil(size / 50)) for size in sizes(store))
    assert sum(map(overlapping, sizes(store))) <= least * 1.02


def test_conversation_ids_are_uuids_except_one_that_needs_encoding(
    store: ConversationStore,
) -> None:
    ids = store.conversation_ids()
    assert len(set(ids)) == len(ids)
    named = [chat for chat in ids if quote(chat, safe="") != chat]
    assert named == [NAMED_CONVERSATION_ID]
    assert all(uuid.UUID(chat).version == 4 for chat in ids if chat not in named)
    assert store.size(NAMED_CONVERSATION_ID) > 0


def test_message_ids_are_unique(rows: list[Row]) -> None:
    assert len({row["message"]["id"] for row in rows}) == len(rows)


def test_every_row_has_what_can_be_counted_on(rows: list[Row]) -> None:
    for row in rows:
        assert isinstance(row["timestamp"], int)
        assert row["sender"]["id"]
        assert uuid.UUID(row["message"]["id"])
        assert row["message"]["type"]


def test_all_nine_types_occur(rows: list[Row]) -> None:
    assert {row["message"]["type"] for row in rows} == {
        "text",
        "contact",
        "file",
        "video",
        "picture",
        "voice",
        "audio",
        "sticker",
        "location",
    }


def test_incoming_has_no_receiver_and_outgoing_has(rows: list[Row]) -> None:
    for row in rows:
        outgoing = "client_id" not in row["sender"]
        assert ("receiver" in row) == outgoing
        assert not outgoing or row["receiver"]["client_id"]
    senders = {row["sender"]["name"] for row in rows if "receiver" in row}
    assert any("desk" in name for name in senders)
    assert len(senders) > 2


def test_milliseconds_agree_with_seconds_and_miss_in_older_rows(
    rows: list[Row],
) -> None:
    without = [row for row in rows if "msec_timestamp" not in row]
    with_them = [row for row in rows if "msec_timestamp" in row]
    assert len(without) > 50
    assert all(row["msec_timestamp"] // 1000 == row["timestamp"] for row in with_them)
    assert any(row["msec_timestamp"] % 1000 for row in with_them)
    latest = max(row["timestamp"] for row in without)
    assert latest < min(row["timestamp"] for row in with_them)


def test_all_times_are_past(rows: list[Row]) -> None:
    first = datetime(2024, 1, 1, tzinfo=timezone.utc).timestamp()
    end = datetime(2026, 7, 1, tzinfo=timezone.utc).timestamp()
    assert all(first <= row["timestamp"] < end for row in rows)


def test_some_rows_of_a_conversation_share_a_second(store: ConversationStore) -> None:
    times = [
        (chat, row["timestamp"])
        for chat in store.conversation_ids()
        for row in store.rows(chat)
    ]
    assert len(times) - len(set(times)) > 50


def test_rows_of_a_media_group_share_sender_and_time(rows: list[Row]) -> None:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if group := row["message"].get("media_group_id"):
            groups.setdefault(group, []).append(row)
    assert len(groups) > 5
    for group_rows in groups.values():
        assert len(group_rows) > 1
        assert len({(r["timestamp"], r["sender"]["id"]) for r in group_rows}) == 1


def test_texts_are_long_awkward_and_in_several_alphabets(rows: list[Row]) -> None:
    written = {row["message"].get("text", "") for row in rows}
    assert set(AWKWARD) <= written
    assert max(map(len, written)) > 3000
    everything = "".join(written)
    # Portuguese, Spanish, Russian, Arabic, a joined emoji and a flag.
    for part in ("ã", "¿", "Добрый", "مرحبا", "\u200d👩", "\U0001f1e7\U0001f1f7"):
        assert part in everything


@pytest.mark.parametrize("field", ["text", "media", "file_name", "location", "contact"])
def test_empty_values_are_left_out_in_some_rows_and_shown_in_others(
    rows: list[Row], field: str
) -> None:
    assert any(field not in row["message"] for row in rows)
    assert any(
        row["message"].get(field)
        in ("", {"lon": 0, "lat": 0}, {"name": "", "phone": ""})
        for row in rows
    )


def test_undocumented_fields_occur_at_every_level(rows: list[Row]) -> None:
    messages: list[dict[str, Any]] = [row["message"] for row in rows]
    assert any("source" in row for row in rows)
    assert any("locale" in row["sender"] for row in rows)
    assert any("media_duration" in message for message in messages)
    assert any(isinstance(message.get("reply_to"), dict) for message in messages)
    assert any(isinstance(message.get("forwards"), list) for message in messages)


def test_numbers_reach_beyond_32_bits_and_15_digits(rows: list[Row]) -> None:
    messages = [row["message"] for row in rows]
    assert any(message.get("file_size", 0) > 2**31 for message in messages)
    places = [message["location"] for message in messages if message.get("location")]
    assert any(len(repr(place["lat"])) > 16 for place in places)


def test_generated_conversations_are_as_many_and_as_long_as_told() -> None:
    assert sizes(generated_store(7, 3)) == [3] * 7
    assert sizes(generated_store(2, 0)) == [0] * 2


def test_generated_conversations_are_the_same_in_every_run() -> None:
    assert digest(generated_store(30, 5)) == (
        "81c5e326a886dfff41b6cf91f935511cdabb4b31aa940143c271375b3c5a054e"
    )


def test_more_generated_conversations_leave_the_others_as_they_are() -> None:
    few, many = generated_store(3, 5), generated_store(9, 5)
    for chat in few.conversation_ids():
        assert many.rows(chat) == few.rows(chat)


def test_generated_ids_are_unique_uuids() -> None:
    generated = generated_store(300, 5)
    ids = generated.conversation_ids()
    messages = [number for chat in ids for number in generated.message_ids(chat)]
    assert len({*ids, *messages}) == 300 + 1500
    for each in (*ids, *messages):
        assert (str(uuid.UUID(each)), uuid.UUID(each).version) == (each, 4)


def test_generated_rows_are_past_and_have_what_can_be_counted_on() -> None:
    generated = generated_store(2, 120)
    for chat in generated.conversation_ids():
        rows = generated.rows(chat)
        assert [row["msec_timestamp"] // 1000 for row in rows] == [
            row["timestamp"] for row in rows
        ]
        assert len({row["msec_timestamp"] for row in rows}) == 120
        assert {
            datetime.fromtimestamp(row["timestamp"], timezone.utc).year for row in rows
        } == {2024}
        assert all(row["sender"]["id"] for row in rows)
        assert {("receiver" in row, "client_id" in row["sender"]) for row in rows} == {
            (True, False),
            (False, True),
        }


def test_scope_and_secret_have_the_shape_of_real_ones() -> None:
    channel, account = SCOPE_ID.split("_")
    assert uuid.UUID(channel)
    assert uuid.UUID(account)
    assert len(CHANNEL_SECRET) == 40
    assert set(CHANNEL_SECRET) <= set(string.hexdigits.lower())
