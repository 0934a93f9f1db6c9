"""What is wrong with a configuration: settings, masks and stream maps together."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from singer_sdk.configuration._dict_config import parse_environment_config
from singer_sdk.plugin_base import JSONSchemaValidator

from tap_kommo_chats.errors import SettingsError
from tap_kommo_chats.printable import printable
from tap_kommo_chats.records.mask_paths import path_notes, path_problems
from tap_kommo_chats.settings.masks import parse_masks
from tap_kommo_chats.settings.meltano import STREAM_MAPS, apart
from tap_kommo_chats.settings.parse import parse_settings
from tap_kommo_chats.settings.unknown import unknown_settings
from tap_kommo_chats.streams.maps import map_problems

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from jsonschema.protocols import Validator

    from tap_kommo_chats.records.shape import Shape
    from tap_kommo_chats.settings.reader import Config

_FALSE = ("", "false", "0", "no", "off")

_SAID_AT_MOST = 200
_REMEDY = "write it as the documentation of the Meltano SDK does"


def judge(
    config: Config,
    schema: dict[str, Any],
    own: Container[str],
    shapes: Sequence[Shape],
) -> tuple[list[str], list[str]]:
    """Judge a configuration.

    The SDK's own check quotes the value it does not like, which may be the secret, and
    knows types only. It is kept for the settings that the SDK adds.

    Args:
        config: The configuration.
        schema: Of all settings, the SDK's too.
        own: The names of the tap's.
        shapes: What the records of all streams look like.

    Returns:
        What is wrong with it; and what an operator should know though it can be used;
        one line each.
    """
    validator = JSONSchemaValidator(schema)
    masks, problems = parse_masks(config)
    notes = path_notes(masks, shapes)
    problems += path_problems(masks, shapes)
    problems += map_problems(config.get("stream_maps"), shapes)
    problems += unknown_settings(config, schema["properties"])
    problems += [
        problem
        for name, value in config.items()
        if name in schema["properties"] and name not in own
        for problem in _problems(validator, name, {name: value})
    ]
    try:
        notes += parse_settings(config).notes
    except SettingsError as error:
        problems = [*error.problems, *problems]
    return problems, notes


def as_far_as_read(schema: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Read the settings of the environment one by one.

    One of the wrong kind stays the text that it is, so that the check names it: the SDK
    ends with a traceback, and takes what is neither true nor false for false.

    Args:
        schema: Of all settings.
        prefix: What the names of their variables begin with.
    """
    found: dict[str, Any] = {}
    for name, setting in schema["properties"].items():
        one = {"properties": {name: setting}}
        try:
            found |= parse_environment_config(one, prefix)
        except ValueError:
            found[name] = os.environ[f"{prefix}{name.upper()}"]
        if name == STREAM_MAPS and isinstance(found.get(name), dict):
            found[name] = apart(found[name])
        if found.get(name) is False:
            text = os.environ[f"{prefix}{name.upper()}"]
            found[name] = text if text.lower() not in _FALSE else False
    return found


def _problems(validator: Validator, name: str, one: dict[str, Any]) -> list[str]:
    """Say what is wrong with a setting of the SDK's, without showing its value."""
    try:
        errors = [error for error in validator.iter_errors(one) if error.path]
    except Exception:  # noqa: BLE001 (the SDK's check of maps is no match for all)
        return [f"{printable(name, _SAID_AT_MOST)} cannot be read: {_REMEDY}"]
    problems = []
    for error in errors:
        kind = "what it should be"
        if error.validator == "type":
            kinds: Any = error.validator_value
            kind = kinds if isinstance(kinds, str) else " or ".join(kinds)
        place = printable(".".join(map(str, error.path)), _SAID_AT_MOST)
        problems.append(f"{place} is not {kind}: {_REMEDY}")
    return problems
