"""Who waited for whom: one pass over each conversation, with what is open in hand."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from tests.transform.people import Event, Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.transform.people import People


@dataclass(frozen=True)
class Wait:
    """A wait, as `kommo_waits` should have it."""

    account_id: int | None
    conversation_id: str
    talk_id: int | None
    lead_id: int | None
    origin: str | None
    message_id: str
    started_at: datetime
    started_day: date
    is_started_in_business_hours: bool
    last_message_at: datetime
    customer_messages: int
    bot_messages: int
    first_bot_at: datetime | None
    state: str
    ended_at: datetime | None
    replied_at: datetime | None = None
    replied_day: date | None = None
    reply_message_id: str | None = None
    replied_by: str | None = None
    replied_by_name: str | None = None
    replied_by_user_id: int | None = None
    credited_user_id: int | None = None
    wait_seconds: int | None = None
    wait_business_seconds: int | None = None
    wait_after_bot_seconds: int | None = None
    wait_after_last_message_seconds: int | None = None
    is_first_of_talk: bool = False
    is_within_target: bool | None = None


@dataclass
class _Open:
    """A wait that has not ended yet."""

    asked: list[Message]
    bots: list[Message] = field(default_factory=list)

    @property
    def last(self) -> datetime:
        return whole(self.asked[-1].sent_at)


def whole(moment: datetime) -> datetime:
    """Cut to whole seconds, which is all that some sources tell."""
    return moment.replace(microsecond=0)


def waits_of(people: People) -> list[Wait]:
    """Work out all waits of a world."""
    by_conversation: dict[str, tuple[list[Message], list[Event]]] = {}
    for message in people.messages:
        by_conversation.setdefault(message.conversation_id, ([], []))[0].append(message)
    for event in people.events:
        if event.row["type"] == "talk_closed":
            by_conversation.setdefault(event.conversation_id, ([], []))[1].append(event)
    return [
        wait
        for messages, closings in by_conversation.values()
        for wait in _with_firsts(_Walk(people, messages, closings).waits())
    ]


def _with_firsts(waits: Iterable[Wait]) -> Iterator[Wait]:
    seen = set()
    for wait in waits:
        yield replace(wait, is_first_of_talk=wait.talk_id not in seen)
        seen.add(wait.talk_id)


class _Walk:
    """Goes through one conversation."""

    def __init__(
        self, people: People, messages: list[Message], closings: list[Event]
    ) -> None:
        self.people = people
        self.messages = messages
        self.closings = closings
        self._open: _Open | None = None
        self._last_talk: int | None = None
        self._ended_waits: list[Wait] = []

    @property
    def _expiry(self) -> timedelta:
        return timedelta(days=self.people.world.variables.expiry_days)

    def waits(self) -> list[Wait]:
        """Return the waits, in the order they began."""
        for at, what in self._in_order():
            if isinstance(what, Event):
                self._closes(at, what)
            elif what.actor == "bot":
                if self._open and at - self._open.last <= self._expiry:
                    self._open.bots.append(what)
            elif what.actor == "customer":
                self._asks(at, what)
            else:
                self._replies(at, what)
        as_of = self.people.world.as_of()
        if as_of:
            self._expire(whole(as_of))
        self._end("waiting", None)
        return self._ended_waits

    def _closes(self, at: datetime, event: Event) -> None:
        if self._last_talk in {None, event.row["talk_id"]}:
            self._expire(at)
            self._end("closed", event.at)

    def _asks(self, at: datetime, message: Message) -> None:
        self._expire(at)
        self._last_talk = message.talk_id
        if self._open:
            self._open.asked.append(message)
        else:
            self._open = _Open([message])

    def _replies(self, at: datetime, message: Message) -> None:
        self._expire(at)
        if self._open:
            self._ended_waits.append(self._answered(self._open, message))
        self._open = None

    def _expire(self, at: datetime) -> None:
        if self._open and at - self._open.last > self._expiry:
            self._end("expired", self._open.last + self._expiry)

    def _end(self, state: str, at: datetime | None) -> None:
        if self._open:
            self._ended_waits.append(self._ended(self._open, state, at))
        self._open = None

    def _in_order(self) -> list[tuple[datetime, Message | Event]]:
        """All that happened. Of one second, the customer comes first."""
        items: list[tuple[tuple[datetime, int, datetime, str], Message | Event]] = []
        for message in self.messages:
            if message.is_failed:
                continue
            if message.actor == "customer":
                place = 0
            elif message.is_reply:
                place = 2
            elif message.actor == "bot":
                place = 1
            else:
                continue
            at = message.sent_at
            items.append(((whole(at), place, at, message.message_id), message))
        items += [
            ((whole(event.at), 3, event.at, event.row["event_id"]), event)
            for event in self.closings
        ]
        items.sort(key=lambda item: item[0])
        return [(key[0], what) for key, what in items]

    def _ended(self, open_: _Open, state: str, at: datetime | None) -> Wait:
        first = open_.asked[0]
        return Wait(
            account_id=first.account_id,
            conversation_id=first.conversation_id,
            talk_id=first.talk_id,
            lead_id=first.lead_id,
            origin=first.origin,
            message_id=first.message_id,
            started_at=first.sent_at,
            started_day=first.local_day,
            is_started_in_business_hours=first.is_business_hours,
            last_message_at=max(message.sent_at for message in open_.asked),
            customer_messages=len(open_.asked),
            bot_messages=len(open_.bots),
            first_bot_at=min((bot.sent_at for bot in open_.bots), default=None),
            state=state,
            ended_at=at,
            is_within_target=False if state == "expired" else None,
        )

    def _answered(self, open_: _Open, reply: Message) -> Wait:
        first, at = whole(open_.asked[0].sent_at), whole(reply.sent_at)
        business = self.people.office(reply.account_id).seconds(first, at)
        target = 60 * self.people.world.variables.target_minutes
        return replace(
            self._ended(open_, "answered", reply.sent_at),
            replied_at=reply.sent_at,
            replied_day=reply.local_day,
            reply_message_id=reply.message_id,
            replied_by=reply.actor,
            replied_by_name=reply.author_name,
            replied_by_user_id=reply.author_user_id,
            credited_user_id=reply.credited_user_id,
            wait_seconds=_seconds(at - first),
            wait_business_seconds=business,
            wait_after_bot_seconds=_seconds(at - whole(open_.bots[-1].sent_at))
            if open_.bots
            else None,
            wait_after_last_message_seconds=_seconds(at - open_.last),
            is_within_target=business <= target,
        )


def _seconds(span: timedelta) -> int:
    return int(span.total_seconds())
