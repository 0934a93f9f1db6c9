"""One entry of a list of conversations: a row of a query, or a line of a file."""

from __future__ import annotations

import math
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import TypeAlias

from tap_kommo_chats.identifiers import normal_id, segment_flaw
from tap_kommo_chats.integers import read_id
from tap_kommo_chats.records.conversations import Conversation
from tap_kommo_chats.records.talks import Talk, read_talk
from tap_kommo_chats.times import CALENDAR_MS, SECOND_MS, instant_ms

ID_COLUMN = "conversation_id"
TIME_COLUMN = "updated_at"
ACCOUNT_COLUMN = "account_id"
MARK_COLUMN = "searched"
"""Of the line that tells how far a search was, in a list that searches made."""
TALK_COLUMN = "talk_id"
ORIGIN_COLUMN = "origin"
BEGIN_COLUMN = "created_at"

_TIMES_MS = range(946_684_800_000, CALENDAR_MS.stop)
"""From the year 2000 on. What is taken for an earlier time, such as 20250105, is none.
"""

_SECONDS_BELOW = 100_000_000_000
"""As seconds this is the year 5138, as milliseconds 1973: nothing is both."""

_NUMBER = re.compile(r"\d{1,15}(\.\d{1,9})?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]", re.ASCII)

Report: TypeAlias = Callable[[str], None]
"""Takes one line on an entry that is not as it should be."""


def read_entry(
    entry: Mapping[str, object],
    source: str,
    where: str,
    report: Report,
    *,
    has_talks: bool = False,
) -> Conversation | None:
    """Read one entry.

    Args:
        entry: Its values by column: `conversation_id`; where there are such,
            `updated_at` and `account_id`; of a talk `talk_id`, `origin` and
            `created_at`. Others are not looked at.
        source: The name of the source.
        where: The entry's place, such as `line 3 of conversations_file`.
        report: Is told what is wrong with the entry.
        has_talks: Whether entries may name talks. Else their columns are others.

    Returns:
        The conversation; None when its id, or its talk, cannot be used. When only its
        time cannot, something may just have happened in it, so that it is read rather
        than passed over, also when another entry has an older time for it.
    """
    conversation_id = entry.get(ID_COLUMN)
    if isinstance(conversation_id, uuid.UUID):
        conversation_id = str(conversation_id)
    if not isinstance(conversation_id, str):
        report(f"{where} has no {ID_COLUMN} and was left out")
        return None
    conversation_id = normal_id(conversation_id.strip())
    if flaw := segment_flaw(conversation_id):
        report(f"{where} was left out: its {ID_COLUMN} {flaw}")
        return None
    try:
        last_activity_ms = read_time(entry.get(TIME_COLUMN))
    except ValueError:
        report(
            f"{where} has an {TIME_COLUMN} that is no time from the year 2000 on "
            "(ISO 8601, or Unix seconds or milliseconds): its conversation is read as "
            "if it had just changed"
        )
        last_activity_ms = time.time_ns() // 1_000_000
    found = Conversation(
        conversation_id, source, last_activity_ms, account_id=_account(entry)
    )
    if not has_talks or _is_empty(entry.get(TALK_COLUMN)):
        return found
    for column in (TALK_COLUMN, ACCOUNT_COLUMN):
        if not _is_empty(entry.get(column)) and _number(entry[column]) is None:
            # Else another channel's chat, or another account's, would pass for one's
            # own.
            report(f"{where} was left out: its {column} is no whole number from 1 on")
            return None
    return replace(found, talk=_talk(entry, conversation_id))


def _account(entry: Mapping[str, object]) -> int | None:
    return _number(entry.get(ACCOUNT_COLUMN))


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _number(value: object) -> int | None:
    """Read a number that the CRM gave, as whatever wrote the list wrote it.

    A database may give a decimal. What has to leave room for missing numbers, such as
    pandas, writes 42.0.
    """
    if isinstance(value, str | float | Decimal):
        value = re.sub(r"\.0+$", "", str(value).strip())
    return read_id(value)


def _begin_ms(value: object) -> int | None:
    """Read when a talk began; None where that is not told, or not exactly.

    Messages before the beginning of a talk may be left to another one, so a day's end
    is too late.
    """
    is_day = isinstance(value, date) and not isinstance(value, datetime)
    if is_day or (isinstance(value, str) and _DATE.fullmatch(value.strip())):
        return None
    try:
        return read_time(value)
    except ValueError:
        return None


def _talk(entry: Mapping[str, object], conversation_id: str) -> Talk | None:
    began_ms = _begin_ms(entry.get(BEGIN_COLUMN))
    return read_talk(
        {
            "talk_id": _number(entry[TALK_COLUMN]),
            "chat_id": conversation_id,
            "origin": entry.get(ORIGIN_COLUMN),
            "created_at": None if began_ms is None else began_ms // SECOND_MS,
        }
    )


def read_time(value: object) -> int | None:
    """Read when something last happened.

    Args:
        value: ISO 8601, Unix seconds or milliseconds as number or text, or what a
            database driver makes of a time. Without a zone it is UTC. A date without a
            time is the end of that day, because a time too early would cost messages.

    Returns:
        Milliseconds since 1970; None when the value is empty.

    Raises:
        ValueError: If it is no time, or one before the year 2000 or after 9999.
    """
    if _is_empty(value):
        return None
    milliseconds = _milliseconds(value)
    if milliseconds not in _TIMES_MS:
        msg = "not a time of the years 2000 to 9999"
        raise ValueError(msg)
    return milliseconds


def _milliseconds(value: object) -> int:
    if isinstance(value, str):
        text = value.strip()
        if _NUMBER.fullmatch(text):
            return _milliseconds(Decimal(text))
        if _DATE.fullmatch(text):
            return _milliseconds(date.fromisoformat(text))
        if not _INSTANT.match(text):
            msg = "not a date and a time"
            raise ValueError(msg)
        # The SDK teaches Python 3.10 to read a trailing Z.
        return _milliseconds(datetime.fromisoformat(text))
    if isinstance(value, datetime):
        return instant_ms(value if value.tzinfo else value.replace(tzinfo=timezone.utc))
    if isinstance(value, date):
        last = datetime(value.year, value.month, value.day, 23, 59, 59, 999_999)  # noqa: DTZ001 (its zone is set next)
        return _milliseconds(last)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        msg = "not a time"
        raise ValueError(msg)  # noqa: TRY004 (one error for whatever is no time)
    if not isinstance(value, int) and not math.isfinite(value):
        msg = "not a time"
        raise ValueError(msg)
    is_seconds = -_SECONDS_BELOW < value < _SECONDS_BELOW
    return int(value * SECOND_MS) if is_seconds else int(value)
