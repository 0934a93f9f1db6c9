"""What is set and is no setting. Pure.

A name that is nearly one (`drop_field`) would otherwise be passed over in silence, and
what it was to keep out would be loaded.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from tap_kommo_chats.printable import printable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from tap_kommo_chats.settings.reader import Config

_SHOWN_AT_MOST = 60
"""Characters of a name that are shown."""

_LIKENESS = 0.6
"""From 0 to 1; as alike two names have to be that one may be meant by the other."""

_LOG_LEVEL = "loglevel"
"""What the SDK takes from the environment and is no setting."""

_EXTRAS = (
    *("_catalog", "_load_schema", "_log_parser", "_metadata", "_schema", "_select"),
    *("_select_filter", "_state", "_use_cached_catalog"),
)
"""What Meltano knows of any tap, beside its settings."""

_OBJECTS = ("stream_maps", "stream_map_config", "faker_config")
"""Settings of which Meltano hands on each part as a variable of its own, too."""


def unknown_settings(config: Config, known: Collection[str]) -> Iterator[str]:
    """Say which entries of a configuration are no settings, one line each.

    Args:
        config: The configuration.
        known: The names of all settings.
    """
    for name in config:
        if name not in known:
            shown = printable(name, _SHOWN_AT_MOST)
            meant = _nearest(name, known)
            remedy = "take it out" if meant is None else f"write {meant}"
            yield f"{shown} is no setting of the tap: {remedy}"


def unknown_variables(
    variables: Iterable[str], prefix: str, known: Collection[str]
) -> Iterator[str]:
    """Say which variables look like settings and are none, one line each.

    Meltano has more of them: its own extras (`TAP_KOMMO_CHATS__SELECT`), and the
    settings of a plugin that inherits from the tap (`TAP_KOMMO_CHATS_NORTH_CRM_URL`).

    Args:
        variables: Their names.
        prefix: What the names of settings begin with there.
        known: The names of all settings.
    """
    for variable in variables:
        name = variable.removeprefix(prefix).lower()
        if name == variable.lower() or _is_of_others(name, known):
            continue
        meant = _nearest(name, known)
        remedy = (
            "take it out" if meant is None else f"is {prefix}{meant.upper()} meant?"
        )
        shown = printable(variable, len(prefix) + _SHOWN_AT_MOST)
        yield f"{shown} is set and is no setting of the tap: {remedy}"


def unread_variables(
    variables: Iterable[str], prefix: str, known: Collection[str], config: Config
) -> Iterator[str]:
    """Say which settings are in the environment and nowhere else, one line each.

    Args:
        variables: The names of those that have a value.
        prefix: What the names of settings begin with there.
        known: The names of all settings.
        config: The configuration. Where the environment was read, it has them.
    """
    for variable in variables:
        name = variable.removeprefix(prefix).lower()
        if name != variable.lower() and name in known and name not in config:
            yield (
                f"{variable} is set and was not read: write it into the file of "
                "--config, or add --config ENV"
            )


def _is_of_others(name: str, known: Collection[str]) -> bool:
    if name in known or name == _LOG_LEVEL:
        return True
    if name.lstrip("_") in known:
        return False
    return name.startswith(tuple(f"{each}_" for each in _OBJECTS)) or name.endswith(
        (*_EXTRAS, *(f"_{each}" for each in known))
    )


def _nearest(name: str, known: Collection[str]) -> str | None:
    """Find the setting that is meant by a name; None where none is like it."""
    return next(iter(get_close_matches(name.lower(), known, 1, _LIKENESS)), None)
