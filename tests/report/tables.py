"""The analysts' tables with a few rows of a test's own, in any database."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    MetaData,
    Table,
    Text,
    create_engine,
    insert,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

LAST = date(2026, 3, 31)
ACCOUNT = 7

_KINDS: Mapping[str, Any] = {
    "local_day": Date,
    "started_day": Date,
    "started_at": DateTime,
    "as_of": DateTime,
    "is_within_target": Boolean,
    "is_first_of_talk": Boolean,
    "is_beyond_target": Boolean,
    **dict.fromkeys(
        (
            *("account_id", "wait_seconds", "waiting_seconds"),
            *("customer_messages", "place"),
        ),
        BigInteger,
    ),
}
_COLUMNS = {
    "kommo_messages": ("account_id", "conversation_id", "local_day"),
    "kommo_waits": (
        *("account_id", "origin", "state", "started_day", "replied_by"),
        *("replied_by_name", "wait_seconds", "is_within_target", "is_first_of_talk"),
    ),
    "kommo_unanswered": (
        *("place", "account_id", "conversation_id", "origin", "started_at"),
        *("waiting_seconds", "customer_messages", "status_name"),
        *("responsible_name", "is_beyond_target", "as_of"),
    ),
}


@dataclass
class Tables:
    """Rows of the tables, as a test tells of them."""

    rows: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {name: [] for name in _COLUMNS}
    )

    def message(self, conversation_id: str = "a", **more: Any) -> None:
        row = {"account_id": ACCOUNT, "local_day": LAST}
        self.rows["kommo_messages"].append(
            {"conversation_id": conversation_id, **row, **more}
        )

    def wait(self, seconds: int | None, **more: Any) -> None:
        row = {
            "account_id": ACCOUNT,
            "origin": "waba",
            "state": "answered" if seconds is not None else "expired",
            "started_day": LAST,
            "replied_by": "agent",
            "replied_by_name": "Ana",
            "wait_seconds": seconds,
            "is_within_target": seconds is not None and seconds <= 900,
            "is_first_of_talk": True,
        }
        self.rows["kommo_waits"].append({**row, **more})

    def waiting(self, conversation_id: str, **more: Any) -> None:
        place = len(self.rows["kommo_unanswered"]) + 1
        row = {
            "place": place,
            "account_id": ACCOUNT,
            "conversation_id": conversation_id,
            "origin": "waba",
            "started_at": datetime(2026, 3, 31, 9, place),  # noqa: DTZ001 (as stored)
            "waiting_seconds": 3600 - place,
            "customer_messages": 2,
            "status_name": "New",
            "responsible_name": "Ana",
            "is_beyond_target": True,
            "as_of": datetime(2026, 3, 31, 10),  # noqa: DTZ001 (as stored)
        }
        self.rows["kommo_unanswered"].append({**row, **more})

    def write(self, url: str) -> None:
        """Make the tables in a database."""
        found = MetaData()
        tables = {
            name: Table(name, found, *(Column(c, _KINDS.get(c, Text)) for c in columns))
            for name, columns in _COLUMNS.items()
        }
        engine = create_engine(url)
        found.create_all(engine)
        with engine.begin() as connection:
            for name, rows in self.rows.items():
                if rows:
                    connection.execute(insert(tables[name]), rows)
        engine.dispose()


def days_before(days: int) -> date:
    return LAST - timedelta(days=days)
