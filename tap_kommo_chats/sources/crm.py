"""Conversations found through the CRM's chat events, and which of them changed.

An event tells that a message was sent or a talk begun, and mostly names the talk. A
talk names its conversation. So one page of events and one of talks stand for hundreds
of conversations that would have to be asked one by one.

What Kommo does not promise, and what is done about it:

- The edges of a window of time are not documented, and an event may show up late. So
  windows overlap, and the end is pinned to the start of the run.
- The list of talks may end early. It is only the beginning of the first run.
- An event may name no talk, or one that is gone. Then all talks of its contact, or of
  its lead, are taken to have changed.
"""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tap_kommo_chats.errors import BadRequestError, NotFoundError
from tap_kommo_chats.integers import read_id
from tap_kommo_chats.records.conversations import CRM, Conversation
from tap_kommo_chats.records.talks import read_talk
from tap_kommo_chats.times import SECOND_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tap_kommo_chats.kommo.crm import CrmApi, Query
    from tap_kommo_chats.records.talks import Talk
    from tap_kommo_chats.state.ledger import Ledger

logger = logging.getLogger("tap-kommo-chats")

_MESSAGE_EVENTS = ("incoming_chat_message", "outgoing_chat_message")
_EVENT_TYPES = (*_MESSAGE_EVENTS, "talk_created")
_TALKS_AT_ONCE = 50
"""Talks asked for in one request: as many as keep its address below 2 kB."""

_OWN_ORIGIN = "amo.ext."
"""How the origin of any integration's channel begins (documented by Kommo)."""


@dataclass(frozen=True, slots=True)
class _Owner:
    """Whom talks are with, or what they belong to.

    Attributes:
        kind: `contact`, `lead` or `customer`.
        number: Kommo's number of it.
    """

    kind: str
    number: int

    def query(self) -> Query:
        """Write it as the filter of the list of talks."""
        if self.kind == "contact":
            return (("filter[contact_id][]", str(self.number)),)
        return (
            ("filter[entity_id][]", str(self.number)),
            ("filter[entity_type]", self.kind),
        )

    def has(self, talk: Talk) -> bool:
        """Tell whether a talk is theirs, or does not say whose it is."""
        name = "contact_id" if self.kind == "contact" else "entity_id"
        return read_id(talk.value.get(name)) in {None, self.number}


@dataclass(frozen=True, slots=True)
class _Event:
    """What an event tells.

    Attributes:
        talk_id: The talk it names; None when it names none.
        owner: Whom it is about; None when it does not tell.
        at_ms: When it happened, in milliseconds since 1970.
        is_message: Whether it was a message.
    """

    talk_id: int | None
    owner: _Owner | None
    at_ms: int
    is_message: bool


@dataclass(frozen=True, slots=True)
class Window:
    """The time in which to look for events.

    Attributes:
        from_ms: Where it begins, in milliseconds since 1970; None for the beginning of
            all events.
        to_ms: Where it ends. It does not move while pages are read, so that these do
            not shift.
        is_first: Whether nothing was ever looked for before, so that the list of talks
            is gone through too, as far as it goes.
    """

    from_ms: int | None
    to_ms: int
    is_first: bool


