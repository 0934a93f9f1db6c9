"""What one row or one line says of a conversation."""

from __future__ import annotations

import time
import uuid
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_kommo_chats.records.conversations import Conversation
from tap_kommo_chats.sources.listing import read_entry, read_time

ID = "30477717-9f3c-4d3f-8101-60327e14dc48"
MOMENT_MS = 1_736_072_430_000
"""2025-01-05T10:20:30Z."""

DAYS_END_MS = 1_736_121_599_999
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
FROM_2000 = datetime(2000, 1, 2)  # noqa: DTZ001 (hypothesis adds the zone)


def read(**entry: object) -> tuple[Conversation | None, list[str]]:
    """Read an entry, and return what was said about it too."""
    said: list[str] = []
    return read_entry(entry, "file", "Line 7", said.append, has_talks=True), said


@pytest.mark.parametrize(
    "text",
    [
        "2025-01-05T10:20:30Z",
        "2025-01-05 10:20:30Z",
        "2025-01-05T10:20:30+00:00",
        "2025-01-05T10:20:30.000",
        "2025-01-05 10:20:30",
        "2025-01-05T07:20:30-03:00",
        "2025-01-05 13:20:30+03",
        " 2025-01-05T10:20:30Z\n",
    ],
)
def test_iso_8601_is_in_utc_unless_it_says_otherwise(text: str) -> None:
    assert read_time(text) == MOMENT_MS


@given(
    st.datetimes(
        min_value=FROM_2000,
        max_value=datetime(9999, 12, 30),  # noqa: DTZ001 (hypothesis adds the zone)
        timezones=st.timezones(),
    )
)
def test_any_moment_is_the_same_as_object_and_as_text(moment: datetime) -> None:
    # The names of zones do not fit into ISO 8601, nor do offsets with seconds
    # everywhere.
    moment = moment.astimezone(timezone.utc)
    expected = (moment - EPOCH) // timedelta(milliseconds=1)

    assert read_time(moment) == expected
    assert read_time(moment.isoformat()) == expected
    assert read_time(moment.replace(tzinfo=None)) == expected


@given(st.integers(min_value=946_684_800, max_value=99_999_999_999))
def test_seconds_and_milliseconds_of_one_instant_agree(seconds: int) -> None:
    milliseconds = seconds * 1000

    for value in (seconds, milliseconds):
        for given_as in (value, float(value), Decimal(value), str(value), f"{value}.0"):
            assert read_time(given_as) == milliseconds


@pytest.mark.parametrize(
    "value", [1_736_072_430.25, Decimal("1736072430.25"), "1736072430.25"]
)
def test_parts_of_a_second_are_kept(value: object) -> None:
    assert read_time(value) == MOMENT_MS + 250


@pytest.mark.parametrize("value", ["2025-01-05", " 2025-01-05 ", date(2025, 1, 5)])
def test_a_date_is_the_end_of_its_day(value: object) -> None:
    assert read_time(value) == DAYS_END_MS


@pytest.mark.parametrize("value", ["2025-W01-7", "2025W017", "2025-W01"])
def test_a_date_in_weeks_is_no_moment_before_its_end(value: str) -> None:
    try:
        read = read_time(value)
    except ValueError:
        return
    assert read is not None
    assert read >= DAYS_END_MS


