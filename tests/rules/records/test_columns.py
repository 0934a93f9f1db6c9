"""What becomes of objects of the CRM that a stream mirrors."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_kommo_chats.records.accounts import ACCOUNTS
from tap_kommo_chats.records.chat_events import EVENTS
from tap_kommo_chats.records.leads import LEADS, lead_record, leads_of, read_lead
from tap_kommo_chats.records.pipelines import PIPELINES, read_statuses
from tap_kommo_chats.records.shape import EXTRA
from tap_kommo_chats.records.talk_messages import TALK_MESSAGES
from tap_kommo_chats.records.talks import read_talk
from tap_kommo_chats.records.users import USERS
from tests.rules.records.test_talks import TEXTS, VALUES, dumped

if TYPE_CHECKING:
    from tap_kommo_chats.records.columns import Mirror

MIRRORS = [ACCOUNTS, EVENTS, USERS, LEADS, PIPELINES, TALK_MESSAGES]
OURS: dict[str, int | str] = {
    "event_id": "e",
    "conversation_id": "c",
    "message_id": "m",
    "account_id": 1,
    "user_id": 2,
    "lead_id": 3,
    "pipeline_id": 4,
    "status_id": 5,
}
USER: dict[str, Any] = {
    "id": 7,
    "name": "A",
    "rights": {"is_admin": True, "group_id": None, "leads": {"view": "A"}},
    "_embedded": {"groups": [{"id": 0, "name": "Sales"}], "roles": []},
}
LEAD: dict[str, Any] = {"id": 9, "updated_at": 1_736_072_430, "price": 5}


@st.composite
def mirrored(draw: st.DrawFn) -> tuple[Mirror, dict[str, Any]]:
    """A kind of object, and one that may have anything anywhere."""
    mirror = draw(st.sampled_from(MIRRORS))
    names = st.sampled_from([*mirror.known, "a.b"]) | TEXTS
    value = draw(st.dictionaries(names, VALUES))
    for path in draw(st.sets(st.sampled_from([*mirror.lifted.values()]))):
        put(value, path, draw(VALUES))
    return mirror, value


def put(value: dict[str, Any], path: tuple[str | int, ...], item: object) -> None:
    inner: Any = value
    for name, following in pairwise(path):
        new: Any = [None] if following == 0 else {}
        if isinstance(name, int):
            inner[name] = inner[name] if type(inner[name]) is type(new) else new
        elif type(inner.get(name)) is not type(new) or not inner[name]:
            inner[name] = new
        inner = inner[name]
    inner[path[-1]] = item


def record_of(mirror: Mirror, value: dict[str, Any]) -> dict[str, Any]:
    required = {*mirror.shape.schema["required"]}
    return mirror.record(value, **{k: v for k, v in OURS.items() if k in required})


def leaves(value: object) -> list[str]:
    """Write out all that is in a value, whatever it is in; nulls are nothing."""
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    return [] if value is None else [value if isinstance(value, str) else dumped(value)]


@given(mirrored())
def test_any_record_fits_the_schema(given: tuple[Mirror, dict[str, Any]]) -> None:
    mirror, value = given

    jsonschema.validate(record_of(mirror, value), mirror.shape.schema)


@given(mirrored())
def test_any_record_has_every_value_of_its_object_once(
    given: tuple[Mirror, dict[str, Any]],
) -> None:
    mirror, value = given
    record = record_of(mirror, value)

    # What the object does not fill is the tap's.
    without = mirror.record(value)
    assert {k: v for k, v in record.items() if without.get(k) is not None} == {
        k: v for k, v in without.items() if v is not None
    }
    assert sorted(leaves(without)) == sorted(leaves(value))


def test_what_has_a_column_of_its_own_is_taken_out_of_objects() -> None:
    record = USERS.record(USER, account_id=5)

    assert record["user_id"] == 7
    assert record["is_admin"] is True
    assert record["group_name"] == "Sales"
    assert record["role_name"] is None
    assert record[EXTRA] == {
        "rights": {"leads": {"view": "A"}},
        "_embedded": {"groups": [{"id": 0}], "roles": []},
    }


def test_of_several_groups_none_is_the_users() -> None:
    groups = [{"name": "Sales"}, {"name": "Support"}]

    record = USERS.record({"id": 7, "_embedded": {"groups": groups}})

    assert record["group_name"] is None
    assert record[EXTRA] == {"_embedded": {"groups": groups}}


def test_a_lead_has_its_last_change_as_a_time_too() -> None:
    lead = read_lead(LEAD)
    assert lead is not None
    record = lead_record(lead, account_id=5)

    assert record["updated_at"] == LEAD["updated_at"]
    assert record["changed_at"] == "2025-01-05T10:20:30.000+00:00"


@pytest.mark.parametrize("updated_at", [None, 0, -5, "now", 10**17, 1.5, True])
def test_a_lead_without_a_time_has_none(updated_at: object) -> None:
    lead = read_lead({**LEAD, "updated_at": updated_at})

    assert lead is not None
    assert lead_record(lead)["changed_at"] is None


@pytest.mark.parametrize("value", [None, 7, [], {}, {"id": None}, {"id": "x"}])
def test_what_has_no_number_is_no_lead(value: object) -> None:
    assert read_lead(value) is None


def test_custom_fields_of_another_form_are_extra() -> None:
    lead = read_lead({**LEAD, "custom_fields_values": [1, {"field_id": 2}]})
    assert lead is not None

    assert lead_record(lead)[EXTRA] == {"custom_fields_values": [1, {"field_id": 2}]}


@pytest.mark.parametrize(
    ("talk", "expected"),
    [
        ({"entity_type": "lead", "entity_id": "5"}, [5]),
        ({"entity_type": "customer", "entity_id": 5}, []),
        ({"entity_id": 5}, []),
        ({"_embedded": {"leads": [{"id": 5}, {"id": "6"}, 7, {"id": None}]}}, [5, 6]),
        ({"_embedded": {"leads": {"id": 5}}}, []),
        (
            {
                "entity_type": "lead",
                "entity_id": 5,
                "_embedded": {"leads": [{"id": 5}, {"id": 6}]},
            },
            [5, 6],
        ),
    ],
)
def test_a_talk_names_its_leads(talk: dict[str, Any], expected: list[int]) -> None:
    read = read_talk({"talk_id": 1, **talk})

    assert read is not None
    assert list(leads_of(read)) == expected


def test_a_pipeline_has_a_row_per_status() -> None:
    pipeline = {
        "id": 4,
        "name": "Sales",
        "account_id": 1,
        "_embedded": {
            "statuses": [
                {
                    "id": 142,
                    "name": "Won",
                    "pipeline_id": 4,
                    "account_id": 1,
                    "sort": 9,
                },
                {"id": "7", "name": "New"},
                {"id": None},
                "odd",
            ],
            "more": 1,
        },
    }

    found = list(read_statuses(pipeline))
    records = [PIPELINES.record(value) for _, _, value in found]

    assert [(one, two) for one, two, _ in found] == [(4, 142), (4, 7)]
    assert [(r["pipeline_name"], r["status_name"]) for r in records] == [
        ("Sales", "Won"),
        ("Sales", "New"),
    ]
    assert [r[EXTRA] for r in records] == [{"pipeline": {"_embedded": {"more": 1}}}] * 2


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        {},
        {"id": 4},
        {"id": 4, "_embedded": {"statuses": {}}},
        {"_embedded": 1},
    ],
)
def test_what_has_no_statuses_has_no_row(value: object) -> None:
    assert list(read_statuses(value)) == []


@pytest.mark.parametrize("mirror", MIRRORS)
def test_what_was_taken_out_goes_with_its_column(mirror: Mirror) -> None:
    names = {
        ".".join(n for n in p if isinstance(n, str)) for p in mirror.lifted.values()
    }

    assert {copy for copies in mirror.shape.copies.values() for copy in copies} == names
