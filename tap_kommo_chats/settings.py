"""The tap's settings: what they are, and what is wrong with the ones given.

No message here repeats a value of a secret setting, whatever its type.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from singer_sdk import typing as th

from tap_kommo_chats.identifiers import UUID, normal_id, segment_flaw
from tap_kommo_chats.sharding import WHOLE, Shard
from tap_kommo_chats.sources.file import file_format

Config: TypeAlias = Mapping[str, Any]

DEFAULT_API_URL = "https://amojo.kommo.com"
DEFAULT_REQUEST_TIMEOUT = 30
DEFAULT_LOOKBACK_DAYS = 1
DEFAULT_MAX_CONCURRENCY = 8
DEFAULT_REQUESTS_PER_SECOND = 7

SETTINGS_SCHEMA: dict[str, Any] = th.PropertiesList(
    th.Property(
        "channel_secret",
        th.StringType,
        required=True,
        secret=True,
        title="Channel secret",
        description="The secret of your chat channel. It signs every request.",
    ),
    th.Property(
        "scope_id",
        th.StringType,
        required=True,
        title="Scope id",
        description="The channel in one account: {channel_id}_{account's amojo_id}. "
        "Kommo returns it when the channel is connected to the account.",
    ),
    th.Property(
        "conversation_ids",
        th.ArrayType(th.StringType),
        title="Conversation ids",
        description="Kommo's UUIDs of the conversations to read: the chat_id of a "
        "talk, or message.conversation.id of a chat webhook.",
    ),
    th.Property(
        "conversations_file",
        th.StringType,
        title="Conversations file",
        description="A path or a URL of a list of conversations: .txt with one id a "
        "line, .csv or .jsonl with conversation_id and perhaps updated_at. With .gz "
        "at the end it is unpacked.",
    ),
    th.Property(
        "conversations_sql_url",
        th.StringType,
        secret=True,
        title="Conversations database",
        description="SQLAlchemy's URL of a database that lists conversations, such as "
        "postgresql://user:password@host:5432/database.",
    ),
    th.Property(
        "conversations_sql_query",
        th.StringType,
        title="Conversations query",
        description="A SELECT with the columns conversation_id and perhaps "
        "updated_at, the time when something last happened.",
    ),
    th.Property(
        "crm_url",
        th.StringType,
        title="CRM URL",
        description="Your account's address, such as https://example.kommo.com, to "
        "find conversations, and which of them changed, through chat events.",
    ),
    th.Property(
        "crm_access_token",
        th.StringType,
        secret=True,
        title="CRM access token",
        description="A long-lived token of a private integration in that account, "
        "made by an administrator.",
    ),
    th.Property(
        "crm_origins",
        th.ArrayType(th.StringType),
        title="CRM origins",
        description="The origins of your channel's talks, such as "
        "amo.ext.12345678. Those of other channels are left out.",
    ),
    th.Property(
        "shard",
        th.StringType,
        title="Shard",
        description="Which part of the conversations to read, such as 2/8 for the "
        "second of eight. Each part has a state of its own, and takes so many parts "
        "of requests_per_second, but at least 1.",
    ),
    th.Property(
        "api_url",
        th.StringType,
        default=DEFAULT_API_URL,
        title="Chats API URL",
        description="Where the Chats API is. Accounts on amoCRM's own domains use "
        "https://amojo.amocrm.ru or https://amojo.amocrm.com.",
    ),
    th.Property(
        "start_date",
        th.DateTimeType,
        title="Start date",
        description="Messages sent before it are neither read nor emitted, such as "
        "2024-01-01T00:00:00Z. Without it, everything is read.",
    ),
    th.Property(
        "request_timeout",
        th.IntegerType,
        default=DEFAULT_REQUEST_TIMEOUT,
        title="Request timeout",
        description="Seconds to wait for the server to connect or to send something.",
    ),
    th.Property(
        "lookback_days",
        th.IntegerType,
        default=DEFAULT_LOOKBACK_DAYS,
        title="Look-back",
        description="Days before the last complete run in which messages are read "
        "again, so that late and edited ones are found. 0 turns it off.",
    ),
    th.Property(
        "max_concurrency",
        th.IntegerType,
        default=DEFAULT_MAX_CONCURRENCY,
        title="Concurrency",
        description="How many conversations are read at once.",
    ),
    th.Property(
        "requests_per_second",
        th.IntegerType,
        default=DEFAULT_REQUESTS_PER_SECOND,
        title="Requests per second",
        description="How many requests may reach Kommo in any second, all workers "
        "together. 0 turns the limit off. Kommo blocks addresses that ask for more "
        "than 7.",
    ),
).to_dict()
"""JSON schema of the settings, in the form the SDK and Meltano read."""

_SOURCES = (
    "conversation_ids",
    "conversations_file",
    "conversations_sql_url",
    "crm_url",
)
"""The settings that say where conversations come from. They add up."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_HOUR_MS = 60 * 60 * 1000
_DAY_MS = 24 * _HOUR_MS
_NAMED_AT_MOST = 5
_KINDS = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    dict: "an object",
    list: "a list",
}


