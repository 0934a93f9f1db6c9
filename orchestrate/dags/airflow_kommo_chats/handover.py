"""What a search found, handed to the shards of its account.

A row for each talk: its conversation, its channel, and when something last happened in
it. The tap of each shard takes it as a list of conversations, and searches nothing.

Either the warehouse is asked for it: a search writes `talks`, `chat_events` and
`accounts`, and no shard does. Or the search keeps it in a file, which every warehouse
leaves room for.
"""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_kommo_chats.accounts import OF_A_CHANNEL
from airflow_kommo_chats.channels import channels_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SCHEMA = "kommo"
"""Where the loader puts its tables in PostgreSQL."""

READ = ("chat_history", "talk_messages", "conversations")
"""The streams that are the shards' own. A search has none of them, and they no other
but `runs`."""

_SEARCHES = "search_crm"
_KEPT_IN = "found_talks_file"

_OF_A_READING = OF_A_CHANNEL | {
    *("channel_secret", "api_url", "ignored_conversation_ids", _SEARCHES, _KEPT_IN),
}
"""The settings of an account that a search does not get. It knows nothing of the
channel."""

_OF_A_SEARCH = frozenset({"talk_ids", "talk_ids_requests", _SEARCHES, _KEPT_IN})
"""Those that a reading does not get."""

_OF_THE_CRM = frozenset({"crm_url", "crm_access_token", "crm_origins"})

# The talk that an event leads to is known; where it is not, all of its contact's are
# taken to have changed. Closing a talk is no activity. A talk without any event was
# found in a list, and then its last change is all that is known.
_QUERY = """
SELECT
    t.chat_id AS conversation_id,
    t.talk_id,
    t.origin,
    t.created_at,
    NULLIF(GREATEST(
        COALESCE(e.at, t.updated_at, 0), COALESCE(t.created_at, 0), COALESCE(c.at, 0)
    ), 0) AS updated_at,
    t.account_id
FROM {schema}.talks AS t
LEFT JOIN (
    SELECT account_id, talk_id, MAX(created_at) AS at
    FROM {schema}.chat_events
    WHERE type <> 'talk_closed' AND talk_id IS NOT NULL
    GROUP BY account_id, talk_id
) AS e ON e.account_id = t.account_id AND e.talk_id = t.talk_id
LEFT JOIN (
    SELECT account_id, contact_id, MAX(created_at) AS at
    FROM {schema}.chat_events
    WHERE type <> 'talk_closed' AND talk_id IS NULL AND contact_id IS NOT NULL
    GROUP BY account_id, contact_id
) AS c ON c.account_id = t.account_id AND c.contact_id = t.contact_id
WHERE t.chat_id IS NOT NULL
    AND {account}
"""

_OF_A_SCOPE = """t.account_id IN (
        SELECT account_id FROM {schema}.accounts WHERE LOWER(amojo_id) = {amojo_id}
    )"""
_OF_A_NUMBER = "t.account_id = :account_id"


class Way(Enum):
    """How what a search found reaches the shards."""

    QUERY = "the warehouse is asked"
    FILE = "a file"


def way(*, can_be_asked: bool, found_talks: str | None) -> Way | None:
    """Say how it does; None where it cannot.

    Args:
        can_be_asked: Whether the tap can ask the warehouse.
        found_talks: Where files may be that all workers reach; None for nowhere.
    """
    if found_talks:
        return Way.FILE
    return Way.QUERY if can_be_asked else None


def file_of(found_talks: str, account: str) -> str:
    """Name the file that has what the search of an account found.

    Args:
        found_talks: The folder of it, or the beginning of its URL.
        account: The account's name. Whatever it is, another one has another file, and
            none has one elsewhere.
    """
    name = quote(account, safe="")
    if name.startswith("."):
        # To some, such a name is all suffix, or hidden.
        name = f"%2E{name[1:]}"
    return f"{found_talks.rstrip('/')}/{name}.jsonl.gz"


def search_settings(
    settings: Mapping[str, Any], kept_in: str | None = None
) -> dict[str, Any]:
    """Return the settings of a search.

    Args:
        settings: Those of the account.
        kept_in: The file in which it keeps what it finds; None for none.
    """
    left_out = set(_OF_A_READING)
    if channels_of(settings).own:
        # Without its channel, only a search of all channels finds those of it.
        left_out.add("native_channels")
    return {
        **{name: settings[name] for name in settings if name not in left_out},
        **({_KEPT_IN: kept_in} if kept_in else {}),
        "_select": json.dumps(["*.*", *(f"!{stream}.*" for stream in READ)]),
    }


def asking_settings(settings: Mapping[str, Any], url: str) -> dict[str, Any]:
    """Return the settings of a shard that asks the warehouse what a search found.

    Args:
        settings: Those of the account.
        url: SQLAlchemy's URL of the warehouse.
    """
    found = {"conversations_sql_url": url, "conversations_sql_query": query(settings)}
    if "scope_id" in settings and not channels_of(settings).native:
        # All that it is told is of its channel, and nothing is left to ask the CRM for.
        return {**_reading(settings, _OF_A_SEARCH | _OF_THE_CRM), **found}
    return {**_reading(settings, _OF_A_SEARCH), **found, _SEARCHES: False}


def file_settings(settings: Mapping[str, Any], kept_in: str) -> dict[str, Any]:
    """Return the settings of a shard that reads from a file what a search found.

    Args:
        settings: Those of the account.
        kept_in: The file.
    """
    found = {"conversations_file": kept_in, _SEARCHES: False}
    return {**_reading(settings, _OF_A_SEARCH), **found}


def _reading(settings: Mapping[str, Any], left_out: frozenset[str]) -> dict[str, Any]:
    return {
        **{name: settings[name] for name in settings if name not in left_out},
        "_select": json.dumps([*(f"{stream}.*" for stream in READ), "runs.*"]),
    }


def query(settings: Mapping[str, Any]) -> str:
    """Write the query of what a search found.

    Args:
        settings: Those of the account: its channels, and the scope, whose second half
            tells the account. Where there is none, the tap puts Kommo's number of it in
            the place of `:account_id`.
    """
    scope_id = settings.get("scope_id")
    account = (
        _OF_A_SCOPE.format(
            schema=SCHEMA, amojo_id=_quoted(scope_id.rpartition("_")[2].lower())
        )
        if isinstance(scope_id, str)
        else _OF_A_NUMBER
    )
    return _QUERY.format(schema=SCHEMA, account=account) + _of_channels(settings)


def _of_channels(settings: Mapping[str, Any]) -> str:
    channels = channels_of(settings)
    if channels.are_all:
        return ""
    origins = {*channels.own, *channels.native}
    if channels.own:
        # To the tap, a talk that tells none is of the channel of one's own.
        origins.add("")
    return f"    AND COALESCE(t.origin, '') IN ({_list(sorted(origins))})\n"


def _list(texts: Iterable[str]) -> str:
    return ", ".join(map(_quoted, texts))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
