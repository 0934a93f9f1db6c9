"""Conversations of every kind, drawn by hypothesis."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.transform.offices import (
    AMOJO_USERS,
    GONE_USER,
    HOLIDAYS,
    HOURS,
    USERS,
    ZONES,
)
from tests.transform.world import Row, World

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")

_STARTS = tuple(
    datetime.fromisoformat(text)
    for text in (
        "2024-03-10T05:00:00",  # the clock goes forward in New York
        "2024-03-31T00:00:00",  # in Lisbon
        "2024-11-03T03:30:00",  # back in New York and Havana
        "2024-10-27T00:20:00",  # in Lisbon
        "2024-11-27T22:00:00",
        "2024-12-31T23:00:00",
        "2025-02-04T17:20:00",  # an ordinary day
    )
)
AS_OF = datetime.fromisoformat("2025-02-16T08:00:00.250")
"""When the first run began: within two weeks of the last of these."""
_SECOND, _MINUTE, _HOUR, _DAY = 1_000, 60_000, 3_600_000, 86_400_000
_GAPS = (
    *(0, 1, 400, _SECOND, 2 * _SECOND),
    *(_MINUTE, 15 * _MINUTE - _SECOND, 15 * _MINUTE, 15 * _MINUTE + _SECOND),
    *(_HOUR, 5 * _HOUR, 11 * _HOUR, _DAY, 3 * _DAY),
    *(14 * _DAY, 14 * _DAY + _SECOND, 15 * _DAY),
)
_KINDS = (
    *("customer",) * 8,
    *("agent",) * 4,
    *("nameless agent", "gone agent", "bot", "bot", "unknown", "unknown"),
    *("failed", "close", "close", "new talk", "weird"),
)

# How much of a conversation is loaded.
WAYS = (
    *("own", "own of no talk", "own without CRM"),
    *("native", "native of no talk", "events", "events of no talk"),
)


@dataclass(frozen=True)
class Item:
    """Something that happens in a conversation.

    Attributes:
        kind: What it is, one of the above.
        gap_ms: How long after the one before.
        who: Which user, where it is one's.
        has_event: Whether an event of it is loaded.
    """

    kind: str
    gap_ms: int
    who: int
    has_event: bool


@dataclass(frozen=True)
class Chat:
    """A conversation: its items, and how much of it is loaded."""

    way: str
    account_id: int
    starts_at: datetime
    items: tuple[Item, ...]
    has_lead: bool
    talk_begins_late: bool


def drawn(strategy: st.SearchStrategy[T], count: int) -> list[T]:
    """Let hypothesis draw many values at once, as each build takes seconds.

    Args:
        strategy: What to draw.
        count: How many.
    """
    found: list[T] = []

    @settings(
        max_examples=count, phases=[Phase.generate], database=None, derandomize=True
    )
    @given(strategy)
    def collect(value: T) -> None:
        found.append(value)

    collect()
    return found


def chats() -> st.SearchStrategy[Chat]:
    """Draw a conversation."""
    item = st.builds(
        Item,
        kind=st.sampled_from(_KINDS),
        gap_ms=st.sampled_from(_GAPS),
        who=st.sampled_from(USERS),
        has_event=st.booleans(),
    )
    return st.builds(
        Chat,
        way=st.sampled_from(WAYS),
        account_id=st.sampled_from(tuple(ZONES)),
        starts_at=st.sampled_from(_STARTS),
        items=st.lists(item, min_size=1, max_size=14).map(tuple),
        has_lead=st.booleans(),
        talk_begins_late=st.booleans(),
    )


def world_of(all_chats: Iterable[Chat]) -> World:
    """Load conversations, some of which are going on."""
    world = World(
        tables={
            "chat_history": [],
            "talk_messages": [],
            "chat_events": [],
            "conversations": [],
            "talks": [],
            "leads": [],
            "users": _users(),
            "pipelines": [],
            "accounts": [
                {"account_id": id_, "amojo_id": f"amojo{id_}", "timezone": zone}
                for id_, zone in ZONES.items()
            ],
            "runs": [],
        },
        hours=HOURS,
        holidays=HOLIDAYS,
    )
    for number, chat in enumerate(all_chats):
        _Loaded(world, number, chat).load()
    world.rows("runs").append(run_at(AS_OF))
    return world


def run_at(moment: datetime) -> Row:
    """Return a row of a run that began at a time."""
    return {
        "scope_id": "channel_nobody",
        "run_started_at": moment,
        "shard": "1/1",
        "run_ended_at": moment,
        "outcome": "complete",
    }


def _users() -> list[Row]:
    return [
        {
            "account_id": account_id,
            "user_id": user_id,
            "name": f"Agent {user_id}",
            "email": f"agent{user_id}@example.com",
            "amojo_id": AMOJO_USERS.get(user_id),
            "group_name": "Sales",
        }
        for account_id in ZONES
        for user_id in USERS
    ]


class _Loaded:
    """One conversation on its way into the tables."""

    def __init__(self, world: World, number: int, chat: Chat) -> None:
        self._tables = world.tables
        self._number = number
        self._chat = chat
        self._conversation_id = f"chat-{number}"
        self._talk_id = 100 * number + 1
        self._ids = itertools.count(1)

    @property
    def _has_crm(self) -> bool:
        return self._chat.way != "own without CRM"

    def load(self) -> None:
        """Put all its rows into the tables."""
        at = self._chat.starts_at
        if self._chat.way.startswith("own"):
            self._tables["conversations"].append(
                {
                    "conversation_id": self._conversation_id,
                    "account_id": self._chat.account_id if self._has_crm else None,
                    "scope_id": self._scope,
                    "run_started_at": at,
                    "outcome": "read",
                }
            )
        self._open_talk(at + timedelta(seconds=3 * self._chat.talk_begins_late))
        for item in self._chat.items:
            at += timedelta(milliseconds=item.gap_ms)
            if item.kind == "close":
                self._event("talk_closed", at, None, item.who)
                self._talk["is_in_work"] = False
            elif item.kind == "new talk":
                self._talk_id += 1
                self._open_talk(at)
            else:
                self._say(item, at)

    @property
    def _scope(self) -> str:
        amojo = f"amojo{self._chat.account_id}" if self._has_crm else "elsewhere"
        return f"channel_{amojo}"

    def _open_talk(self, at: datetime) -> None:
        self._talk: Row = {
            "account_id": self._chat.account_id,
            "talk_id": self._talk_id,
            "chat_id": self._conversation_id,
            "origin": "amo.ext.1" if self._chat.way.startswith("own") else "waba",
            "contact_id": 5,
            "entity_type": "lead" if self._chat.has_lead else "customer",
            "entity_id": self._talk_id,
            "status": "in_work",
            "is_in_work": True,
            "rate": 0,
            "created_at": int((at - datetime(1970, 1, 1)).total_seconds()),  # noqa: DTZ001
            "updated_at": 0,
        }
        if not self._has_crm or self._chat.way.endswith("of no talk"):
            return
        self._tables["talks"].append(self._talk)
        if self._chat.has_lead:
            self._tables["leads"].append(
                {
                    "account_id": self._chat.account_id,
                    "lead_id": self._talk_id,
                    "name": "A kitchen",
                    "pipeline_id": 1,
                    "status_id": 142,
                    "responsible_user_id": USERS[self._number % len(USERS)],
                    "price": 10,
                    "is_deleted": False,
                }
            )

    def _say(self, item: Item, at: datetime) -> None:
        message_id = f"m-{self._number}-{next(self._ids)}"
        incoming = item.kind == "customer"
        direction = "incoming" if incoming else "outgoing"
        if item.has_event or self._chat.way.startswith("events"):
            by = 0
            if item.kind in {"agent", "failed"}:
                by = item.who
            elif item.kind == "gone agent":
                by = GONE_USER
            self._event(f"{direction}_chat_message", at, message_id, by)
        if self._chat.way.startswith("own"):
            self._tables["chat_history"].append(
                {
                    "scope_id": self._scope,
                    "conversation_id": self._conversation_id,
                    "message_id": message_id,
                    "sent_at": at,
                    "direction": direction,
                    "sender": self._sender(item),
                    "receiver": None if incoming else {"id": "customer"},
                    "message": {"id": message_id, "type": "text", "text": "Hello 👋"},
                    "extra": None,
                }
            )
        elif self._chat.way.startswith("native"):
            self._tables["talk_messages"].append(
                {
                    "account_id": self._chat.account_id,
                    "conversation_id": self._conversation_id,
                    "message_id": message_id,
                    "talk_id": self._talk_id,
                    "sent_at": at,
                    "direction": direction,
                    "origin": "waba",
                    "author": self._author(item),
                    "message_type": "text",
                    "text": "Hello 👋",
                    "delivery_status": None
                    if incoming
                    else "error"
                    if item.kind == "failed"
                    else "delivered",
                }
            )

    def _sender(self, item: Item) -> Row:
        if item.kind == "customer":
            return {
                "id": f"customer-{self._number}",
                "name": "Ana",
                "phone": "+12025550100",
                "email": "ana@example.com",
            }
        if item.kind == "agent":
            return {"id": f"amojo-{item.who}", "name": "By the API's name"}
        if item.kind == "bot":
            return {"id": "own-bot", "name": "Night desk"}
        return {"id": "somebody", "name": "Somebody"}

    def _author(self, item: Item) -> Row | None:
        kinds: dict[str, Row] = {
            "customer": {"type": "external"},
            "bot": {"type": "bot"},
            "agent": {"type": "internal", "user_id": item.who},
            "failed": {"type": "internal", "user_id": item.who},
            "gone agent": {"type": "internal", "user_id": GONE_USER},
            "nameless agent": {"type": "internal"},
        }
        if item.kind == "weird":
            return None
        author = {"id": item.kind, "name": f"The {item.kind}", "avatar_url": ""}
        return {**author, **kinds.get(item.kind, {})}

    def _event(
        self, kind: str, at: datetime, message_id: str | None, user_id: int
    ) -> None:
        if not self._has_crm:
            return
        self._tables["chat_events"].append(
            {
                "account_id": self._chat.account_id,
                "event_id": f"e-{self._number}-{next(self._ids)}",
                "type": kind,
                # The CRM tells whole seconds.
                "happened_at": at.replace(microsecond=0),
                "talk_id": self._talk_id,
                "message_id": message_id,
                "origin": "waba" if self._chat.way.startswith("events") else None,
                "contact_id": 5,
                "created_by": user_id,
            }
        )


def changed(world: World, chats_after: Iterable[Chat], first_number: int) -> World:
    """Return a world a few days later: rows are late, edited and gone, all kinds.

    Args:
        world: The world before.
        chats_after: Conversations that begin since.
        first_number: The number of the first of them.
    """
    tables: dict[str, list[Row]] = {
        name: [dict(row) for row in rows] for name, rows in world.tables.items()
    }
    later = replace(world, tables=tables)
    for number, chat in enumerate(chats_after, first_number):
        _Loaded(later, number, chat).load()
    for place, row in enumerate(world.rows("talk_messages")):
        if place % 9 == 1:
            tables["talk_messages"][place]["delivery_status"] = "error"
        if place % 9 == 2:
            late: dict[str, Any] = {
                **row,
                "message_id": f"late-{row['message_id']}",
                "sent_at": row["sent_at"] - timedelta(minutes=30),
            }
            tables["talk_messages"].append(late)
    gone = {id(row) for row in tables["chat_history"][::13]}
    tables["chat_history"] = [
        row for row in tables["chat_history"] if id(row) not in gone
    ]
    for row in tables["chat_history"][::7]:
        row["sender"] = {"id": "amojo-2", "name": "Edited"}
    for row in tables["leads"][::5]:
        row["responsible_user_id"] = USERS[2]
    for row in tables["talks"][::6]:
        row["is_in_work"] = not row["is_in_work"]
    return later
