"""One row of the API to one record."""

from __future__ import annotations

import json
from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from tap_kommo_chats.records.messages import SCHEMA, Record, read_row, to_record

ROW: dict[str, Any] = {
    "timestamp": 1_670_929_200,
    "msec_timestamp": 1_670_929_200_123,
    "sender": {
        "id": "s1",
        "client_id": "c1",
        "name": "Ana",
        "avatar": "",
        "phone": "+55",
        "email": "a@example.com",
    },
    "message": {
        "id": "m1",
        "client_id": "x1",
        "type": "location",
        "text": "olá 👩‍👩‍👧 مرحبا",
        "media": "",
        "thumbnail": "",
        "file_name": "",
        "file_size": 3_000_000_000,
        "media_group_id": "g1",
        "location": {"lon": Decimal("-46.633308000000001"), "lat": 0},
        "contact": {"name": "Bia", "phone": "+1"},
    },
}


def record_of(row: Any) -> Record:
    return to_record(read_row(row, 0), "scope", "conversation")


def with_field(path: str, value: object) -> dict[str, Any]:
    """Set one field of a copy of ROW."""
    row = deepcopy(ROW)
    *parents, name = path.split(".")
    inner = row
    for parent in parents:
        inner = inner[parent]
    inner[name] = value
    return row


def test_every_known_field_travels_as_it_came() -> None:
    record = record_of(ROW)

    assert {name: record[name] for name in ROW} == ROW
    assert record["extra"] is None


def test_a_field_that_was_left_out_stays_out() -> None:
    record = record_of({"timestamp": 1, "sender": {"id": "s"}, "message": {"id": "m"}})

    assert record["sender"] == {"id": "s"}
    assert record["message"] == {"id": "m"}
    assert record["receiver"] is None
    assert record["msec_timestamp"] is None


def test_the_keys_come_from_the_read_and_the_row() -> None:
    record = record_of(ROW)

    assert record["scope_id"] == "scope"
    assert record["conversation_id"] == "conversation"
    assert record["message_id"] == "m1"


def test_sent_at_comes_from_the_milliseconds() -> None:
    assert record_of(ROW)["sent_at"] == "2022-12-13T11:00:00.123+00:00"


@pytest.mark.parametrize(
    "missing", [None, 0, -5, "soon", True, 10**30, {}, Decimal("NaN")]
)
def test_sent_at_comes_from_the_seconds_when_the_milliseconds_are_of_no_use(
    missing: object,
) -> None:
    row = with_field("msec_timestamp", missing)

    assert record_of(row)["sent_at"] == "2022-12-13T11:00:00.000+00:00"


def test_a_time_of_zero_is_taken_for_want_of_another() -> None:
    row = {"timestamp": 0, "msec_timestamp": 0, "message": {"id": "m"}}

    assert record_of(row)["sent_at"] == "1970-01-01T00:00:00.000+00:00"


@pytest.mark.parametrize("seconds", ["1670929200", 1_670_929_200.0])
def test_a_timestamp_of_another_type_still_dates_the_row(seconds: object) -> None:
    record = record_of({"timestamp": seconds, "message": {"id": "m"}})

    assert record["sent_at"] == "2022-12-13T11:00:00.000+00:00"
    assert record["extra"] == {"timestamp": seconds}


@pytest.mark.parametrize("receiver", [None, {}, []])
def test_a_row_without_receiver_is_incoming(receiver: object) -> None:
    assert record_of(with_field("receiver", receiver))["direction"] == "incoming"
    assert record_of(ROW)["direction"] == "incoming"


def test_a_row_with_a_receiver_is_outgoing() -> None:
    assert record_of(with_field("receiver", {"id": "r"}))["direction"] == "outgoing"


@pytest.mark.parametrize(
    "path",
    [
        "tag",
        "sender.role",
        "message.reply_to",
        "message.location.accuracy",
        "message.contact.vcard",
    ],
)
@pytest.mark.parametrize("value", ["", 0, None, [1, {"a": None}], {"deep": {"er": 1}}])
def test_a_field_the_schema_does_not_know_travels_in_extra(
    path: str, value: object
) -> None:
    record = record_of(with_field(path, value))

    assert record["extra"] == {path: value}
    assert {name: record[name] for name in ROW} == ROW


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("timestamp", "1670929200"),
        ("timestamp", 2**63),
        ("msec_timestamp", True),
        ("sender", "Ana"),
        ("sender", []),
        ("sender.name", 7),
        ("message.text", {"html": "x"}),
        ("message.file_size", "12"),
        ("message.file_size", Decimal("1.5")),
        ("message.file_size", 2**63),
        ("message.location", [1, 2]),
        ("message.location.lon", "12.5"),
    ],
)
def test_a_known_field_of_another_type_travels_in_extra(
    path: str, value: object
) -> None:
    record = record_of(with_field(path, value))

    assert record["extra"] == {path: value}
    Draft7Validator(SCHEMA).validate(record)


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63)])
def test_an_integer_of_64_bits_stays_in_its_place(value: int) -> None:
    record = record_of(with_field("message.file_size", value))

    assert record["message"]["file_size"] == value
    assert record["extra"] is None


