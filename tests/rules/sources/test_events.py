"""What a chat event of the CRM tells."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_kommo_chats.records.talks import Owner
from tap_kommo_chats.sources.events import Event, read_event

UNTIL = 1_800_000_000_000
EVENT: dict[str, Any] = {
    "id": "01pz58t6p04ymgsgfbmfyfy1mf",
    "type": "incoming_chat_message",
    "entity_id": 26060763,
    "entity_type": "lead",
    "created_at": 1_753_800_000,
    "value_after": [{"message": {"id": "m", "talk_id": 38016, "origin": "waba"}}],
    "_embedded": {"entity": {"id": 26060763, "linked_talk_contact_id": 3372695}},
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from([*EVENT, "message", "entity"]), inner)
    ),
    max_leaves=8,
)


def read(**changes: object) -> Event:
    event = read_event({**EVENT, **changes}, UNTIL)
    assert event is not None
    return event


def test_an_event_tells_its_talk_contact_channel_time_and_message() -> None:
    assert read(id="01pz") == Event(
        "01pz",
        38016,
        Owner("contact", 3372695),
        "waba",
        1_753_800_000_000,
        is_activity=True,
        is_message=True,
        message_id="m",
    )


@pytest.mark.parametrize("kind", ["talk_created", "talk_closed"])
def test_an_event_of_a_talk_names_it_as_what_it_is_about(kind: str) -> None:
    event = read(type=kind, value_after=[], entity_type="talk", entity_id="7")

    assert event.talk_id == 7


@pytest.mark.parametrize("kind", ["talk_created", "talk_closed"])
def test_an_event_of_a_talk_is_of_no_channel_so_that_its_row_is_written(
    kind: str,
) -> None:
    assert read(type=kind).origin is None


@pytest.mark.parametrize(
    ("kind", "is_activity"),
    [
        ("incoming_chat_message", True),
        ("outgoing_chat_message", True),
        ("talk_created", True),
        ("talk_closed", False),
        (None, True),
        ("new_one", True),
    ],
)
def test_all_but_a_closing_is_activity(kind: object, *, is_activity: bool) -> None:
    assert read(type=kind).is_activity is is_activity


@pytest.mark.parametrize("kind", ["lead", "customer", "contact"])
def test_without_a_contact_an_event_is_about_its_entity(kind: str) -> None:
    assert read(_embedded={}, entity_type=kind).owner == Owner(kind, 26060763)


@pytest.mark.parametrize("kind", ["talk", "company", None, ["lead"]])
def test_an_entity_that_has_no_talks_is_nobody(kind: object) -> None:
    assert read(_embedded=None, entity_type=kind).owner is None


@pytest.mark.parametrize("at", [None, 0, -1, "soon", 2**62, 1.5])
def test_an_event_without_a_usable_time_happened_at_the_end_of_the_window(
    at: object,
) -> None:
    assert read(created_at=at).at_ms == UNTIL


@given(VALUES)
def test_whatever_stands_in_an_events_place_is_read_or_left_out(value: object) -> None:
    event = read_event(value, UNTIL)

    assert (event is None) == (not isinstance(value, dict))
