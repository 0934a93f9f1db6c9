"""Who wrote what, in which talk: the messages of all channels, worked out plainly."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.transform.clock import Office, office_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.transform.world import Row, World

MESSAGE_EVENTS = {"incoming_chat_message", "outgoing_chat_message"}
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - all times are in UTC, as they are loaded
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Message:
    """A message, as `kommo_messages` should have it."""

    account_id: int | None
    conversation_id: str
    message_id: str
    talk_id: int | None
    lead_id: int | None
    origin: str | None
    stream: str
    sent_at: datetime
    local_day: date
    actor: str
    author_id: str | None
    author_name: str | None
    author_user_id: int | None
    credited_user_id: int | None
    message_type: str | None
    is_failed: bool
    is_reply: bool
    is_business_hours: bool


@dataclass(frozen=True)
class Event:
    """A chat event, and the conversation it is of."""

    row: Row
    conversation_id: str

    @property
    def at(self) -> datetime:
        """When it happened."""
        moment: datetime = self.row["happened_at"]
        return moment


class People:
    """All messages of a world, and what they are worked out from."""

    def __init__(self, world: World) -> None:
        """Work them out.

        Args:
            world: What was loaded.
        """
        self.world = world
        self._offices: dict[int | None, Office] = {}
        self._accounts = {
            r["amojo_id"]: r["account_id"] for r in world.rows("accounts")
        }
        self._users = {
            (row["account_id"], row["user_id"]): row for row in world.rows("users")
        }
        self._leads = {
            (row["account_id"], row["lead_id"]): row for row in world.rows("leads")
        }
        self.talks = {
            (row["account_id"], row["talk_id"]): row for row in world.rows("talks")
        }
        self.talks_of: dict[str, list[Row]] = {}
        for row in world.rows("talks"):
            self.talks_of.setdefault(row["chat_id"], []).append(row)
        self.events = list(self._events())
        self._told: dict[tuple[str, str], Row] = {}
        for event in self.events:
            if event.row["type"] in MESSAGE_EVENTS and event.row["message_id"]:
                self._told[event.conversation_id, event.row["message_id"]] = event.row
        self.messages = list(self._messages())

    def office(self, account_id: int | None) -> Office:
        """Return the office hours of an account."""
        if account_id not in self._offices:
            self._offices[account_id] = office_of(self.world, account_id)
        return self._offices[account_id]

    def user(self, account_id: int | None, user_id: int | None) -> Row:
        """Return a user; an empty row for one who is not known."""
        return self._users.get((account_id or -1, user_id or -1), {})

    def lead(self, account_id: int | None, lead_id: int | None) -> Row:
        """Return a lead; an empty row for one that is not known."""
        return self._leads.get((account_id or -1, lead_id or -1), {})

    def _events(self) -> Iterator[Event]:
        by_message = {
            row["message_id"]: row["conversation_id"]
            for stream in ("chat_history", "talk_messages")
            for row in self.world.rows(stream)
        }
        unknown: dict[tuple[int, int], set[str]] = {}
        for row in self.world.rows("chat_events"):
            key = row["account_id"], row["talk_id"]
            if key not in self.talks and row["message_id"] in by_message:
                unknown.setdefault(key, set()).add(by_message[row["message_id"]])
        for row in self.world.rows("talk_messages"):
            key = row["account_id"], row["talk_id"]
            if key not in self.talks:
                unknown.setdefault(key, set()).add(row["conversation_id"])
        for row in self.world.rows("chat_events"):
            key = row["account_id"], row["talk_id"]
            if key in self.talks:
                yield Event(row, self.talks[key]["chat_id"])
            elif key in unknown:
                yield Event(row, min(unknown[key]))
            elif row["talk_id"] is not None:
                yield Event(row, f"talk {key[0]}/{key[1]}")

    def _messages(self) -> Iterator[Message]:
        seen = set()
        for row in self.world.rows("chat_history"):
            seen.add((row["conversation_id"], row["message_id"]))
            yield self._own(row)
        for row in self.world.rows("talk_messages"):
            key = row["conversation_id"], row["message_id"]
            if key not in seen:
                seen.add(key)
                yield self._native(row)
        for key, row in self._told.items():
            if key not in seen:
                yield self._of_event(key[0], row)

    def _own(self, row: Row) -> Message:
        conversation_id = row["conversation_id"]
        told = self._told.get((conversation_id, row["message_id"]), {})
        account_id = self._account_of(row, told)
        talk_id = told.get("talk_id") or self._nearest(conversation_id, row["sent_at"])
        sender = row["sender"] or {}
        user_id = next(
            (
                user["user_id"]
                for user in self.world.rows("users")
                if user["account_id"] == account_id
                and user["amojo_id"]
                and user["amojo_id"] == sender.get("id")
            ),
            None,
        )
        return self._message(
            row,
            account_id,
            talk_id,
            stream="chat_history",
            origin=told.get("origin"),
            scope_id=row["scope_id"],
            author=sender,
            ids=(user_id, told.get("created_by") or None),
            message_type=(row["message"] or {}).get("type"),
        )

    def _native(self, row: Row) -> Message:
        told = self._told.get((row["conversation_id"], row["message_id"]), {})
        author = row["author"] or {}
        user_id = next(
            (
                user["user_id"]
                for user in self.world.rows("users")
                if user["account_id"] == row["account_id"]
                and user["amojo_id"]
                and user["amojo_id"] == author.get("id")
            ),
            None,
        )
        return self._message(
            row,
            row["account_id"],
            told.get("talk_id") or row["talk_id"],
            stream="talk_messages",
            origin=row["origin"] or told.get("origin"),
            author=author,
            ids=(author.get("user_id"), user_id, told.get("created_by") or None),
            message_type=row["message_type"],
            is_failed=row["delivery_status"] == "error",
        )

    def _of_event(self, conversation_id: str, row: Row) -> Message:
        incoming = row["type"] == "incoming_chat_message"
        return self._message(
            {
                **row,
                "conversation_id": conversation_id,
                "sent_at": row["happened_at"],
                "direction": "incoming" if incoming else "outgoing",
            },
            row["account_id"],
            row["talk_id"],
            stream="chat_events",
            origin=row["origin"],
            author={},
            ids=(row["created_by"] or None,),
        )

    def _message(  # noqa: PLR0913 - each is a fact of its own
        self,
        row: Row,
        account_id: int | None,
        talk_id: int | None,
        *,
        stream: str,
        origin: str | None,
        author: Row,
        ids: tuple[int | None, ...],
        scope_id: str | None = None,
        message_type: str | None = None,
        is_failed: bool = False,
    ) -> Message:
        talk = self.talks.get((account_id or -1, talk_id or -1), {})
        lead_id = talk["entity_id"] if talk.get("entity_type") == "lead" else None
        user_ids = [each for each in ids if each]
        actor = self._actor(row["direction"], author, user_ids)
        user_id = user_ids[0] if user_ids and actor == "agent" else None
        responsible = self.lead(account_id, lead_id).get("responsible_user_id")
        office = self.office(account_id)
        ending = {"agent", "unknown"} if self._unknown_ends else {"agent"}
        return Message(
            account_id=account_id,
            conversation_id=row["conversation_id"],
            message_id=row["message_id"],
            talk_id=talk_id,
            lead_id=lead_id,
            origin=origin or talk.get("origin") or scope_id,
            stream=stream,
            sent_at=row["sent_at"],
            local_day=office.local_day(row["sent_at"]),
            actor=actor,
            author_id=author.get("id"),
            author_name=self.user(account_id, user_id).get("name")
            or author.get("name"),
            author_user_id=user_id,
            credited_user_id=(user_id or responsible or None)
            if actor in {"agent", "unknown"}
            else None,
            message_type=message_type,
            is_failed=is_failed,
            is_reply=actor in ending and not is_failed,
            is_business_hours=office.is_open(row["sent_at"]),
        )

    @property
    def _unknown_ends(self) -> bool:
        return self.world.variables.unknown_ends_wait

    def _actor(self, direction: str, author: Row, user_ids: list[int]) -> str:
        if direction == "incoming":
            return "customer"
        names = {author.get("id"), author.get("name"), *map(str, user_ids)}
        if names & set(self.world.variables.humans):
            return "agent"
        if names & set(self.world.variables.bots):
            return "bot"
        kind = author.get("type")
        if kind in {"bot", "internal"}:
            return "bot" if kind == "bot" else "agent"
        return "agent" if user_ids else "unknown"

    def _account_of(self, row: Row, told: dict[str, Any]) -> int | None:
        by_scope = self._accounts.get(row["scope_id"].rpartition("_")[2])
        if by_scope is not None:
            return int(by_scope)
        known = [
            other["account_id"]
            for other in self.world.rows("conversations")
            if other["conversation_id"] == row["conversation_id"]
            and other["account_id"] is not None
        ]
        known += [
            t["account_id"] for t in self.talks_of.get(row["conversation_id"], ())
        ]
        return max(known) if known else told.get("account_id")

    def _nearest(self, conversation_id: str, sent_at: datetime) -> int | None:
        began = [
            (talk["created_at"], talk["talk_id"])
            for talk in self.talks_of.get(conversation_id, ())
            if _EPOCH + timedelta(seconds=talk["created_at"])
            <= sent_at.replace(microsecond=0) + _MINUTE
        ]
        return max(began)[1] if began else None
