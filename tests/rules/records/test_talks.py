"""What becomes of one talk of the CRM."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_kommo_chats.integers import read_id
from tap_kommo_chats.records.talks import SCHEMA, read_talk, to_record

ACCOUNT = 17_029_541
TALK: dict[str, Any] = {
    "talk_id": 7,
    "chat_id": "30477717-9f3c-4d3f-8101-60327e14dc48",
    "origin": "amo.ext.12345678",
    "updated_at": 1_736_072_430,
    "is_read": True,
    "rate": 5,
    "missed_at": None,
    "_embedded": {"contacts": [{"id": 3}]},
}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**70), max_value=2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner),
    max_leaves=6,
)
INTEGERS = [
    name for name, field in SCHEMA["properties"].items() if "integer" in field["type"]
]
NAMES = st.sampled_from([*SCHEMA["properties"], "a.b", "a\\.b", "\\", "."]) | TEXTS


@st.composite
def talks(draw: st.DrawFn) -> dict[str, Any]:
    """Any object that has the id of a talk."""
    talk_id = draw(st.integers(min_value=1, max_value=2**63 - 1))
    id_as_text = draw(st.booleans())
    others = draw(st.dictionaries(NAMES, VALUES))
    return {**others, "talk_id": str(talk_id) if id_as_text else talk_id}


def record_of(value: object) -> dict[str, Any]:
    talk = read_talk(value)
    assert talk is not None
    return to_record(talk, ACCOUNT)


def unescaped(name: str) -> str:
    return name.replace("\\.", ".").replace("\\\\", "\\")


def dumped(value: object) -> str:
    """Compare by this: for Python, 1, 1.0 and True are the same."""
    return json.dumps(value, sort_keys=True)


def as_text(value: dict[str, Any]) -> dict[str, Any]:
    """Write the numbers of integer fields out: they may come as either."""
    return {
        name: str(item) if name in INTEGERS and type(item) is int else item
        for name, item in value.items()
    }


@given(talks())
def test_any_record_fits_the_schema(value: dict[str, Any]) -> None:
    jsonschema.validate(record_of(value), SCHEMA)


@given(talks())
def test_any_record_has_every_value_of_its_talk_and_no_other(
    value: dict[str, Any],
) -> None:
    record = record_of(value)

    extra = {unescaped(name): item for name, item in (record["extra"] or {}).items()}
    fields = {k: v for k, v in record.items() if k != "extra"}
    assert type(fields["account_id"]) is int
    if value.get("account_id") is None or "account_id" in extra:
        assert fields.pop("account_id") == ACCOUNT
        value = {k: v for k, v in value.items() if v is not None or k != "account_id"}
    assert dumped(as_text({**fields, **extra})) == dumped(as_text(value))
    assert fields["talk_id"] == int(value["talk_id"])


def test_the_account_of_a_talk_that_does_not_tell_is_that_of_the_token() -> None:
    assert record_of(TALK)["account_id"] == ACCOUNT
    assert record_of({**TALK, "account_id": "5"})["account_id"] == 5


def test_what_the_schema_does_not_know_is_extra() -> None:
    record = record_of({**TALK, "rate": 5.5, "extra": 1, "scope_id": "other", "a.b": 2})

    assert record["extra"] == {
        "_embedded": {"contacts": [{"id": 3}]},
        "rate": 5.5,
        "extra": 1,
        "scope_id": "other",
        "a\\.b": 2,
    }
    assert "rate" not in record


@pytest.mark.parametrize("name", INTEGERS)
def test_a_number_that_came_as_text_is_read_as_the_number(name: str) -> None:
    record = record_of({**TALK, name: "1736072430"})

    assert record[name] == 1_736_072_430
    assert record["extra"] == {"_embedded": TALK["_embedded"]}


def test_a_text_stays_text_though_it_has_digits_only() -> None:
    assert record_of({**TALK, "origin": "12345"})["origin"] == "12345"


def test_a_talk_with_nothing_beyond_the_schema_has_no_extra() -> None:
    assert record_of({"talk_id": 7})["extra"] is None


def test_a_talk_knows_its_conversation_its_channel_and_its_last_change() -> None:
    talk = read_talk(TALK)

    assert talk is not None
    assert talk.talk_id == 7
    assert talk.chat_id == TALK["chat_id"]
    assert talk.origin == "amo.ext.12345678"
    assert talk.updated_ms == 1_736_072_430_000
    assert talk.value == TALK


@given(VALUES)
def test_any_other_value_is_no_talk(value: Any) -> None:
    if isinstance(value, dict):
        value.pop("talk_id", None)

    assert read_talk(value) is None


@pytest.mark.parametrize(
    "talk_id",
    [None, 0, -1, 2**63, 1.0, True, "", "x", "-1", "1.0", "\u0667", [7], "9" * 30],
)
def test_a_talk_without_a_usable_id_is_none(talk_id: object) -> None:
    assert read_talk({**TALK, "talk_id": talk_id}) is None


@pytest.mark.parametrize("value", [7, "7"])
def test_an_id_may_be_text(value: object) -> None:
    assert read_id(value) == 7


@pytest.mark.parametrize("chat_id", [None, 7, "", "a/b", "..", "a\nb", ["x"]])
def test_a_talk_whose_conversation_cannot_be_asked_for_has_none(
    chat_id: object,
) -> None:
    talk = read_talk({**TALK, "chat_id": chat_id})

    assert talk is not None
    assert talk.chat_id is None


@pytest.mark.parametrize("origin", [None, 7, ["amo"]])
def test_an_origin_that_is_no_text_is_not_known(origin: object) -> None:
    talk = read_talk({**TALK, "origin": origin})

    assert talk is not None
    assert talk.origin == ""


@pytest.mark.parametrize("updated_at", [None, "soon", -1, 1.5, 253_402_300_800, True])
def test_a_last_change_that_is_no_time_is_not_known(updated_at: object) -> None:
    talk = read_talk({**TALK, "updated_at": updated_at})

    assert talk is not None
    assert talk.updated_ms is None
