"""Which texts of a configuration may not be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_kommo_chats.redaction import url_secrets
from tap_kommo_chats.settings.schema import SETTINGS_SCHEMA

if TYPE_CHECKING:
    from tap_kommo_chats.settings.reader import Config

_ADDRESSES = ("_url", "_file")
"""How the names of settings end whose values may be addresses with secrets in them."""


def secrets_of(config: Config) -> set[str]:
    """Gather the values of secret settings, and what is secret in an address.

    Args:
        config: A configuration, of which nothing was checked yet.
    """
    found: set[str] = set()
    for name, setting in SETTINGS_SCHEMA["properties"].items():
        value = config.get(name)
        if setting.get("secret") and isinstance(value, str | int):
            found.add(str(value))
        if name.endswith(_ADDRESSES) and isinstance(value, str):
            found |= url_secrets(value)
    return found
