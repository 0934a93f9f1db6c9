"""What the settings say, once they were found fit to run with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tap_kommo_chats.origins import Origins
    from tap_kommo_chats.sharding import Shard


ACCOUNT_ID = re.compile(r"(?<!:):account_id\b")
"""What stands in a query for Kommo's number of the account."""


@dataclass(frozen=True, slots=True, repr=False)
class SQLSettings:
    """A query that lists conversations.

    Attributes:
        url: SQLAlchemy's URL of the database.
        query: What to ask it.
    """

    url: str
    query: str

    @property
    def needs_account(self) -> bool:
        """Whether the query asks for one account's conversations."""
        return ACCOUNT_ID.search(self.query) is not None

    def query_of(self, account_id: int) -> str:
        """Write the query for an account, by Kommo's number of it."""
        return ACCOUNT_ID.sub(str(account_id), self.query)


@dataclass(frozen=True, slots=True)
class TalkNumbers:
    """Talks that are asked for by their numbers.

    Attributes:
        first: The first number.
        last: The last one.
        requests: How many requests one run may make for them.
    """

    first: int
    last: int
    requests: int


@dataclass(frozen=True, slots=True, repr=False)
class CrmSettings:
    """The account's CRM.

    Attributes:
        url: Scheme, host and port, with no slash at the end.
        access_token: The bearer token.
        origins: The channels that are looked at.
        reads_native: Whether the messages of the native ones are read.
        numbers: Which talks are asked for by their numbers; None for none.
        is_searched: Whether it is searched for what changed. Where it is not, lists
            name what another run's search found.
        found_talks_file: Where what searches find is kept; None for nowhere.
    """

    url: str
    access_token: str
    origins: Origins
    reads_native: bool = False
    numbers: TalkNumbers | None = None
    is_searched: bool = True
    found_talks_file: str | None = None


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
        channel_secret: Signs every request to the Chats API; None where no channel of
            one's own is read.
        scope_id: That channel connected to one account; None where there is none, or
            the account tells it.
        channel_id: The channel alone; None where there is none, or `scope_id` has it.
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

    channel_secret: str | None
    scope_id: str | None
    channel_id: str | None
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

    @property
    def has_channel(self) -> bool:
        """Whether a channel of one's own is read."""
        return self.channel_secret is not None

    @property
    def searches(self) -> bool:
        """Whether the run searches a CRM for what changed."""
        return self.crm is not None and self.crm.is_searched
