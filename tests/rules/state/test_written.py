"""Which rows of a stream were written."""

from __future__ import annotations

from typing import Any

from tap_kommo_chats.state.layout import check_part
from tap_kommo_chats.state.written import Written
from tap_kommo_chats.times import HOUR_MS

NOW = 1_760_000_000_000
ROW = {"name": "A"}


def test_a_row_that_was_written_is_not_written_again() -> None:
    state: dict[str, Any] = {}
    Written(state, "x").note("1", ROW)

    assert not Written(state, "x").differs("1", dict(ROW))


def test_a_row_that_changed_or_was_never_written_is() -> None:
    state: dict[str, Any] = {}
    written = Written(state, "x")
    written.note("1", ROW)

    assert written.differs("1", {"name": "B"})
    assert written.differs("2", ROW)


def test_a_row_is_another_one_when_something_else_decides_how_it_is_written() -> None:
    state: dict[str, Any] = {}
    Written(state, "x").note("1", ROW)

    assert Written(state, "y").differs("1", ROW)


def test_the_order_of_fields_makes_no_difference() -> None:
    state: dict[str, Any] = {}
    written = Written(state, "x")
    written.note("1", {"a": 1, "b": {"c": 2, "d": 3}})

    assert not written.differs("1", {"b": {"d": 3, "c": 2}, "a": 1})


def test_what_is_kept_is_a_part_of_a_state() -> None:
    state: dict[str, Any] = {}
    written = Written(state, "x")
    written.note("1", ROW)
    written.note("2", ROW, NOW)

    check_part("leads", state, state)


def test_a_row_in_which_nothing_happened_lately_is_forgotten() -> None:
    state: dict[str, Any] = {}
    written = Written(state, "x")
    written.note("old", ROW, NOW)
    written.note("kept", ROW, NOW + HOUR_MS)
    written.note("forever", ROW)

    written.remember_from(NOW + HOUR_MS)
    written.forget()

    assert set(state["rows"]) == {"kept", "forever"}


def test_a_row_in_which_nothing_happened_lately_is_not_kept_at_all() -> None:
    state: dict[str, Any] = {}
    written = Written(state, "x")
    written.remember_from(NOW)

    written.note("old", ROW, NOW - HOUR_MS)

    assert state["rows"] == {}