def test_a_null_stays_in_its_place() -> None:
    record = record_of(with_field("sender.phone", None))

    assert record["sender"]["phone"] is None
    assert record["extra"] is None


def test_two_fields_never_share_a_path_in_extra() -> None:
    row = with_field("message.x", 1)
    row["message.x"] = 2
    row["message\\.x"] = 3

    assert record_of(row)["extra"] == {
        "message.x": 1,
        "message\\.x": 2,
        "message\\\\\\.x": 3,
    }


def test_a_number_as_id_is_carried_as_text() -> None:
    record = record_of(with_field("message.id", 42))

    assert record["message_id"] == "42"
    assert record["extra"] == {"message.id": 42}


@pytest.mark.parametrize(
    "row",
    [
        None,
        [],
        "text",
        {},
        {"timestamp": 1},
        {"timestamp": 1, "message": None},
        {"timestamp": 1, "message": {"id": None}},
        {"timestamp": 1, "message": {"id": ""}},
        {"timestamp": 1, "message": {"id": True}},
        {"timestamp": 1, "message": {"id": "half \ud83d"}},
        {"timestamp": 1, "message": {"id": "longer than any key" * 20}},
        {"timestamp": 1, "message": {"id": 10**300}},
    ],
)
def test_a_row_without_message_id_has_no_key(row: object) -> None:
    assert read_row(row, 0).flaw == "no usable message.id"
    with pytest.raises(ValueError, match=r"no usable message\.id"):
        record_of(row)


@pytest.mark.parametrize(
    "timestamp", [None, "", "soon", True, [], 10**15, -(10**15), Decimal("1e999999999")]
)
def test_a_row_without_a_time_has_no_key(timestamp: object) -> None:
    row = read_row({"timestamp": timestamp, "message": {"id": "m"}}, 0)

    assert row.flaw == "no usable timestamp"


@pytest.mark.parametrize("other", [{"n": 2}, {"n": "1"}, {}, None, "half \ud83d"])
def test_rows_without_an_id_are_told_apart_by_their_content(other: object) -> None:
    assert read_row({"n": 1}, 0).identity == read_row({"n": 1}, 7).identity
    assert read_row({"n": 1}, 0).identity != read_row(other, 0).identity


def test_every_property_has_a_description() -> None:
    def undescribed(schema: dict[str, Any], path: str) -> list[str]:
        found = []
        for name, field in schema.get("properties", {}).items():
            if not field.get("description"):
                found.append(path + name)
            found += undescribed(field, f"{path}{name}.")
        return found

    assert undescribed(SCHEMA, "") == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
KNOWN_NAMES = st.sampled_from(
    ["id", "name", "text", "file_size", "location", "lon", "contact", "sender"]
)
FIELDS = st.dictionaries(KNOWN_NAMES | st.text(), JSON)


def leaves(record: Record) -> list[str]:
    """Every value of a record that came from the row, wherever it now stands."""
    found: list[str] = []

    def gather(value: object) -> None:
        if isinstance(value, dict):
            for inner in value.values():
                gather(inner)
        elif isinstance(value, list):
            for inner in value:
                gather(inner)
        elif value is not None:
            found.append(json.dumps(value, default=str))

    for name in ("timestamp", "msec_timestamp", "sender", "receiver", "message"):
        gather(record.get(name))
    gather(record.get("extra"))
    return sorted(found)


@given(row=FIELDS, sender=JSON | FIELDS, message=FIELDS)
def test_whatever_a_row_holds_its_record_fits_the_schema_and_loses_nothing(
    row: dict[str, Any], sender: object, message: dict[str, Any]
) -> None:
    whole = {
        **row,
        "timestamp": 1,
        "sender": sender,
        "message": {**message, "id": "m"},
    }

    record = record_of(deepcopy(whole))

    Draft7Validator(SCHEMA).validate(record)
    assert leaves(record) == leaves({"extra": whole})
