"""The hosts of Kommo, as the settings say how to ask them."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from tap_kommo_chats.kommo.host import Host
from tap_kommo_chats.kommo.limiter import RequestLimiter

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_kommo_chats.settings.values import Settings

PACKAGE = "tap-kommo-chats"


def host_at(
    url: str,
    setting: str,
    settings: Settings,
    on_request: Callable[[], None] = lambda: None,
    attempts: int | None = None,
) -> Host:
    """Make a host. Each has a limiter of its own, because Kommo counts them apart.

    Args:
        url: Scheme, host and port.
        setting: The setting that says so.
        settings: Say how long to wait, and how often to ask.
        on_request: Called before each request, in the thread that sends it.
        attempts: How often something is asked for; None for as often as a run does.
    """
    return Host(
        url,
        setting,
        f"{PACKAGE}/{version(PACKAGE)}",
        settings.request_timeout,
        RequestLimiter(settings.requests_per_second),
        on_request,
        attempts=attempts,
    )
