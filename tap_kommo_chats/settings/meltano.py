"""Stream maps as Meltano hands them on. Pure.

In `meltano.yml` a null says that a setting is not set, so Meltano leaves `sender: null`
out of the file of settings: what it was to keep out would be loaded. The variable that
Meltano sets beside it has the entry, with the names that lead to it joined by dots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_kommo_chats.settings.reader import Config

STREAM_MAPS = "stream_maps"
_VARIABLE = "MELTANO_EXTRACT_STREAM_MAPS"
"""What Meltano, and nobody else, sets for the extractor that it starts."""


def with_nulls(config: Config, environment: Mapping[str, str]) -> dict[str, Any]:
    """Put back what Meltano left out of the stream maps.

    Args:
        config: What is in the file of settings.
        environment: What Meltano set beside it.
    """
    try:
        given = msgspec.json.decode(environment.get(_VARIABLE, ""))
    except ValueError:
        given = None
    read: dict[str, Any] = dict(config)
    maps = config.get(STREAM_MAPS, {})
    if not isinstance(given, dict) or not isinstance(maps, dict):
        return read
    whole: dict[str, Any] = dict(maps)
    for alias, rules in apart(given).items():
        if rules is None:
            whole.setdefault(alias, None)
        elif isinstance(rules, dict):
            kept = whole.get(alias, {})
            lost = {name: None for name, rule in rules.items() if rule is None}
            if lost and isinstance(kept, dict):
                whole[alias] = lost | kept
    if whole:
        read[STREAM_MAPS] = whole
    return read


def apart(maps: Mapping[str, Any]) -> dict[str, Any]:
    """Take apart the names that Meltano joined: a stream's, and that of an entry."""
    found: dict[str, Any] = {}
    for name, rule in maps.items():
        stream, dot, entry = name.partition(".")
        if not dot:
            known = found.get(name)
            known = known if isinstance(known, dict) else {}
            found[name] = {**known, **rule} if isinstance(rule, dict) else rule
        elif isinstance(found.setdefault(stream, {}), dict):
            found[stream][entry] = rule
    return found
