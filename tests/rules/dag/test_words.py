"""Why a run failed, as its log tells."""

from __future__ import annotations

import json

from airflow_kommo_chats.words import TAP, Words, read_line


def heard(*lines: tuple[str, str, str]) -> Words:
    words = Words()
    for level, plugin, text in lines:
        given = {"level": level, "event": text, "name": plugin}
        words.hear(read_line(json.dumps(given)))
    return words


def test_the_reason_is_the_taps_own_last_line_whatever_others_say_after_it() -> None:
    words = heard(
        ("warning", TAP, "a conversation failed"),
        ("critical", TAP, "Not everything was delivered"),
        ("error", "target-postgres", "no more input"),
        ("error", "", "Extractor failed"),
    )

    assert words.reason == "Not everything was delivered"


def test_the_reason_is_the_loaders_where_the_tap_has_none() -> None:
    words = heard(("error", "target-postgres", "no such host"), ("info", TAP, "read"))

    assert words.reason == "target-postgres: no such host"


def test_settings_are_to_blame_where_the_tap_says_so_and_all_are_named() -> None:
    words = Words()
    for text in ("channel_secret is missing", "scope_id is missing"):
        given = {"level": "critical", "event": text, "name": TAP, "kind": "settings"}
        words.hear(read_line(json.dumps(given)))

    assert words.is_mistake
    assert words.reason == "channel_secret is missing; scope_id is missing"
    assert not heard(("critical", TAP, "The token has ended")).is_mistake


def test_another_run_that_holds_the_state_is_noticed() -> None:
    said = "Another 'kommo-north-1of1' pipeline is already running"

    assert heard(("error", "meltano", said)).is_held
    assert not heard(("info", "meltano", said)).is_held


def test_what_is_written_for_monitors_is_not_for_people() -> None:
    line = json.dumps({"level": "info", "name": TAP, "event": "METRIC"})

    assert not read_line(line).is_for_people


def test_a_line_that_is_no_json_is_kept_as_it_is() -> None:
    for raw in ("Traceback:", "[1]", '{"level": "error"}'):
        assert str(read_line(raw)) == raw
