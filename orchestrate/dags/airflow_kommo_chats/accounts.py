"""What the Variable `kommo_accounts` and the connection `kommo` say of an account.

All of it is pure: the values come in as Airflow gives them.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_kommo_chats.mistakes import MistakeError

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "kommo_accounts"
CONNECTION = "kommo"

# The pool has a slot for each request a second that Kommo allows one address: 7. Each
# task takes one slot and makes one request a second, to the Chats API and to the CRM
# each, so whatever runs at once keeps to the limit of both. An account that needs more
# of it gets more shards.
POOL = "kommo"
SLOTS = 7
REQUESTS_PER_SECOND = 1

SHARDS = "shards"

# What the Variable may say of an account: what is read, and how. All else comes from
# the connection, as secrets do, so that nobody who may write only the Variable can send
# one to a host, or to a query, of their own. Names that are not here are refused too:
# Meltano has some that run a program or read a file.
OF_THE_VARIABLE = frozenset(
    {
        *("scope_id", "channel_id", "native_channels"),
        *("conversation_ids", "ignored_conversation_ids"),
        *("start_date", "lookback_days", "request_timeout", "max_concurrency"),
        *("drop_fields", "hash_fields"),
        SHARDS,
    }
)

# What says that an account has a channel of one's own, which needs the secret.
OF_A_CHANNEL = frozenset(
    {
        *("scope_id", "channel_id", "conversation_ids", "conversations_file"),
        *("conversations_sql_url", "conversations_sql_query", "crm_origins"),
    }
)


def shards_of(account: object) -> int:
    """Return how many tasks share an account.

    Args:
        account: What the Variable says of it.

    Raises:
        MistakeError: If it is not as it should be.
    """
    shards = account.get(SHARDS, 1) if isinstance(account, dict) else None
    if not isinstance(shards, int) or isinstance(shards, bool) or shards < 1:
        message = (
            f"In the Variable {VARIABLE}, an account is an object with settings of "
            f'the tap and, where it is shared, "{SHARDS}": a whole number from 1 on'
        )
        raise MistakeError(message)
    return shards


def settings_of(name: str, account: object, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said of an account, in both places.

    Args:
        name: The account's name.
        account: What the Variable says of it.
        extra: The extra of the connection.

    Returns:
        The tap's settings, without the channel's secret.

    Raises:
        MistakeError: If it is not as it should be, or the Variable says what it may
            not.
    """
    shards_of(account)
    given: dict[str, Any] = account if isinstance(account, dict) else {}
    if refused := sorted(given.keys() - OF_THE_VARIABLE):
        message = (
            f"In the Variable {VARIABLE}, {name!r} has "
            f"{', '.join(map(repr, refused))}: what is secret, or says where secrets "
            f"go, belongs into the extra of the connection {CONNECTION}, under the "
            "account"
        )
        raise MistakeError(message)
    more = extra.get(name, {})
    if not isinstance(more, dict):
        message = (
            f"In the extra of the connection {CONNECTION}, {name!r} is not an object "
            "of settings"
        )
        raise MistakeError(message)
    settings = {**given, **more}
    settings.pop(SHARDS, None)
    return {key: value for key, value in settings.items() if value is not None}


def with_secret(settings: Mapping[str, Any], secret: str | None) -> dict[str, Any]:
    """Add the channel's secret, where there is a channel.

    Args:
        settings: Those of an account.
        secret: The password of the connection.

    Raises:
        MistakeError: If there is a channel, and no secret.
    """
    # Without the CRM nothing but a channel can be meant.
    if "crm_url" in settings and not settings.keys() & OF_A_CHANNEL:
        return dict(settings)
    if not secret:
        message = (
            f"The connection {CONNECTION} has no password: write the channel's secret. "
            "An account without a channel of its own needs none, but crm_url and "
            "crm_access_token"
        )
        raise MistakeError(message)
    return {"channel_secret": secret, **settings}


def as_read(value: object) -> object:
    """Read the value of a setting as the tap does: a list may be the text of one."""
    if isinstance(value, str):
        with suppress(ValueError):
            return json.loads(value.lower() if value.isalpha() else value)
    return value


def variables(settings: Mapping[str, Any]) -> dict[str, str]:
    """Write the tap's settings as environment variables."""
    return {
        f"TAP_KOMMO_CHATS_{name.upper()}": value
        if isinstance(value, str)
        else json.dumps(value)
        for name, value in settings.items()
    }


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Leave out settings of tap and target."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(("TAP_", "TARGET_"))
    }
