"""Which channels of an account are looked at, as the tap reads its settings. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_kommo_chats.accounts import as_read
from airflow_kommo_chats.mistakes import MistakeError

if TYPE_CHECKING:
    from collections.abc import Mapping

_EVERY = "*"


@dataclass(frozen=True)
class Channels:
    """What Kommo calls the channels that are looked at.

    Attributes:
        own: The origins of the channel of one's own.
        native: Those of channels whose talks are read through the CRM; `*` is every
            one that is not one's own.
    """

    own: tuple[str, ...] = ()
    native: tuple[str, ...] = ()

    @property
    def are_all(self) -> bool:
        """Whether there is no channel that is not looked at."""
        return _EVERY in self.native


def channels_of(settings: Mapping[str, Any]) -> Channels:
    """Read the channels of an account.

    Args:
        settings: Its settings.

    Raises:
        MistakeError: If they are not as they should be.
    """
    native = as_read(settings.get("native_channels"))
    return Channels(
        _origins("crm_origins", as_read(settings.get("crm_origins"))),
        (_EVERY,) if native is True else _origins("native_channels", native),
    )


def _origins(name: str, value: object) -> tuple[str, ...]:
    if value is None or value is False:
        return ()
    if isinstance(value, list) and all(isinstance(origin, str) for origin in value):
        return tuple(origin.strip() for origin in value)
    message = f"{name} is no list of origins"
    raise MistakeError(message)