class SettingsError(ValueError):
    """Some settings cannot be used.

    Attributes:
        problems: One line for each, which names the setting, what is wrong with it
            and what to write instead.
    """

    def __init__(self, problems: list[str]) -> None:
        """Keep the problems.

        Args:
            problems: One line for each.
        """
        super().__init__("; ".join(problems))
        self.problems = problems


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
class Settings:
    """Settings that are fit to run with. Its `repr` shows no value.

    Attributes:
        channel_secret: Signs every request.
        scope_id: One channel connected to one account.
        conversation_ids: Conversations to read, each once, in the given order.
        conversations_file: Where a list of conversations is; None for none.
        sql: A query that lists conversations; None for none.
        crm: The CRM to find conversations in; None for none.
        shard: Which part of them to read.
        api_url: Scheme, host and port of the Chats API, with no slash at the end.
        start_ms: Messages sent before it are not wanted, in milliseconds since 1970;
            None for all.
        request_timeout: Seconds to wait for the server to connect or send something.
        lookback_ms: How long before the last complete run messages are read again, in
            milliseconds.
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
    shard: Shard
    api_url: str
    start_ms: int | None
    request_timeout: int
    lookback_ms: int
    max_concurrency: int
    requests_per_second: int
    notes: tuple[str, ...]

    @property
    def hint_margin_ms(self) -> int:
        """How long a source may be late to tell that something happened.

        The look-back, but an hour at least: the clocks of a source and of Kommo
        differ, and Kommo's events show up late.
        """
        return max(self.lookback_ms, _HOUR_MS)

    @classmethod
    def parse(cls, config: Config) -> Settings:
        """Check a configuration.

        Args:
            config: The tap's configuration. A setting that is missing or null has
                its default.

        Returns:
            The settings.

        Raises:
            SettingsError: If any cannot be used; it names all of them.
        """
        parser = _Parser(config)
        shard = parser.shard()
        settings = cls(
            channel_secret=parser.channel_secret(),
            scope_id=parser.scope_id(),
            conversation_ids=parser.conversation_ids(),
            conversations_file=parser.conversations_file(),
            sql=parser.sql(),
            crm=parser.crm(),
            shard=shard,
            api_url=parser.url("api_url", DEFAULT_API_URL) or DEFAULT_API_URL,
            start_ms=parser.start_ms(),
            request_timeout=parser.integer(
                "request_timeout", DEFAULT_REQUEST_TIMEOUT, at_least=1
            ),
            lookback_ms=_DAY_MS
            * parser.integer("lookback_days", DEFAULT_LOOKBACK_DAYS, at_least=0),
            max_concurrency=parser.integer(
                "max_concurrency", DEFAULT_MAX_CONCURRENCY, at_least=1
            ),
            requests_per_second=parser.requests_per_second(shard),
            notes=tuple(parser.notes),
        )
        parser.check_sources()
        if parser.problems:
            raise SettingsError(parser.problems)
        return settings


class _Parser:
    """Reads one setting a method, and collects what is wrong with any."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.problems: list[str] = []
        self.notes: list[str] = []

    def channel_secret(self) -> str:
        secret = self._text("channel_secret", "the secret of your chat channel")
        if secret is not None and secret != secret.strip():
            self.problems.append(
                "channel_secret begins or ends with white space: write it without"
            )
        return secret or ""

    def scope_id(self) -> str:
        shape = "{channel_id}_{account's amojo_id}"
        scope_id = self._text("scope_id", f"{shape}, as the connect call returned it")
        if scope_id is None:
            return ""
        if re.fullmatch(UUID, scope_id, re.IGNORECASE):
            self.problems.append(
                "scope_id is a single UUID, probably the channel id alone: write "
                f"{shape}, as the connect call returned it"
            )
        elif flaw := segment_flaw(scope_id):
            self.problems.append(
                f"scope_id {flaw}: write {shape}, as the connect call returned it"
            )
        elif not re.fullmatch(f"{UUID}_{UUID}", scope_id, re.IGNORECASE):
            self.notes.append(
                "scope_id is not two UUIDs joined by an underscore: if Kommo refuses "
                f"it, write {shape}, as the connect call returned it"
            )
        return scope_id

    def conversation_ids(self) -> tuple[str, ...]:
        remedy = "write Kommo's chat UUIDs as a list of strings"
        given = self._config.get("conversation_ids")
        if given is None or given == []:
            return ()
        if not isinstance(given, list):
            self.problems.append(
                f"conversation_ids is {_kind(given)}, not a list: {remedy}"
            )
            return ()
        flaws: list[str] = []
        for place, conversation_id in enumerate(given, start=1):
            if not isinstance(conversation_id, str):
                flaws.append(f"number {place} is {_kind(conversation_id)}")
            elif flaw := segment_flaw(conversation_id):
                flaws.append(f"number {place} ({conversation_id!r}) {flaw}")
        if flaws:
            named = ", ".join(flaws[:_NAMED_AT_MOST])
            more = f" and {len(flaws) - _NAMED_AT_MOST} more"
            self.problems.append(
                "conversation_ids has what is no conversation id: "
                f"{named}{more if len(flaws) > _NAMED_AT_MOST else ''}: {remedy}"
            )
            return ()
        unique = tuple(dict.fromkeys(map(normal_id, given)))
        odd = [id_ for id_ in unique if not re.fullmatch(UUID, id_, re.IGNORECASE)]
        if odd:
            self.notes.append(
                f"conversation_ids has {len(odd)} id(s) that are no UUID, such as "
                f"{odd[0]!r}: Kommo's own ids are UUIDs, and it answers an id that it "
                "does not know with an empty history"
            )
        if dropped := len(given) - len(unique):
            self.notes.append(
                f"conversation_ids names {dropped} id(s) more than once: each "
                "conversation is read once"
            )
        return unique

    def check_sources(self) -> None:
        if not any(self._config.get(name) for name in _SOURCES):
            self.problems.append(
                "conversation_ids names no conversation, and no other setting says "
                "where they are: write Kommo's chat UUIDs as a list of strings, or one "
                f"of {', '.join(_SOURCES[1:])}"
            )

    def conversations_file(self) -> str | None:
        if self._config.get("conversations_file") is None:
            return None
        location = self._text("conversations_file", "a path or a URL")
        if location is not None and file_format(location) is None:
            self.problems.append(
                "conversations_file ends in neither .txt, .csv nor .jsonl, so its "
                "format is not known: name it so (with .gz after it when it is packed)"
            )
        return location

    def sql(self) -> SQLSettings | None:
        if not self._all_or_none("conversations_sql_url", "conversations_sql_query"):
            return None
        url = self._text("conversations_sql_url", "SQLAlchemy's URL of the database")
        query = self._text(
            "conversations_sql_query", "a SELECT with a column conversation_id"
        )
        return None if url is None or query is None else SQLSettings(url, query)

    def crm(self) -> CrmSettings | None:
        if not self._all_or_none("crm_url", "crm_access_token", "crm_origins"):
            return None
        url = self.url("crm_url", "https://example.kommo.com")
        token = self._text("crm_access_token", "a long-lived token of your integration")
        if token is not None and not re.fullmatch(r"[!-~]+", token):
            self.problems.append(
                "crm_access_token has white space or what is no ASCII in it: copy the "
                "token anew"
            )
        origins = self._config.get("crm_origins")
        if (
            not isinstance(origins, list)
            or not origins
            or not all(isinstance(origin, str) and origin.strip() for origin in origins)
        ):
            self.problems.append(
                "crm_origins is not a list of texts: write the origins of your "
                'channel\'s talks, such as ["amo.ext.12345678"]'
            )
            return None
        return (
            None
            if token is None
            else CrmSettings(
                url, token, frozenset(origin.strip() for origin in origins)
            )
        )

    def shard(self) -> Shard:
        given = self._config.get("shard")
        if given is None:
            return WHOLE
        try:
            return Shard.parse(given)
        except ValueError:
            self.problems.append(
                "shard is no part of a whole: write which of how many, such as 2/8 "
                "for the second of eight"
            )
            return WHOLE

    def requests_per_second(self, shard: Shard) -> int:
        together = self.integer(
            "requests_per_second", DEFAULT_REQUESTS_PER_SECOND, at_least=0
        )
        if together == 0:
            return 0
        if 1 < together < shard.of:
            self.notes.append(
                f"shard is one of {shard.of}, and each makes up to 1 request per "
                f"second: run at most {together} at once to keep to "
                "requests_per_second"
            )
        return max(1, together // shard.of)

    def url(self, name: str, example: str) -> str:
        remedy = f"write a scheme and a host, such as {example}"
        if name == "api_url" and self._config.get(name) is None:
            return ""
        text = self._text(name, f"a scheme and a host, such as {example}")
        if text is None:
            return ""
        try:
            url = urlsplit(text)
            host, _ = url.hostname, url.port
            (host or "").encode("idna")
        except ValueError:
            self.problems.append(f"{name} is not a URL: {remedy}")
            return ""
        if url.scheme not in {"http", "https"} or "://" not in text:
            self.problems.append(f"{name} has no https:// in front: {remedy}")
        elif not host or re.search(r"[\s\x00-\x1f\x7f\\]", text):
            self.problems.append(f"{name} has no usable host: {remedy}")
        elif (
            url.path not in {"", "/"} or url.query or url.fragment or "@" in url.netloc
        ):
            self.problems.append(f"{name} has more than a scheme and a host: {remedy}")
        elif url.scheme == "http" and not _is_loopback(host):
            self.problems.append(
                f"{name} is plain http, which sends messages unprotected: write "
                "https:// (http is for a server on this machine)"
            )
        return f"{url.scheme}://{url.netloc}"

    def start_ms(self) -> int | None:
        remedy = "write a date and time, such as 2024-01-01T00:00:00Z"
        given = self._config.get("start_date")
        if given is None:
            return None
        try:
            # The SDK teaches Python 3.10 to read a trailing Z.
            moment = datetime.fromisoformat(given)
        except (TypeError, ValueError):
            self.problems.append(f"start_date is not a date and time: {remedy}")
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return (moment - _EPOCH) // timedelta(milliseconds=1)

    def integer(self, name: str, default: int, at_least: int) -> int:
        given = self._config.get(name)
        if given is None:
            return default
        if isinstance(given, bool) or not isinstance(given, int) or given < at_least:
            self.problems.append(
                f"{name} is not a whole number from {at_least} on: write one, such as "
                f"{default}"
            )
            return default
        return given

    def _all_or_none(self, *names: str) -> bool:
        missing = [name for name in names if self._config.get(name) is None]
        if missing and len(missing) < len(names):
            self.problems.append(
                f"{' and '.join(missing)} is missing: {', '.join(names)} go together"
            )
        return not missing

    def _text(self, name: str, what: str) -> str | None:
        given = self._config.get(name)
        if given is None:
            self.problems.append(f"{name} is missing: write {what}")
        elif not isinstance(given, str):
            self.problems.append(f"{name} is {_kind(given)}, not text: write {what}")
        elif not given.strip():
            self.problems.append(f"{name} is empty: write {what}")
        else:
            return given
        return None


def _kind(value: object) -> str:
    """Name what a value is without showing it."""
    return _KINDS.get(type(value), "of another kind")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
