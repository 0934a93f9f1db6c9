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


BEGINNING = ("info", TAP, "Beginning sync of 'chat_history' in incremental mode")


def test_the_reason_is_the_taps_own_last_line_whatever_others_say_after_it() -> None:
    words = heard(
        BEGINNING,
        ("error", TAP, "a conversation failed"),
        ("critical", TAP, "Not everything was delivered"),
        ("error", "target-postgres", "no more input"),
        ("error", "", "Extractor failed"),
    )

    assert words.reason == "Not everything was delivered"
    assert not words.is_mistake


def test_the_reason_is_the_loaders_where_the_tap_has_none() -> None:
    words = heard(("error", "target-postgres", "no such host"), ("info", TAP, "read"))

    assert words.reason == "target-postgres: no such host"
    assert not words.is_mistake


def test_a_tap_that_never_began_was_given_what_cannot_be_and_names_all_of_it() -> None:
    words = heard(
        ("critical", TAP, "channel_secret is missing"),
        ("critical", TAP, "scope_id is missing"),
        ("error", TAP, "Config validation failed"),
        ("error", "", "Extractor failed"),
    )

    assert words.is_mistake
    assert words.reason == "channel_secret is missing; scope_id is missing"


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
