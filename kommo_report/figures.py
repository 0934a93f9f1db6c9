"""What the page shows, asked of the analysts' tables. Pure but for the asking.

Medians are computed from waits. None is averaged.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Select,
    TableClause,
    and_,
    case,
    column,
    distinct,
    func,
    select,
    table,
    true,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_NAMED_AT_MOST = 15
"""Agents and channels, those with most waits first."""

_WAITING_AT_MOST = 25

_DAYS_BY_DAY = 62
_DAYS_BY_WEEK = 370


Ask: TypeAlias = "Callable[[Select[Any]], Sequence[Any]]"
"""Puts a query to a warehouse and returns the rows."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What of the tables is looked at.

    Attributes:
        schema: Where they are; None for the database's default.
        days: How many days up to the last one with a message.
        account_id: Kommo's number of one account; None for all.
    """

    schema: str | None
    days: int
    account_id: int | None


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast somebody replies, or is replied to.

    Attributes:
        name: Who.
        waits: How many waits ended with a reply.
        median_s: Half of them took no longer, in seconds.
        p90_s: Nine of ten took no longer, in seconds.
        share: How many of a whole took no longer than the target.
    """

    name: str
    waits: int
    median_s: float
    p90_s: float
    share: float


@dataclass(frozen=True, slots=True)
class Period:
    """The waits that began within a day, a week or a month.

    Attributes:
        name: Its first day, or its month.
        fates: How many had which fate, by its name.
        median_s: Half of the answered ones took no longer, in seconds; None where none
            was answered.
    """

    name: str
    fates: dict[str, int]
    median_s: float | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A customer who waits for a human.

    Attributes:
        conversation_id: Where.
        origin: The channel.
        since: Since when, in UTC.
        seconds: How long at the last load.
        messages: How many messages the customer wrote since.
        status: The lead's status; None where that is not known.
        responsible: Whose lead it is; None where that is not known.
        is_late: Whether the target is passed.
    """

    conversation_id: str
    origin: str | None
    since: datetime
    seconds: int
    messages: int
    status: str | None
    responsible: str | None
    is_late: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """All that the page shows.

    Attributes:
        since: The first day that is looked at.
        until: The last day with a message; None where there is none.
        step: What a period is: day, week or month.
        conversations: In how many something was written.
        all: How fast replies come; None where no wait was answered.
        channels: The same by channel, of first responses.
        agents: The same by who replied.
        periods: The waits by when they began.
        waiting: Who waits, longest first, up to some.
        waiting_count: How many wait.
        as_of: When that was so, in UTC; None where nobody waits.
    """

    since: date
    until: date | None
    step: str
    conversations: int
    all: Speed | None
    channels: list[Speed]
    agents: list[Speed]
    periods: list[Period]
    waiting: list[Waiting]
    waiting_count: int
    as_of: datetime | None


FATES = ("in time", "late", "closed unanswered", "expired", "waiting")
"""What may become of a wait."""


def figures(ask: Ask, scope: Scope) -> Figures:
    """Ask for all that the page shows."""
    tables = _Tables(scope)
    of_account = tables.of(tables.messages)
    newest = select(func.max(tables.messages.c.local_day)).where(of_account)
    until = ask(newest)[0][0]
    last = until or date(1970, 1, 1)
    since = last - timedelta(days=scope.days - 1)
    first = ask(
        select(func.min(tables.waits.c.started_day)).where(tables.in_span(since))
    )
    span = (last - (first[0][0] or since)).days
    step = _step(span)
    (conversations,) = ask(
        select(func.count(distinct(tables.messages.c.conversation_id))).where(
            tables.messages.c.local_day >= since, of_account
        )
    )[0]
    waiting, waiting_count = _waiting(ask, tables)
    return Figures(
        since=max(since, first[0][0] or since),
        until=until,
        step=step,
        conversations=conversations,
        all=next(iter(_speeds(ask, tables, since, None)), None),
        channels=_speeds(ask, tables, since, tables.waits.c.origin, only_first=True),
        agents=_speeds(ask, tables, since, _agent(tables)),
        periods=_periods(ask, tables, since, step),
        waiting=[row for row, _ in waiting],
        waiting_count=waiting_count,
        as_of=waiting[0][1] if waiting else None,
    )


def _step(days: int) -> str:
    if days <= _DAYS_BY_DAY:
        return "day"
    return "week" if days <= _DAYS_BY_WEEK else "month"


class _Tables:
    """The analysts' tables, as far as they are asked."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.messages = self._table(
            "kommo_messages", "account_id", "conversation_id", "local_day"
        )
        self.waits = self._table(
            "kommo_waits",
            *("account_id", "origin", "state", "started_day", "replied_by"),
            *("replied_by_name", "wait_seconds", "is_within_target"),
            "is_first_of_talk",
        )
        self.unanswered = self._table(
            "kommo_unanswered",
            *("place", "account_id", "conversation_id", "origin", "started_at"),
            *("waiting_seconds", "customer_messages", "status_name"),
            *("responsible_name", "is_beyond_target", "as_of"),
        )

    def _table(self, name: str, *columns: str) -> TableClause:
        return table(name, *map(column, columns), schema=self._scope.schema)

    def of(self, of: TableClause) -> ColumnElement[bool]:
        """Tell which rows are of the account."""
        wanted = self._scope.account_id
        return true() if wanted is None else of.c.account_id == wanted

    def in_span(self, since: date) -> ColumnElement[bool]:
        """Tell which waits are looked at."""
        return and_(self.waits.c.started_day >= since, self.of(self.waits))


