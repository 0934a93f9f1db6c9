"""What a search found, handed to the shards by the warehouse itself.

A search writes `talks`, `chat_events` and `accounts`, and no shard does. So these say
of each conversation what the search knew: its channel, and when something last happened
in it. The tap of each shard asks them, as it asks any database that lists
conversations, and so needs no disk that is shared, and no CRM.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_kommo_chats.accounts import OF_A_CHANNEL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SCHEMA = "kommo"
"""Where the loader puts its tables in PostgreSQL."""

OF_A_READING = OF_A_CHANNEL | {
    *("channel_secret", "api_url", "native_channels", "ignored_conversation_ids"),
}
"""The settings of an account that a search does not get. It knows nothing of the
channel."""

READ = ("chat_history", "talk_messages", "conversations")
"""The streams that are the shards' own. A search has none of them, and they no other
but `runs`."""

# The talk that an event leads to is known; where it is not, all of its contact's are
# taken to have changed. Closing a talk is no activity. A talk without any event was
# found in a list, and then its last change is all that is known.
_QUERY = """
SELECT
    t.chat_id AS conversation_id,
    NULLIF(MAX(GREATEST(
        COALESCE(e.at, t.updated_at, 0), COALESCE(t.created_at, 0), COALESCE(c.at, 0)
    )), 0) AS updated_at,
    MAX(t.account_id) AS account_id
FROM {schema}.talks AS t
JOIN {schema}.accounts AS a ON a.account_id = t.account_id
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
    AND LOWER(a.amojo_id) = {amojo_id} AND t.origin IN ({origins})
GROUP BY t.chat_id
"""


def search_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a search.

    Args:
        settings: Those of the account.
    """
    return {
        **{name: settings[name] for name in settings if name not in OF_A_READING},
        "_select": json.dumps(["*.*", *(f"!{stream}.*" for stream in READ)]),
    }


def reading_settings(settings: Mapping[str, Any], url: str) -> dict[str, Any]:
    """Return the settings of a shard's reading.

    Args:
        settings: Those of the account.
        url: SQLAlchemy's URL of the warehouse.
    """
    of_the_crm = {"crm_url", "crm_access_token", "crm_origins"}
    return {
        **{name: settings[name] for name in settings if name not in of_the_crm},
        "conversations_sql_url": url,
        "conversations_sql_query": query(settings["scope_id"], settings["crm_origins"]),
        "_select": json.dumps([*(f"{stream}.*" for stream in READ), "runs.*"]),
    }


def query(scope_id: str, origins: Iterable[str]) -> str:
    """Write the query of an account's conversations.

    Args:
        scope_id: The channel in the account, whose half tells the account.
        origins: The origins of the channel's talks.
    """
    return _QUERY.format(
        schema=SCHEMA,
        amojo_id=_quoted(scope_id.rpartition("_")[2].lower()),
        origins=", ".join(map(_quoted, origins)),
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
