"""The CRM's chat events of a span of time, and what each tells."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeAlias

from tap_kommo_chats.errors import BadRequestError
from tap_kommo_chats.integers import read_id
from tap_kommo_chats.kommo.pages import Ending
from tap_kommo_chats.records.talks import Owner
from tap_kommo_chats.sources.split import FIRST_PAGES, Span, split
from tap_kommo_chats.times import SECOND_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

    from tap_kommo_chats.kommo.crm import CrmApi
    from tap_kommo_chats.kommo.pages import Page
    from tap_kommo_chats.state.event_memory import EventMemory

MESSAGE_TYPES = ("incoming_chat_message", "outgoing_chat_message")
_TALK_CLOSED = "talk_closed"
_TALK_TYPES = ("talk_created", _TALK_CLOSED)
_OWNERS = ("contact", "lead", "customer")


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


@dataclass(frozen=True, slots=True)
class Event:
    """What an event tells.

    Attributes:
        event_id: Kommo's id of it; None when it has none.
        talk_id: The talk it names; None when it names none.
        owner: Whom it is about; None when it does not tell.
        origin: The channel, where it is about a message and tells.
        at_ms: When it happened, in milliseconds since 1970; the end of the window when
            it does not tell, which is the latest that can be.
        is_activity: Whether something new is in the conversation: a message, or the
            beginning of a talk, which may have one that no event tells of.
        is_message: Whether that is a message.
    """

    event_id: str | None
    talk_id: int | None
    owner: Owner | None
    origin: str | None
    at_ms: int
    is_activity: bool
    is_message: bool


def read_event(value: object, until_ms: int) -> Event | None:
    """Read an event leniently; None when what stands in its place is no object.

    Args:
        value: The event as the CRM gave it.
        until_ms: The end of the window, in milliseconds since 1970.
    """
    if not isinstance(value, dict):
        return None
    kind, message = value.get("type"), _message(value)
    talk_id = read_id(message.get("talk_id"))
    if talk_id is None and value.get("entity_type") == "talk":
        talk_id = read_id(value.get("entity_id"))
    origin = message.get("origin")
    created_at = read_id(value.get("created_at"))
    event_id = value.get("id")
    return Event(
        event_id if isinstance(event_id, str) else None,
        talk_id,
        _owner(value),
        origin if isinstance(origin, str) and kind not in _TALK_TYPES else None,
        until_ms if created_at is None else min(created_at * SECOND_MS, until_ms),
        kind != _TALK_CLOSED,
        kind in MESSAGE_TYPES,
    )


Together: TypeAlias = """Callable[
    [list[Span], Callable[[Span], Iterable[Page]]], Iterator[tuple[Span, Page | None]]
]"""
"""Goes through the pages of several spans at once. After the last page of a span comes
None."""


class ChatEvents:
    """The events of a window that have to be acted on, once.

    Attributes:
        window: The time to look at.
        memory: Tells what the last search acted on.
        refused: The types that the CRM does not take.
        is_endless: Whether its pages did not come to an end, so that some may be
            missing.
    """

    def __init__(
        self,
        crm: CrmApi,
        window: Window,
        memory: EventMemory[Event],
        together: Together,
    ) -> None:
        """Say what to look for; nothing is asked yet.

        Args:
            crm: The account's CRM.
            window: The time to look at.
            memory: Tells what the last search acted on.
            together: Goes through several spans at once.
        """
        self.refused: list[str] = []
        self.is_endless = False
        self._crm = crm
        self.window = window
        self.memory = memory
        self._together = together

    def __iter__(self) -> Iterator[list[Event]]:
        """Yield the events of each page, perhaps of several mixed.

        Raises:
            BadRequestError: If the CRM takes none of the types.
            RunError: If the CRM cannot be asked.
        """
        refusal = yield from self._walk((*MESSAGE_TYPES, *_TALK_TYPES))
        if refusal is None:
            return
        # One by one, which tells the type that is not taken from the others.
        for kind in (*MESSAGE_TYPES, *_TALK_TYPES):
            if (yield from self._walk((kind,))) is not None:
                self.refused.append(kind)
        if {*MESSAGE_TYPES} <= {*self.refused}:
            raise refusal

    def _walk(
        self, types: tuple[str, ...]
    ) -> Generator[list[Event], None, BadRequestError | None]:
        """Go through the events of some types; say if the CRM does not take them."""
        whole = Span(self.window.from_ms, self.window.to_ms)
        pages = self._crm.events(types, whole.from_ms, whole.to_ms)
        try:
            first = [next(pages)]
        except BadRequestError as error:
            return error
        first += islice(pages, FIRST_PAGES - 1)
        spans = [whole]
        seen = [event for page in first for event in self._read(page, whole)]
        # Pages that repeat themselves are not many, but a walk in circles.
        if first[-1].ending is None and len({e.event_id for e in seen}) == len(seen):
            passed_ms = whole.to_ms - min((e.at_ms for e in seen), default=0)
            spans = split(whole, passed_ms // len(first))
        if len(spans) == 1:
            walk = self.memory.walk()
            for page in chain(first, pages):
                yield walk.take(self._read(page, whole))
            yield walk.end()
            return None

        def read(span: Span) -> Iterator[Page]:
            # A second more at each edge, because nobody documents whose it is.
            begin = None if span.from_ms is None else span.from_ms - SECOND_MS
            return self._crm.events(types, begin, span.to_ms)

        walks = {span: self.memory.walk() for span in spans}
        # From the first page on once more, because nobody promises their order.
        for span, found in self._together(spans, read):
            walk = walks[span]
            yield walk.end() if found is None else walk.take(self._read(found, span))
        return None

    def _read(self, page: Page, span: Span) -> list[Event]:
        """Read those events of a page that are of a span, and of no other."""
        self.is_endless |= page.ending is Ending.ENDLESS
        events = []
        for row in page.rows:
            event = read_event(row, self.window.to_ms)
            if event is not None and self._is_of(event, row, span):
                events.append(event)
        return events

    def _is_of(self, event: Event, row: object, span: Span) -> bool:
        if isinstance(row, dict) and read_id(row.get("created_at")) is None:
            # Only the span that it came with tells when it was.
            return True
        is_youngest = span.to_ms == self.window.to_ms
        is_oldest = span.from_ms is None or span.from_ms == self.window.from_ms
        return (is_youngest or event.at_ms < span.to_ms) and (
            is_oldest or event.at_ms >= (span.from_ms or 0)
        )


def _message(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what an event tells of its message; nothing when it tells nothing."""
    values = event.get("value_after")
    value = values[0] if isinstance(values, list) and values else None
    message = value.get("message") if isinstance(value, dict) else None
    return message if isinstance(message, dict) else {}


def _owner(event: Mapping[str, Any]) -> Owner | None:
    """Return whom an event is about; the contact, if it names one."""
    embedded = event.get("_embedded")
    entity = embedded.get("entity") if isinstance(embedded, dict) else None
    contact = entity.get("linked_talk_contact_id") if isinstance(entity, dict) else None
    kind, number = event.get("entity_type"), read_id(event.get("entity_id"))
    if (contact_id := read_id(contact)) is not None:
        return Owner("contact", contact_id)
    if number is None or kind not in _OWNERS:
        return None
    return Owner(str(kind), number)