def _agent(tables: _Tables) -> ColumnElement[Any]:
    waits = tables.waits.c
    name = func.coalesce(waits.replied_by_name, "")
    return case((waits.replied_by == "agent", name), else_=name + " (unknown)")


def _speeds(
    ask: Ask,
    tables: _Tables,
    since: date,
    by: ColumnElement[Any] | None,
    *,
    only_first: bool = False,
) -> list[Speed]:
    waits = tables.waits.c
    seconds = waits.wait_seconds
    counted = func.count().label("waits")
    query = (
        select(
            counted,
            func.percentile_cont(0.5).within_group(seconds),
            func.percentile_cont(0.9).within_group(seconds),
            func.avg(case((waits.is_within_target, 1.0), else_=0.0)),
            *(() if by is None else (by.label("name"),)),
        )
        .where(tables.in_span(since), waits.state == "answered")
        .order_by(counted.desc())
        .limit(_NAMED_AT_MOST)
    )
    if only_first:
        query = query.where(waits.is_first_of_talk)
    if by is not None:
        query = query.group_by("name")
    return [
        Speed(str(row[4] if by is not None else ""), row[0], *map(float, row[1:4]))
        for row in ask(query)
        if row[0]
    ]


def _periods(ask: Ask, tables: _Tables, since: date, step: str) -> list[Period]:
    waits = tables.waits.c
    fate = case(
        (waits.is_within_target, FATES[0]),
        (waits.state == "answered", FATES[1]),
        (waits.state == "closed", FATES[2]),
        (waits.state == "expired", FATES[3]),
        else_=FATES[4],
    ).label("fate")
    begin = func.date_trunc(step, waits.started_day).label("begin")
    of_span = tables.in_span(since)
    found: dict[date, dict[str, int]] = {}
    for day, name, count in ask(
        select(begin, fate, func.count()).where(of_span).group_by("begin", "fate")
    ):
        found.setdefault(_day(day), {})[name] = count
    medians = {
        _day(day): float(median)
        for day, median in ask(
            select(begin, func.percentile_cont(0.5).within_group(waits.wait_seconds))
            .where(of_span, waits.state == "answered")
            .group_by("begin")
        )
    }
    found_days = sorted(found)
    periods = []
    day = found_days[0] if found_days else since
    while found_days and day <= found_days[-1]:
        name = day.isoformat()[: 7 if step == "month" else 10]
        periods.append(Period(name, found.get(day, {}), medians.get(day)))
        day = _next(day, step)
    return periods


def _next(day: date, step: str) -> date:
    if step == "month":
        return (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    return day + timedelta(days=7 if step == "week" else 1)


def _day(value: date | datetime) -> date:
    return value.date() if isinstance(value, datetime) else value


def _waiting(
    ask: Ask, tables: _Tables
) -> tuple[list[tuple[Waiting, datetime | None]], int]:
    rows = tables.unanswered.c
    of_account = tables.of(tables.unanswered)
    ((count,),) = ask(
        select(func.count()).select_from(tables.unanswered).where(of_account)
    )
    found = ask(
        select(
            *(rows.conversation_id, rows.origin, rows.started_at),
            *(rows.waiting_seconds, rows.customer_messages, rows.status_name),
            *(rows.responsible_name, rows.is_beyond_target, rows.as_of),
        )
        .where(of_account)
        .order_by(rows.place)
        .limit(_WAITING_AT_MOST)
    )
    return [(Waiting(*row[:-1]), row[-1]) for row in found], count
