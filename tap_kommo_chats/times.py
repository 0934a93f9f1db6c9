"""Instants, in milliseconds since 1970, and how records carry them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import lru_cache

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

SECOND_MS = 1000
HOUR_MS = 3600 * SECOND_MS
DAY_MS = 24 * HOUR_MS

CALENDAR_MS = range(-719_162 * DAY_MS, 2_932_897 * DAY_MS)
"""The instants that a calendar has: of the years 1 to 9999."""


def instant_ms(moment: datetime) -> int:
    """Return the milliseconds since 1970 of a moment with a time zone."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


def whole_second(instant_ms: int) -> int:
    """Return the beginning of an instant's second."""
    return instant_ms // SECOND_MS * SECOND_MS


def format_instant(instant_ms: int) -> str:
    """Write an instant of the calendar as records carry it.

    Returns:
        ISO 8601 in UTC with milliseconds, such as `2022-12-13T11:00:00.000+00:00`.
    """
    day, in_day_ms = divmod(instant_ms, DAY_MS)
    seconds, milliseconds = divmod(in_day_ms, SECOND_MS)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{_date(day)}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}+00:00"


@lru_cache(maxsize=1024)
def _date(day: int) -> str:
    return (EPOCH + timedelta(days=day)).date().isoformat()
