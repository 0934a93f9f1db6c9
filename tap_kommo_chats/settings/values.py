"""What the settings say, once they were found fit to run with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tap_kommo_chats.sharding import Shard


@dataclass(frozen=True, slots=True, repr=False)
class SQLSettings:
    """A query that lists conversations.

    Attributes:
        url: SQLAlchemy's URL of the database.
        query: What to ask it.
    """

    url: str
    query: str


@dataclass(frozen=True, slots=True, repr=False)
class CrmSettings:
    """The CRM to find conversations in.

    Attributes:
        url: Scheme, host and port, with no slash at the end.
        access_token: The bearer token.
        origins: The channels whose conversations are read.
    """

    url: str
    access_token: str
    origins: frozenset[str]


@dataclass(frozen=True, slots=True, repr=False)
class MaskSettings:
    """What of the records does not leave as it is. Its `repr` shows no value.

    Attributes:
        dropped: Dotted paths of fields that are left out.
        hashed: Dotted paths of fields of which a keyed hash leaves.
        secret: The key of the hashes.
    """

    dropped: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()
    secret: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """Settings that are fit to run with. Its `repr` shows no value.

    Attributes:
        channel_secret: Signs every request.
        scope_id: One channel connected to one account.
        conversation_ids: Conversations to read, each once, in the given order.
        conversations_file: Where a list of conversations is; None for none.
        sql: A query that lists conversations; None for none.
        crm: The CRM to find conversations in; None for none.
        ignored_conversation_ids: Conversations that are not read, whoever names them.
        shard: Which part of them to read.
        api_url: Scheme, host and port of the Chats API, with no slash at the end.
        start_ms: Messages sent before it are not wanted, in milliseconds since 1970;
            None for all.
        request_timeout: Seconds to wait for the server to connect or send something.
        lookback_ms: How long before the last reading of a conversation a message may
            have been sent and still be late or edited, in milliseconds.
        max_concurrency: How many conversations are read at once.
        requests_per_second: How many requests of this run may reach one of Kommo's
            hosts in any second; 0 for no limit.
        notes: What an operator should know though the run goes on, one line each.
    """

    channel_secret: str
    scope_id: str
    conversation_ids: tuple[str, ...]
    conversations_file: str | None
    sql: SQLSettings | None
    crm: CrmSettings | None
    ignored_conversation_ids: frozenset[str]
    shard: Shard
    api_url: str
    start_ms: int | None
    request_timeout: int
    lookback_ms: int
    max_concurrency: int
    requests_per_second: int
    notes: tuple[str, ...]
