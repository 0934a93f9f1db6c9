"""From a configuration to settings that are fit to run with."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from tap_kommo_chats.errors import SettingsError
from tap_kommo_chats.file_formats import file_format
from tap_kommo_chats.identifiers import UUID, normal_id, segment_flaw
from tap_kommo_chats.printable import printable
from tap_kommo_chats.settings.crm import CrmReader
from tap_kommo_chats.settings.reader import kind_of
from tap_kommo_chats.settings.schema import (
    DEFAULT_API_URL,
    DEFAULT_LOOKBACK_DAYS,
    DEFAULT_MAX_CONCURRENCY,
    DEFAULT_REQUEST_TIMEOUT,
    DEFAULT_REQUESTS_PER_SECOND,
)
from tap_kommo_chats.settings.values import Settings, SQLSettings
from tap_kommo_chats.sharding import WHOLE, Shard
from tap_kommo_chats.times import DAY_MS, instant_ms

if TYPE_CHECKING:
    from tap_kommo_chats.settings.reader import Config

_SOURCES = (
    "conversation_ids",
    "conversations_file",
    "conversations_sql_url",
    "crm_url",
)
"""The settings that say where conversations come from. They add up."""

_AN_HOUR = 3_600
"""Seconds."""

_A_CENTURY = 36_500
"""Days."""

_THREADS_AT_MOST = 1_000

_NAMED_AT_MOST = 5
_SHOWN_AT_MOST = 60
"""Characters of an id that are shown."""


def parse_settings(config: Config) -> Settings:
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
    settings = Settings(
        channel_secret=parser.channel_secret(),
        scope_id=parser.scope_id(),
        channel_id=parser.channel_id(),
        conversation_ids=parser.conversation_ids(),
        conversations_file=parser.conversations_file(),
        sql=parser.sql(),
        crm=parser.crm(),
        ignored_conversation_ids=frozenset(parser.ids("ignored_conversation_ids")),
        shard=shard,
        api_url=parser.url("api_url", DEFAULT_API_URL) or DEFAULT_API_URL,
        start_ms=parser.start_ms(),
        request_timeout=parser.integer(
            "request_timeout", DEFAULT_REQUEST_TIMEOUT, at_least=1, at_most=_AN_HOUR
        ),
        lookback_ms=DAY_MS
        * parser.integer(
            "lookback_days", DEFAULT_LOOKBACK_DAYS, at_least=0, at_most=_A_CENTURY
        ),
        max_concurrency=parser.integer(
            "max_concurrency",
            DEFAULT_MAX_CONCURRENCY,
            at_least=1,
            at_most=_THREADS_AT_MOST,
        ),
        requests_per_second=parser.requests_per_second(shard),
        notes=tuple(parser.notes),
    )
    parser.check_sources()
    if parser.problems:
        raise SettingsError(parser.problems)
    return settings


class _Parser(CrmReader):
    """Reads each of the tap's settings."""

    def channel_secret(self) -> str | None:
        if not self.has_channel:
            return None
        secret = self.text("channel_secret", "the secret of your chat channel")
        if secret is not None and secret != secret.strip():
            self.problems.append(
                "channel_secret begins or ends with white space: write it without"
            )
        return secret or ""

    def channel_id(self) -> str | None:
        if self.config.get("channel_id") is None or self._has_scope():
            return None
        channel_id = self.text("channel_id", "the id of your chat channel")
        if channel_id is None:
            return None
        if not re.fullmatch(UUID, channel_id, re.IGNORECASE):
            self.problems.append(
                "channel_id is no UUID: write the id of your chat channel, which is "
                "the first half of a scope_id"
            )
        elif self.config.get("crm_url") is None:
            self.problems.append(
                "channel_id alone does not say which account: write scope_id, or set "
                "crm_url and crm_access_token"
            )
        return channel_id

    def _has_scope(self) -> bool:
        return self.config.get("scope_id") is not None

    def scope_id(self) -> str | None:
        has_other = self.config.get("channel_id") is not None and not self._has_scope()
        if has_other or not self.has_channel:
            return None
        shape = "{channel_id}_{account's amojo_id}"
        scope_id = self.text("scope_id", f"{shape}, as the connect call returned it")
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

    def ids(self, name: str) -> tuple[str, ...]:
        """Read a list of conversations' ids, as it was given."""
        remedy = "write Kommo's chat UUIDs as a list of strings"
        given = self.config.get(name)
        if given is None or given == []:
            return ()
        if not isinstance(given, list):
            self.problems.append(f"{name} is {kind_of(given)}, not a list: {remedy}")
            return ()
        flaws: list[str] = []
        for place, conversation_id in enumerate(given, start=1):
            if not isinstance(conversation_id, str):
                flaws.append(f"number {place} is {kind_of(conversation_id)}")
            elif flaw := segment_flaw(conversation_id):
                shown = printable(conversation_id, _SHOWN_AT_MOST)
                flaws.append(f"number {place} ('{shown}') {flaw}")
        if flaws:
            named = ", ".join(flaws[:_NAMED_AT_MOST])
            more = f" and {len(flaws) - _NAMED_AT_MOST} more"
            self.problems.append(
                f"{name} has what is no conversation id: "
                f"{named}{more if len(flaws) > _NAMED_AT_MOST else ''}: {remedy}"
            )
            return ()
        return tuple(map(normal_id, given))

    def conversation_ids(self) -> tuple[str, ...]:
        given = self.ids("conversation_ids")
        unique = tuple(dict.fromkeys(given))
        odd = [id_ for id_ in unique if not re.fullmatch(UUID, id_, re.IGNORECASE)]
        if odd:
            self.notes.append(
                f"conversation_ids has {len(odd)} id(s) that are no UUID, such as "
                f"'{printable(odd[0], _SHOWN_AT_MOST)}': Kommo's own ids are UUIDs, "
                "and it answers an id that it does not know with an empty history"
            )
        if dropped := len(given) - len(unique):
            self.notes.append(
                f"conversation_ids names {dropped} id(s) more than once: each "
                "conversation is read once"
            )
        return unique

    def check_sources(self) -> None:
        if not any(self.config.get(name) for name in _SOURCES):
            self.problems.append(
                "conversation_ids names no conversation, and no other setting says "
                "where they are: write Kommo's chat UUIDs as a list of strings, or one "
                f"of {', '.join(_SOURCES[1:])}"
            )

    def conversations_file(self) -> str | None:
        if self.config.get("conversations_file") is None:
            return None
        location = self.text("conversations_file", "a path or a URL")
        if location is not None and file_format(location) is None:
            self.problems.append(
                "conversations_file ends in neither .txt, .csv nor .jsonl, so its "
                "format is not known: name it so (with .gz after it when it is packed)"
            )
        return location

    def sql(self) -> SQLSettings | None:
        if not self.all_or_none("conversations_sql_url", "conversations_sql_query"):
            return None
        url = self.text("conversations_sql_url", "SQLAlchemy's URL of the database")
        query = self.text(
            "conversations_sql_query", "a SELECT with a column conversation_id"
        )
        return None if url is None or query is None else SQLSettings(url, query)

    def shard(self) -> Shard:
        given = self.config.get("shard")
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

    def start_ms(self) -> int | None:
        remedy = "write a date and time, such as 2024-01-01T00:00:00Z"
        given = self.config.get("start_date")
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
        return instant_ms(moment)