@pytest.mark.parametrize("value", [None, "", "  ", "\n"])
def test_nothing_is_no_time(value: object) -> None:
    assert read_time(value) is None


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "05/01/2025",
        "2025-13-01",
        "2025-02-30",
        "2025-01-05T25:00:00",
        "\u0661\u0667\u0663\u0666\u0660\u0667\u0662\u0664\u0663\u0660",
        "1e9",
        "-1736072430",
        "nan",
        "0",
        "20250105",
        "1999-12-31T23:59:59Z",
        "1999-12-31",
        "9" * 15,
        "9" * 400,
        "2025-01-05\udcff",
        True,
        False,
        b"2025-01-05",
        [],
        {},
        timedelta(days=20_000),
    ],
)
def test_what_is_no_time_is_refused(value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (its message is for nobody)
        read_time(value)


@pytest.mark.parametrize(
    "value",
    [
        20_250_105,
        0,
        -1,
        -1_736_072_430_000,
        946_684_799,
        946_684_799_999,
        253_402_300_800_000,
        10**18,
        10**400,
        1e300,
        float("inf"),
        float("nan"),
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("-Infinity"),
        Decimal("1e400"),
        Decimal("1e999999999"),
        Decimal("-1e999999999"),
        Decimal("-1e306"),
        -1e308,
        datetime(1999, 12, 31, tzinfo=timezone.utc),
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-3))),
    ],
    ids=lambda value: f"{type(value).__name__}-{str(value)[:20]}",
)
def test_a_time_of_no_year_from_2000_to_9999_is_refused(value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (its message is for nobody)
        read_time(value)


def test_the_first_and_the_last_moment_are_taken() -> None:
    assert read_time(946_684_800) == read_time("2000-01-01T00:00Z") == 946_684_800_000
    assert read_time(253_402_300_799_999) == read_time("9999-12-31")


def test_an_entry_is_a_conversation_of_its_source() -> None:
    conversation, said = read(conversation_id=ID, updated_at=MOMENT_MS, title="x")

    assert conversation == Conversation(ID, "file", MOMENT_MS)
    assert said == []


def test_an_entry_needs_no_time() -> None:
    assert read(conversation_id=ID) == (Conversation(ID, "file", None), [])


def test_the_uuid_of_a_database_is_an_id() -> None:
    assert read(conversation_id=uuid.UUID(ID))[0] == Conversation(ID, "file", None)


def test_an_id_may_have_255_characters() -> None:
    assert read(conversation_id="a" * 255) == (Conversation("a" * 255, "file"), [])


def test_white_space_around_an_id_is_not_part_of_it() -> None:
    assert read(conversation_id=f"\t {ID}\r\n")[0] == Conversation(ID, "file", None)


@pytest.mark.parametrize("value", [None, 7, 1.5, True, b"abc", [ID], {"id": ID}])
def test_an_id_that_is_no_text_is_reported_and_left_out(value: object) -> None:
    assert read(conversation_id=value) == (
        None,
        ["Line 7 has no conversation_id and was left out"],
    )


def test_a_missing_id_is_reported_and_left_out() -> None:
    assert read(updated_at=MOMENT_MS) == (
        None,
        ["Line 7 has no conversation_id and was left out"],
    )


@pytest.mark.parametrize(
    ("value", "flaw"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("..", "would change the path"),
        ("a/b", "has '/' in it"),
        ("a?b", "has '?' in it"),
        ("a\x00b", "has a control character in it"),
        ("a\nb", "has a control character in it"),
        ("\udcff", "has a control character in it"),
        ("a\u202eb", "has a control character in it, or another that does not show"),
        ("a\u200bb", "has a control character in it, or another that does not show"),
        ("a" * 256, "is longer than 255 characters"),
    ],
)
def test_an_id_that_would_change_the_path_is_reported_and_left_out(
    value: str, flaw: str
) -> None:
    conversation, (line,) = read(conversation_id=value)

    assert conversation is None
    assert line.startswith(f"Line 7 was left out: its conversation_id {flaw}")


@pytest.mark.parametrize(
    "value",
    ["soon", True, 20_250_105, float("nan"), 10**400],
    ids=lambda value: str(value)[:20],
)
def test_a_conversation_with_an_unusable_time_is_read_as_if_it_had_just_changed(
    value: object,
) -> None:
    before_ms = time.time_ns() // 1_000_000

    conversation, (line,) = read(conversation_id=ID, updated_at=value)

    assert conversation is not None
    assert conversation.last_activity_ms is not None
    assert conversation.last_activity_ms >= before_ms
    assert line.startswith("Line 7 has an updated_at that is no time from the year")


@pytest.mark.parametrize("began", [1_736_072_430, "2025-01-05T10:20:30Z"])
def test_an_entry_may_name_a_talk_of_its_conversation(began: object) -> None:
    found, said = read(
        conversation_id=ID, talk_id="42", origin="waba", created_at=began
    )

    assert found is not None
    assert found.talk is not None
    assert (found.talk.talk_id, found.talk.chat_id) == (42, ID)
    assert (found.talk.origin, found.talk.began_ms) == ("waba", MOMENT_MS)
    assert said == []


@pytest.mark.parametrize("value", [None, "", " "])
def test_an_entry_may_name_no_talk(value: object) -> None:
    assert read(conversation_id=ID, talk_id=value) == (Conversation(ID, "file"), [])


@pytest.mark.parametrize(
    "value", [42, "42", " 42 ", 42.0, "42.0", Decimal(42), Decimal("42.00")]
)
def test_numbers_are_read_however_they_are_written(value: object) -> None:
    found, said = read(conversation_id=ID, talk_id=value, account_id=value)

    assert found is not None
    assert found.talk is not None
    assert (found.talk.talk_id, found.account_id) == (42, 42)
    assert said == []


NO_NUMBERS = [0, -1, "x", 1.5, "4.2", True, float("nan"), Decimal("sNaN"), 10**400, []]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: str(value)[:20])
@pytest.mark.parametrize("column", ["talk_id", "account_id"])
def test_a_talk_that_cannot_be_told_from_others_is_reported_and_left_out(
    column: str, value: object
) -> None:
    entry = {"talk_id": 42, "account_id": 7, column: value}

    found, (line,) = read(conversation_id=ID, **entry)

    assert found is None
    assert line.startswith(f"Line 7 was left out: its {column} is no whole number")


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: str(value)[:20])
def test_columns_of_talks_are_any_others_in_a_list_without_talks(value: object) -> None:
    said: list[str] = []
    entry = {"conversation_id": ID, "talk_id": value, "account_id": value}

    found = read_entry(entry, "file", "Line 7", said.append)

    assert found == Conversation(ID, "file")
    assert said == []


@pytest.mark.parametrize(
    "value", [None, "yesterday", 5, "2025-01-05", " 2025-01-05 ", date(2025, 1, 5)]
)
def test_a_talk_may_not_tell_when_it_began(value: object) -> None:
    found, _ = read(conversation_id=ID, talk_id=42, created_at=value)

    assert found is not None
    assert found.talk is not None
    assert found.talk.began_ms == 0