class CrmSource:
    """The conversations with chat events in a window of time."""

    def __init__(
        self,
        crm: CrmApi,
        ledger: Ledger,
        origins: frozenset[str],
        window: Window,
        *,
        notes_sightings: bool = False,
    ) -> None:
        """Say what to look for; nothing is asked before it is iterated.

        Args:
            crm: The account's CRM.
            ledger: Keeps the talks that were seen, so that none is asked for twice.
            origins: The channels whose messages the Chats API gives us.
            window: The time to look at.
            notes_sightings: Whether the ledger is told when something happened in each
                talk.
        """
        self._crm = crm
        self._ledger = ledger
        self._origins = origins
        self._window = window
        self._asks_for_many = True
        self._notes_sightings = notes_sightings
        self._talks_of_owner: dict[_Owner, tuple[int, ...]] = {}
        self._skipped: Counter[str] = Counter()
        self._lost = 0

    def __iter__(self) -> Iterator[Conversation]:
        """Yield conversations as they are found, one again when it is found again.

        Raises:
            RunError: If the CRM cannot be asked.
        """
        if self._window.is_first:
            yield from self._listed()
        window = self._window
        for page in self._crm.events(_EVENT_TYPES, window.from_ms, window.to_ms):
            yield from self._of_events(page)
        self._tell()

    def _listed(self) -> Iterator[Conversation]:
        for page in self._crm.talks():
            talks = [talk for talk in map(read_talk, page) if talk is not None]
            new = [t for t in talks if not self._ledger.was_asked_for(t.talk_id)]
            if not new:
                # It may go round in circles, because its order is not documented.
                return
            for talk in new:
                self._ledger.keep_talk(talk)
                yield from self._of_talk(talk, 0)

    def _of_events(self, page: Iterable[object]) -> Iterator[Conversation]:
        events = [event for event in map(self._read_event, page) if event is not None]
        self._resolve({event.talk_id for event in events if event.talk_id is not None})
        sightings: list[tuple[int, int]] = []
        for event in events:
            talk = None if event.talk_id is None else self._ledger.talk(event.talk_id)
            talks = (
                self._talks_of(event.owner)
                if talk is None or talk.chat_id is None
                else [talk]
            )
            self._lost += not talks
            for each in talks:
                sightings.append((each.talk_id, event.at_ms))
                # All talks of a contact may be meant, or only one of them.
                has_messages = event.is_message and each is talk
                yield from self._of_talk(each, event.at_ms, has_messages=has_messages)
        if self._notes_sightings:
            self._ledger.note_sightings(sightings)

    def _read_event(self, value: object) -> _Event | None:
        """Read an event; None when it is of a channel that cannot be ours."""
        if not isinstance(value, dict):
            return None
        message = _message(value)
        origin = message.get("origin")
        if isinstance(origin, str) and not self._may_be_ours(origin):
            self._skipped[origin] += 1
            return None
        talk_id = read_id(message.get("talk_id"))
        if talk_id is None and value.get("entity_type") == "talk":
            talk_id = read_id(value.get("entity_id"))
        created_at = read_id(value.get("created_at"))
        return _Event(
            talk_id,
            _owner(value),
            # Without a time, it happened at the latest moment that can be.
            self._window.to_ms
            if created_at is None
            else min(created_at * SECOND_MS, self._window.to_ms),
            value.get("type") in _MESSAGE_EVENTS,
        )

    def _may_be_ours(self, origin: str) -> bool:
        # An integration's own channel is told by its talk, because events are not
        # documented to name it in the same way.
        return origin in self._origins or origin.startswith(_OWN_ORIGIN)

    def _of_talk(
        self, talk: Talk, at_ms: int, *, has_messages: bool = False
    ) -> Iterator[Conversation]:
        if talk.origin and talk.origin not in self._origins:
            self._skipped[talk.origin] += 1
        elif talk.chat_id is None:
            self._lost += 1
        else:
            last_activity_ms = max(at_ms, talk.updated_ms or 0)
            yield Conversation(
                talk.chat_id, CRM, last_activity_ms or None, has_messages
            )

    def _resolve(self, talk_ids: Iterable[int]) -> None:
        """Ask for the talks that are not known yet, many at once."""
        unknown = sorted(id_ for id_ in talk_ids if not self._ledger.was_asked_for(id_))
        for first in range(0, len(unknown), _TALKS_AT_ONCE):
            some = unknown[first : first + _TALKS_AT_ONCE]
            asked_for_many = self._asks_for_many and len(some) > 1
            if asked_for_many:
                self._ask_for_many(some)
            # The list may leave talks out; each alone is documented to be there.
            left = [id_ for id_ in some if not self._ledger.was_asked_for(id_)]
            for talk_id in left:
                self._ask_for_one(talk_id)
            if asked_for_many and left == some and any(map(self._ledger.talk, left)):
                # They are there, and asking for many of them gave none.
                self._asks_for_many = False

    def _ask_for_many(self, talk_ids: list[int]) -> None:
        query = tuple(("filter[talk_id][]", str(talk_id)) for talk_id in talk_ids)
        # Without the filter they are asked for one by one.
        with suppress(BadRequestError):
            for page in self._crm.talks(query):
                self._keep(page)
                if not any(map(self._ledger.was_asked_for, talk_ids)):
                    # The filter is not heeded, and what comes is the list of all.
                    break

    def _ask_for_one(self, talk_id: int) -> None:
        try:
            talk = read_talk(self._crm.talk(talk_id))
        except (NotFoundError, BadRequestError):
            talk = None
        if talk is None or talk.talk_id != talk_id:
            self._ledger.note_gone_talk(talk_id)
        else:
            self._ledger.keep_talk(talk)

    def _talks_of(self, owner: _Owner | None) -> list[Talk]:
        """Return all talks of a contact, a lead or a customer."""
        if owner is None:
            return []
        if owner not in self._talks_of_owner:
            found: list[Talk] = []
            with suppress(BadRequestError):
                for page in self._crm.talks(owner.query()):
                    theirs = [talk for talk in self._keep(page) if owner.has(talk)]
                    if not theirs:
                        # The filter is not heeded, and what comes is the list of all.
                        break
                    found += theirs
            self._talks_of_owner[owner] = tuple(talk.talk_id for talk in found)
        talks = map(self._ledger.talk, self._talks_of_owner[owner])
        return [talk for talk in talks if talk is not None]

    def _keep(self, page: Iterable[object]) -> list[Talk]:
        talks = [talk for talk in map(read_talk, page) if talk is not None]
        for talk in talks:
            self._ledger.keep_talk(talk)
        return talks

    def _tell(self) -> None:
        if self._skipped:
            origins = ", ".join(
                f"{origin} ({count})" for origin, count in self._skipped.most_common()
            )
            logger.info(
                "Left out what is not of crm_origins, because the Chats API gives "
                "an integration the messages of its own channel only: %s",
                origins,
            )
        if self._lost:
            logger.warning(
                "%d chat event(s) lead to no conversation: the CRM has neither their "
                "talk nor another one of the same contact",
                self._lost,
            )


def _message(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what an event tells of its message; nothing when it tells nothing."""
    values = event.get("value_after")
    value = values[0] if isinstance(values, list) and values else None
    message = value.get("message") if isinstance(value, dict) else None
    return message if isinstance(message, dict) else {}


def _owner(event: Mapping[str, Any]) -> _Owner | None:
    """Return whom an event is about; the contact, if it names one."""
    embedded = event.get("_embedded")
    entity = embedded.get("entity") if isinstance(embedded, dict) else None
    contact = entity.get("linked_talk_contact_id") if isinstance(entity, dict) else None
    kind, number = event.get("entity_type"), read_id(event.get("entity_id"))
    if (contact_id := read_id(contact)) is not None:
        return _Owner("contact", contact_id)
    if number is None or kind not in {"contact", "lead", "customer"}:
        return None
    return _Owner(str(kind), number)
