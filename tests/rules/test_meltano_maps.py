"""What becomes of stream maps on their way through Meltano."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tap_kommo_chats.settings.meltano import apart, with_nulls


def read(config: dict[str, Any], handed_on: object) -> dict[str, Any]:
    return with_nulls(config, {"MELTANO_EXTRACT_STREAM_MAPS": json.dumps(handed_on)})


def test_an_entry_that_takes_something_out_is_put_back() -> None:
    handed_on = {"chat_history.sender": None, "chat_history.x": "1"}
    config = {"stream_maps": {"chat_history": {"x": "1"}}, "scope_id": "s"}

    assert read(config, handed_on) == {
        "stream_maps": {"chat_history": {"sender": None, "x": "1"}},
        "scope_id": "s",
    }


def test_maps_that_do_nothing_else_are_put_back() -> None:
    handed_on = {"talks.origin": None, "talks.__else__": None, "runs": None}

    assert read({"scope_id": "s"}, handed_on) == {
        "scope_id": "s",
        "stream_maps": {"talks": {"origin": None, "__else__": None}, "runs": None},
    }


def test_an_entry_of_the_file_counts_before_what_was_handed_on() -> None:
    config = {"stream_maps": {"talks": {"origin": "'x'"}}}

    assert read(config, {"talks.origin": None, "talks": "__NULL__"}) == config


@pytest.mark.parametrize("handed_on", [None, [], "x", {}, {"talks.origin": "'x'"}])
def test_where_nothing_was_lost_nothing_is_changed(handed_on: object) -> None:
    assert read({"scope_id": "s"}, handed_on) == {"scope_id": "s"}


def test_without_meltano_nothing_is_changed() -> None:
    assert with_nulls({"stream_maps": "x"}, {}) == {"stream_maps": "x"}


def test_a_name_of_an_entry_keeps_its_own_dots() -> None:
    assert apart({"talks.a.b": None, "runs": {"c.d": "1"}}) == {
        "talks": {"a.b": None},
        "runs": {"c.d": "1"},
    }
