"""Office hours, worked out day by day with Python's own time zones."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, available_timezones

if TYPE_CHECKING:
    from tests.transform.world import World


DAY = timedelta(days=1)
Spans = tuple[tuple[datetime, datetime], ...]


@dataclass(frozen=True)
class Office:
    """The office hours of one account.

    Attributes:
        zone: Its time zone.
        hours: By weekday, from when to when, in minutes after midnight.
        holidays: Days on which it is closed.
    """

    zone: ZoneInfo
    hours: tuple[tuple[int, int, int], ...]
    holidays: frozenset[date]

    def local_day(self, moment: datetime) -> date:
        """Return the day that the calendar on the wall shows."""
        return moment.replace(tzinfo=timezone.utc).astimezone(self.zone).date()

    def is_open(self, moment: datetime) -> bool:
        """Tell whether somebody is there."""
        return any(
            start <= moment < end for start, end in self._spans(self.local_day(moment))
        )

    def seconds(self, start: datetime, end: datetime) -> int:
        """Count the seconds between two instants in which somebody is there."""
        total = timedelta()
        day = self.local_day(start)
        while day <= self.local_day(end):
            for opens, closes in self._spans(day):
                total += max(min(closes, end) - max(opens, start), timedelta())
            day += DAY
        return int(total.total_seconds())

    @functools.cache  # noqa: B019 - there are few offices, and they live as long
    def _spans(self, day: date) -> Spans:
        """When it is open on a day, in UTC, overlapping hours taken together."""
        if day in self.holidays:
            return ()
        spans = sorted(
            (self._instant(day, opens), self._instant(day, closes))
            for weekday, opens, closes in self.hours
            if weekday == day.isoweekday()
        )
        merged: list[tuple[datetime, datetime]] = []
        for opens, closes in spans:
            if closes <= opens:
                continue
            if merged and opens <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], closes))
            else:
                merged.append((opens, closes))
        return tuple(merged)

    def _instant(self, day: date, minutes: int) -> datetime:
        if minutes == 24 * 60:
            return self._begins(day + DAY)
        if minutes == 0:
            return self._begins(day)
        return self._later(datetime.combine(day, time()) + timedelta(minutes=minutes))

    def _later(self, wall: datetime) -> datetime:
        """Turn a time of the clock to UTC; one that is shown twice is the later."""
        return max(
            wall.replace(tzinfo=self.zone, fold=fold)
            .astimezone(timezone.utc)
            .replace(tzinfo=None)
            for fold in (0, 1)
        )

    def _begins(self, day: date) -> datetime:
        """Return the first instant of a day."""
        midnight = self._later(datetime.combine(day, time()))
        hour_before = midnight - timedelta(hours=1)
        return hour_before if self.local_day(hour_before) == day else midnight


def office_of(world: World, account_id: int | None) -> Office:
    """Return the office hours that hold for an account.

    Args:
        world: What was loaded, and the seeds.
        account_id: The account; None where it is not known.
    """
    accounts = {row["account_id"]: row for row in world.rows("accounts")}
    known = account_id if account_id in accounts else None
    name = accounts[known]["timezone"] if known is not None else None
    if world.variables.timezone:
        name = world.variables.timezone
    zone = ZoneInfo(name if name in available_timezones() else "UTC")
    own = {line.account_id for line in world.hours}
    of = known if known in own else None
    hours = tuple(
        (line.weekday, _minutes(line.opens_at), _minutes(line.closes_at))
        for line in world.hours
        if line.account_id == of
    )
    always = tuple((weekday, 0, 24 * 60) for weekday in range(1, 8))
    holidays = frozenset(
        line.day for line in world.holidays if line.account_id in {None, known}
    )
    return Office(zone, hours or always, holidays)


def _minutes(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)
