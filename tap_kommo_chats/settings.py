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

from tap_kommo_chats.identifiers import segment_flaw

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
        "talk, or message.conversation.id of a chat webhook. At least one.",
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

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_DAY_MS = 24 * 60 * 60 * 1000
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
class Settings:
    """Settings that are fit to run with. Its `repr` shows no value.

    Attributes:
        channel_secret: Signs every request.
        scope_id: One channel connected to one account.
        conversation_ids: The conversations to read, each once, in the given order.
        api_url: Scheme, host and port of the Chats API, with no slash at the end.
        start_ms: Messages sent before it are not wanted, in milliseconds since 1970;
            None for all.
        request_timeout: Seconds to wait for the server to connect or send something.
        lookback_ms: How long before the last complete run messages are read again, in
            milliseconds.
        max_concurrency: How many conversations are read at once.
        requests_per_second: How many requests may reach Kommo in any second; 0 for no
            limit.
        notes: What an operator should know though the run goes on, one line each.
    """

    channel_secret: str
    scope_id: str
    conversation_ids: tuple[str, ...]
    api_url: str
    start_ms: int | None
    request_timeout: int
    lookback_ms: int
    max_concurrency: int
    requests_per_second: int
    notes: tuple[str, ...]

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
        settings = cls(
            channel_secret=parser.channel_secret(),
            scope_id=parser.scope_id(),
            conversation_ids=parser.conversation_ids(),
            api_url=parser.api_url(),
            start_ms=parser.start_ms(),
            request_timeout=parser.integer(
                "request_timeout", DEFAULT_REQUEST_TIMEOUT, at_least=1
            ),
            lookback_ms=_DAY_MS
            * parser.integer("lookback_days", DEFAULT_LOOKBACK_DAYS, at_least=0),
            max_concurrency=parser.integer(
                "max_concurrency", DEFAULT_MAX_CONCURRENCY, at_least=1
            ),
            requests_per_second=parser.integer(
                "requests_per_second", DEFAULT_REQUESTS_PER_SECOND, at_least=0
            ),
            notes=tuple(parser.notes),
        )
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
        if re.fullmatch(_UUID, scope_id, re.IGNORECASE):
            self.problems.append(
                "scope_id is a single UUID, probably the channel id alone: write "
                f"{shape}, as the connect call returned it"
            )
        elif flaw := segment_flaw(scope_id):
            self.problems.append(
                f"scope_id {flaw}: write {shape}, as the connect call returned it"
            )
        elif not re.fullmatch(f"{_UUID}_{_UUID}", scope_id, re.IGNORECASE):
            self.notes.append(
                "scope_id is not two UUIDs joined by an underscore: if Kommo refuses "
                f"it, write {shape}, as the connect call returned it"
            )
        return scope_id

    def conversation_ids(self) -> tuple[str, ...]:
        remedy = "write Kommo's chat UUIDs as a list of strings"
        given = self._config.get("conversation_ids")
        if given is None or given == []:
            self.problems.append(f"conversation_ids names no conversation: {remedy}")
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
        unique = tuple(dict.fromkeys(given))
        odd = [id_ for id_ in unique if not re.fullmatch(_UUID, id_, re.IGNORECASE)]
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

    def api_url(self) -> str:
        remedy = f"write a scheme and a host, such as {DEFAULT_API_URL}"
        if self._config.get("api_url") is None:
            return DEFAULT_API_URL
        text = self._text("api_url", f"a scheme and a host, such as {DEFAULT_API_URL}")
        if text is None:
            return ""
        try:
            url = urlsplit(text)
            host, _ = url.hostname, url.port
            (host or "").encode("idna")
        except ValueError:
            self.problems.append(f"api_url is not a URL: {remedy}")
            return ""
        if url.scheme not in {"http", "https"} or "://" not in text:
            self.problems.append(f"api_url has no https:// in front: {remedy}")
        elif not host or re.search(r"[\s\x00-\x1f\x7f\\]", text):
            self.problems.append(f"api_url has no usable host: {remedy}")
        elif (
            url.path not in {"", "/"} or url.query or url.fragment or "@" in url.netloc
        ):
            self.problems.append(f"api_url has more than a scheme and a host: {remedy}")
        elif url.scheme == "http" and not _is_loopback(host):
            self.problems.append(
                "api_url is plain http, which sends messages unprotected: write "
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
