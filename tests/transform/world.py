"""What a warehouse holds after a load, as rows of the tap's streams."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, datetime

Row = dict[str, Any]

TEXT, NUMBER, FLAG, MOMENT, OBJECT = "text", "number", "flag", "moment", "object"

COLUMNS: dict[str, dict[str, str]] = {
    "chat_history": {
        "scope_id": TEXT,
        "conversation_id": TEXT,
        "message_id": TEXT,
        "sent_at": MOMENT,
        "direction": TEXT,
        "sender": OBJECT,
        "receiver": OBJECT,
        "message": OBJECT,
        "extra": OBJECT,
    },
    "talk_messages": {
        "account_id": NUMBER,
        "conversation_id": TEXT,
        "message_id": TEXT,
        "talk_id": NUMBER,
        "sent_at": MOMENT,
        "direction": TEXT,
        "origin": TEXT,
        "author": OBJECT,
        "message_type": TEXT,
        "text": TEXT,
        "delivery_status": TEXT,
    },
    "chat_events": {
        "account_id": NUMBER,
        "event_id": TEXT,
        "type": TEXT,
        "happened_at": MOMENT,
        "talk_id": NUMBER,
        "message_id": TEXT,
        "origin": TEXT,
        "contact_id": NUMBER,
        "created_by": NUMBER,
    },
    "conversations": {
        "conversation_id": TEXT,
        "account_id": NUMBER,
        "scope_id": TEXT,
        "run_started_at": MOMENT,
        "outcome": TEXT,
    },
    "talks": {
        "account_id": NUMBER,
        "talk_id": NUMBER,
        "chat_id": TEXT,
        "origin": TEXT,
        "contact_id": NUMBER,
        "entity_type": TEXT,
        "entity_id": NUMBER,
        "status": TEXT,
        "is_in_work": FLAG,
        "rate": NUMBER,
        "created_at": NUMBER,
        "updated_at": NUMBER,
    },
    "leads": {
        "account_id": NUMBER,
        "lead_id": NUMBER,
        "name": TEXT,
        "pipeline_id": NUMBER,
        "status_id": NUMBER,
        "responsible_user_id": NUMBER,
        "price": NUMBER,
        "is_deleted": FLAG,
    },
    "users": {
        "account_id": NUMBER,
        "user_id": NUMBER,
        "name": TEXT,
        "email": TEXT,
        "amojo_id": TEXT,
        "group_name": TEXT,
    },
    "pipelines": {
        "account_id": NUMBER,
        "pipeline_id": NUMBER,
        "status_id": NUMBER,
        "pipeline_name": TEXT,
        "status_name": TEXT,
    },
    "accounts": {"account_id": NUMBER, "amojo_id": TEXT, "timezone": TEXT},
    "runs": {
        "scope_id": TEXT,
        "run_started_at": MOMENT,
        "shard": TEXT,
        "run_ended_at": MOMENT,
        "outcome": TEXT,
    },
}
"""Of each stream the columns that the models could take, and a few that they leave."""


@dataclass(frozen=True)
class Hours:
    """A line of the seed of office hours.

    Attributes:
        account_id: The account; None for all that have no line of their own.
        weekday: 1 for Monday.
        opens_at: Such as `09:00`, by the clock on the wall.
        closes_at: Up to `24:00`.
    """

    account_id: int | None
    weekday: int
    opens_at: str
    closes_at: str

    def __str__(self) -> str:
        """Write it as the seed has it."""
        account = self.account_id or ""
        return f"{account},{self.weekday},{self.opens_at},{self.closes_at}"


@dataclass(frozen=True)
class Holiday:
    """A line of the seed of holidays."""

    account_id: int | None
    day: date


@dataclass(frozen=True)
class Variables:
    """What the dbt project is told."""

    target_minutes: int = 15
    expiry_days: int = 14
    unknown_ends_wait: bool = True
    bots: tuple[str, ...] = ()
    humans: tuple[str, ...] = ()
    timezone: str | None = None
    personal_columns: tuple[str, ...] = ()
    as_of: datetime | None = None

    def as_dbt_has_them(self) -> dict[str, Any]:
        """Name them as the project does."""
        told = {
            "kommo_target_minutes": self.target_minutes,
            "kommo_expiry_days": self.expiry_days,
            "kommo_unknown_ends_wait": self.unknown_ends_wait,
            "kommo_bots": list(self.bots),
            "kommo_humans": list(self.humans),
            "kommo_personal_columns": list(self.personal_columns),
        }
        if self.timezone:
            told["kommo_timezone"] = self.timezone
        if self.as_of:
            told["kommo_as_of"] = str(self.as_of)
        return told


@dataclass(frozen=True)
class World:
    """All that the tables are made of.

    Attributes:
        tables: The rows by stream. A stream that is not there was not loaded.
        hours: The seed of office hours.
        holidays: The seed of holidays.
        variables: The project's variables.
    """

    tables: dict[str, list[Row]] = field(default_factory=dict)
    hours: tuple[Hours, ...] = ()
    holidays: tuple[Holiday, ...] = ()
    variables: Variables = field(default_factory=Variables)

    def rows(self, stream: str) -> list[Row]:
        """Return a stream's rows; none where it was not loaded."""
        return self.tables.get(stream, [])

    def as_of(self) -> datetime | None:
        """Say up to when all that was sent is there: of the latest complete run."""
        if self.variables.as_of:
            return self.variables.as_of
        return max(
            (
                row["run_started_at"]
                for row in self.rows("runs")
                if row["outcome"] == "complete"
            ),
            default=self._newest(),
        )

    def _newest(self) -> datetime | None:
        return max(self._moments(), default=None)

    def _moments(self) -> Iterator[datetime]:
        for stream, column in (
            ("chat_history", "sent_at"),
            ("talk_messages", "sent_at"),
            ("chat_events", "happened_at"),
        ):
            for row in self.rows(stream):
                yield row[column]
