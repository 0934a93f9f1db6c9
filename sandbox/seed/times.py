"""When the invented things happened. In milliseconds."""

from __future__ import annotations

from datetime import date, datetime, timezone


def _milliseconds(year: int, month: int, day: int) -> int:
    moment = datetime(year, month, day, tzinfo=timezone.utc)
    return int(moment.timestamp()) * 1000


FIRST = _milliseconds(2024, 1, 3)
LAST = _milliseconds(2026, 6, 30)
# Kommo's older samples have no msec_timestamp.
MSEC_SINCE = _milliseconds(2024, 9, 1)

SECOND = 1000
HOUR = 3600 * SECOND
DAY = 24 * HOUR


def days_until(day: date) -> int:
    """Tell how many days later things have to happen to end by a day.

    Args:
        day: The first on which nothing happens any more.
    """
    return _milliseconds(day.year, day.month, day.day) // DAY - LAST // DAY
