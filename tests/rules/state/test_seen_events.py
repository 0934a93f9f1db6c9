"""Which chat events a run met."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tap_kommo_chats.state.seen_events import SeenEvents


def test_events_come_back_as_they_were_the_oldest_first_and_each_once() -> None:
    seen = SeenEvents()
    old: dict[str, Any] = {"id": "b", "text": "ü'\"", "price": Decimal("1.10")}
    seen.keep([("a", 2, None, {"id": "a"}), ("b", 1, 7, old)])
    seen.keep([("a", 2, None, {"id": "a"})])

    assert list(seen.all()) == [("b", 7, old), ("a", None, {"id": "a"})]


def test_events_from_some_time_on_can_be_had() -> None:
    seen = SeenEvents()
    seen.keep((str(at_ms), at_ms, None, {}) for at_ms in range(5))

    assert [event_id for event_id, _, _ in seen.all(3)] == ["3", "4"]


def test_an_event_tells_the_talk_of_its_message() -> None:
    seen = SeenEvents()
    seen.note_messages([("m", 7), ("n", 8), ("m", 9)])

    assert [seen.talk_of(name) for name in ("m", "n", "other")] == [9, 8, None]
