"""Which of the settings can be used, where not all can. Pure.

Who does not know the origins of the account yet has no settings that a run could use,
and is to be told them all the same.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_kommo_chats.errors import SettingsError
from tap_kommo_chats.settings.parse import parse_settings

if TYPE_CHECKING:
    from tap_kommo_chats.settings.reader import Config
    from tap_kommo_chats.settings.values import Settings

_CRM = ("crm_url", "crm_access_token")
_CHANNEL = ("channel_secret", "scope_id", "channel_id", "api_url")
_PACE = ("request_timeout", "requests_per_second")
_NATIVE = ("native_channels",)

_ANY_ORIGIN = {"crm_origins": ["amo.ext.0"]}
_ANY_CHAT = {"conversation_ids": ["30477717-9f3c-4d3f-8101-60327e14dc48"]}
"""Something that stands where a setting is needed that is not looked at."""


@dataclass(frozen=True, slots=True)
class Usable:
    """What can be asked with a configuration.

    Attributes:
        whole: All settings; None when some cannot be used.
        crm: Those that reach the CRM; None when there is none, or they do not.
        channel: Those that reach the channel of one's own; None in the same way.
    """

    whole: Settings | None
    crm: Settings | None
    channel: Settings | None


def usable_settings(config: Config) -> Usable:
    """Say what can be asked with a configuration, whatever is wrong with it."""
    whole = _first(config)
    if whole is not None:
        return Usable(
            whole,
            whole if whole.crm is not None else None,
            whole if whole.has_channel else None,
        )
    crm, pace = _of(config, _CRM), _of(config, _PACE)
    channel = _of(config, _CHANNEL)
    return Usable(
        None,
        _first(
            crm | pace | _of(config, _NATIVE), crm | _of(config, _NATIVE), crm | pace
        ),
        _first(
            channel | pace | _ANY_CHAT,
            channel | _ANY_CHAT,
            channel | crm | pace | _ANY_ORIGIN,
        )
        if "channel_secret" in channel
        else None,
    )


def _first(*configs: Config) -> Settings | None:
    """Return the settings of the first configuration that can be used."""
    for config in configs:
        with suppress(SettingsError):
            return parse_settings(config)
    return None


def _of(config: Config, names: tuple[str, ...]) -> dict[str, object]:
    return {name: config[name] for name in names if config.get(name) is not None}
