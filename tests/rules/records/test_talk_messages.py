"""What becomes of a message of a talk."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_kommo_chats.records.shape import EXTRA
from tap_kommo_chats.records.talk_messages import (
    BEFORE_ITS_TALK_MS,
    TalkTimes,
    chat_of,
    nearest_talk,
    read_talk_message,
    to_record,
)

AT = 1_760_000_000
MESSAGE: dict[str, Any] = {
    "id": "m",
    "chat_id": "AAAAAAAA-bbbb-4ccc-8ddd-eeeeeeeeeeee",
    "type": "outgoing",
    "message_type": "picture",
    "author": {"id": "u", "type": "internal", "name": "Ana", "user_id": 7, "new": 1},
    "recipient": {"id": "c", "type": "external", "name": "Bo"},
    "text": "Here",
    "created_at": AT,
    "sec_created_at": AT * 1000 + 5,
    "origin": "waba",
    "attachment": {"type": "picture", "link": "https://x/y", "file_name": "a.jpg"},
    "delivery_status": "error",
}
TALKS = [TalkTimes(1, 0), TalkTimes(2, 1_000_000), TalkTimes(3, 2_000_000)]


def record(**changes: Any) -> dict[str, Any]:
    row = read_talk_message({**MESSAGE, **changes}, 0)
    return to_record(row, chat_of(row, None), 9, 5)


@pytest.mark.parametrize(
    ("exact", "seconds", "expected"),
    [
        (AT * 1000 + 5, AT, AT * 1000 + 5),
        # Whatever its name says, it has milliseconds; or what its name says.
        (AT, AT - 1, AT * 1000),
        (None, AT, AT * 1000),
        (0, AT, AT * 1000),
        ("x", AT, AT * 1000),
        (str(AT * 1000 + 5), AT, AT * 1000 + 5),
        (None, None, None),
        (None, 10**15, None),
        (None, "x", None),
    ],
)
def test_a_message_has_the_most_exact_time_there_is(
    exact: object, seconds: object, expected: int | None
) -> None:
    value = {**MESSAGE, "sec_created_at": exact, "created_at": seconds}

    assert read_talk_message(value, 0).sent_ms == expected


def test_a_message_travels_as_it_came() -> None:
    made = record()

    assert (made["account_id"], made["talk_id"]) == (5, 9)
    assert (made["message_id"], made["direction"]) == ("m", "outgoing")
    assert made["conversation_id"] == MESSAGE["chat_id"].lower()
    assert made["attachment"] == MESSAGE["attachment"]
    assert made["author"] == {k: v for k, v in MESSAGE["author"].items() if k != "new"}
    assert made[EXTRA] == {"author.new": 1}
    assert made["sent_at"] == "2025-10-09T08:53:20.005+00:00"


@pytest.mark.parametrize("chat_id", [None, 7, "a/b", ""])
def test_a_message_that_does_not_tell_its_chat_has_that_of_its_talk(
    chat_id: object,
) -> None:
    row = read_talk_message({**MESSAGE, "chat_id": chat_id}, 0)

    assert chat_of(row, "chat") == "chat"


@pytest.mark.parametrize(
    ("value", "flaw"),
    [
        (7, "no usable message.id"),
        (None, "no usable message.id"),
        ({"created_at": AT}, "no usable message.id"),
        ({"id": "m"}, "no usable timestamp"),
    ],
)
def test_what_has_no_id_or_no_time_cannot_be_delivered(
    value: object, flaw: str
) -> None:
    assert read_talk_message(value, 0).flaw == flaw


@pytest.mark.parametrize(
    ("sent_ms", "expected"),
    [
        (0, 1),
        (1_000_000, 2),
        (1_000_000 - BEFORE_ITS_TALK_MS, 2),
        (1_000_000 - BEFORE_ITS_TALK_MS - 1, 1),
        (9_000_000, 3),
        (-BEFORE_ITS_TALK_MS - 1, 8),
    ],
)
def test_a_message_is_of_the_talk_that_began_last_before_it_or_just_after(
    sent_ms: int, expected: int
) -> None:
    assert nearest_talk(sent_ms, 8, TALKS) == expected


@given(st.permutations(TALKS), st.integers(0, 3_000_000))
def test_the_order_of_talks_makes_no_difference(
    talks: list[TalkTimes], sent_ms: int
) -> None:
    assert nearest_talk(sent_ms, 8, talks) == nearest_talk(sent_ms, 8, TALKS)


def test_without_another_talk_it_is_the_one_that_was_asked_for() -> None:
    assert nearest_talk(5, 8, []) == 8


def test_where_no_talk_tells_when_it_began_it_is_the_one_that_was_asked_for() -> None:
    talks = [TalkTimes(7, 0), TalkTimes(8, 0), TalkTimes(9, 0), TalkTimes(10, 10**9)]

    assert nearest_talk(5, 8, talks) == 8
