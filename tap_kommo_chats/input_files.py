"""The files that the command line names: settings, state and catalog."""

from __future__ import annotations

from typing import Any

import click
from singer_sdk.helpers._util import load_json

from tap_kommo_chats.errors import SettingsError
from tap_kommo_chats.printable import printable

_REMEDIES = {
    "--config": "name a file with the settings, as one JSON object",
    "--state": "name the last good state, or leave it out to read everything",
    "--catalog": "name what --discover printed, or leave it out",
}
"""By option, what to do about its file."""

_SHOWN_AT_MOST = 200
"""Characters of a path that are shown."""

_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "true or false",
    str: "a text",
    list: "a list",
}


def read_object(option: str, path: str) -> dict[str, Any]:
    """Read a JSON object from a file.

    Args:
        option: The option that names it.
        path: The file; `-` for standard input.

    Raises:
        SettingsError: If it cannot be read. The line names option, file and remedy, and
            shows nothing of what is in it, which may be secret.
    """
    try:
        with click.open_file(path, encoding="utf-8") as file:
            text = file.read()
        value: object = load_json(text) if text.strip() else _NOTHING
    except (OSError, ValueError, RecursionError) as error:
        flaw = _flaw(error)
    else:
        if isinstance(value, dict):
            return value
        what = _KINDS.get(type(value), "a number")
        flaw = "is empty" if value is _NOTHING else f"holds {what} and no JSON object"
    shown = printable(path, _SHOWN_AT_MOST)
    problem = f"{option} names {shown}, which {flaw}: {_REMEDIES[option]}"
    raise SettingsError([problem])


_NOTHING = object()


def _flaw(error: Exception) -> str:
    """Say why a file cannot be read."""
    if isinstance(error, FileNotFoundError):
        return "is not there"
    if isinstance(error, OSError):
        return f"cannot be read ({error.strerror or type(error).__name__})"
    if isinstance(error, UnicodeDecodeError):
        return "is no text in UTF-8"
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    line, column = getattr(error, "lineno", None), getattr(error, "colno", None)
    where = "" if line is None else f" (line {line}, column {column})"
    return f"is no JSON{where}"
