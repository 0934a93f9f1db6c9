"""What is said of names that are no settings."""

from __future__ import annotations

import pytest

from tap_kommo_chats.settings.unknown import (
    unknown_settings,
    unknown_variables,
    unread_variables,
)
from tap_kommo_chats.tap import TapKommoChats

PREFIX = "TAP_KOMMO_CHATS_"
KNOWN = TapKommoChats(config={}, validate_config=False).config_jsonschema["properties"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("requests_per_secnd", "requests_per_second"),
        ("drop_field", "drop_fields"),
        ("Channel_Secret", "channel_secret"),
        ("stream_map", "stream_maps"),
        ("flatten_enabled", "flattening_enabled"),
    ],
)
def test_a_name_that_is_nearly_a_setting_is_told_with_that(
    name: str, meant: str
) -> None:
    (problem,) = unknown_settings({name: 1, "scope_id": "x"}, KNOWN)

    assert problem == f"{name} is no setting of the tap: write {meant}"


def test_a_name_that_is_like_no_setting_is_to_be_taken_out() -> None:
    (problem,) = unknown_settings({"zzzz\n": 1}, KNOWN)

    assert problem == "zzzz\\n is no setting of the tap: take it out"


def test_settings_of_the_sdk_are_settings() -> None:
    names = ("stream_maps", "stream_map_config", "faker_config", "flattening_separator")

    assert not list(unknown_settings(dict.fromkeys(names), KNOWN))


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("REQUESTS_PER_SECND", "REQUESTS_PER_SECOND"),
        ("DROP_FIELD", "DROP_FIELDS"),
        ("_DROP_FIELDS", "DROP_FIELDS"),
        ("DROP__FIELDS", "DROP_FIELDS"),
    ],
)
def test_a_variable_that_is_nearly_a_setting_is_told(variable: str, meant: str) -> None:
    (note,) = unknown_variables([f"{PREFIX}{variable}"], PREFIX, KNOWN)

    assert note == (
        f"{PREFIX}{variable} is set and is no setting of the tap: is {PREFIX}{meant} "
        "meant?"
    )


@pytest.mark.parametrize(
    "variable",
    [
        *(
            "TAP_KOMMO_CHATS_SCOPE_ID",
            "TAP_KOMMO_CHATS_LOGLEVEL",
            "TAP_KOMMO_X",
            "HOME",
        ),
        *("TAP_KOMMO_CHATS__SELECT", "TAP_KOMMO_CHATS__LOAD_SCHEMA"),
        # Of plugins that inherit from the tap.
        *("TAP_KOMMO_CHATS__1_SHARD", "TAP_KOMMO_CHATS_NORTH_CRM_URL"),
        "TAP_KOMMO_CHATS_NORTH__USE_CACHED_CATALOG",
        "TAP_KOMMO_CHATS_STREAM_MAPS_TALKS_ORIGIN",
    ],
)
def test_a_variable_of_meltanos_or_of_others_is_left_alone(variable: str) -> None:
    assert not list(unknown_variables([variable], PREFIX, KNOWN))


def test_a_setting_of_the_environment_that_was_not_read_is_told() -> None:
    variables = [f"{PREFIX}{name}" for name in ("SCOPE_ID", "DROP_FIELDS", "LOGLEVEL")]

    (note,) = unread_variables(variables, PREFIX, KNOWN, {"scope_id": "x"})

    assert note.startswith("TAP_KOMMO_CHATS_DROP_FIELDS is set and was not read: write")
