"""The CRM's chat events of a span of time, and what each tells."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from tap_kommo_chats.errors import BadRequestError
from tap_kommo_chats.integers import read_id
from tap_kommo_chats.kommo.pages import Ending
from tap_kommo_chats.records.talks import Owner
from tap_kommo_chats.sources.spans import SpanWalk
from tap_kommo_chats.sources.split import Span
from tap_kommo_chats.times import SECOND_MS

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from tap_kommo_chats.kommo.crm import CrmApi
    from tap_kommo_chats.kommo.pages import Page
    from tap_kommo_chats.sources.together import Together
    from tap_kommo_chats.state.event_memory import EventMemory, Walk

MESSAGE_TYPES = ("incoming_chat_message", "outgoing_chat_message")
_TALK_CLOSED = "talk_closed"
TALK_TYPES = ("talk_created", _TALK_CLOSED)
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
        is_dated: Whether it tells when it happened.
        message_id: The message it is about; None when it is about none.
        value: The event as the CRM gave it.
    """

    event_id: str | None
    talk_id: int | None
    owner: Owner | None
    origin: str | None
    at_ms: int
    is_activity: bool
    is_message: bool = False
    is_dated: bool = True
    message_id: str | None = None
    value: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)


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
    event_id, message_id = value.get("id"), message.get("id")
    return Event(
        event_id if isinstance(event_id, str) else None,
        talk_id,
        _owner(value),
        origin if isinstance(origin, str) and kind not in TALK_TYPES else None,
        until_ms if created_at is None else min(created_at * SECOND_MS, until_ms),
        kind != _TALK_CLOSED,
        kind in MESSAGE_TYPES,
        created_at is not None,
        message_id if isinstance(message_id, str) else None,
        value,
    )


class Keep(Protocol):
    """Is told of events."""

    def __call__(self, events: list[Event], /, *, is_new: bool) -> None:
        """Take in events.

        Args:
            events: Some that were met.
            is_new: Whether they are to be acted on, and may have been told of before.
        """
        ...


class ChatEvents:
    """The events of a window that have to be acted on, once.

    Attributes:
        crm: The account's CRM.
        window: The time to look at.
        memory: Tells what the last search acted on.
        together: Goes through several spans at once, or asks for other things.
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
        keep: Keep = lambda _events, *, is_new: None,  # noqa: ARG005 (whether it is told)
    ) -> None:
        """Say what to look for; nothing is asked yet.

        Args:
            crm: The account's CRM.
            window: The time to look at.
            memory: Tells what the last search acted on.
            together: See above.
            keep: Is told of all events that are met, and of those to be acted on.
        """
        self.refused: list[str] = []
        self.is_endless = False
        self.crm = crm
        self.window = window
        self.memory = memory
        self.together = together
        self._keep = keep
        self._pages_read = 0

    def __iter__(self) -> Iterator[list[Event]]:
        """Yield events, those of one or of several pages at once.

        Raises:
            BadRequestError: If the CRM takes none of the types.
            RunError: If the CRM cannot be asked.
        """
        for events in self._all():
            self._keep(events, is_new=True)
            yield events

    def _all(self) -> Iterator[list[Event]]:
        refusal = yield from self._walk((*MESSAGE_TYPES, *TALK_TYPES))
        if refusal is None:
            return
        # One by one, which tells the type that is not taken from the others.
        for kind in (*MESSAGE_TYPES, *TALK_TYPES):
            if (yield from self._walk((kind,))) is not None:
                self.refused.append(kind)
        if {*MESSAGE_TYPES} <= {*self.refused}:
            raise refusal

    def _walk(
        self, types: tuple[str, ...]
    ) -> Generator[list[Event], None, BadRequestError | None]:
        """Go through the events of some types; say if the CRM does not take them."""

        def pages_of(span: Span) -> Iterator[Page]:
            # A second more at each edge, because nobody documents whose it is.
            is_whole = span.from_ms is None or span.from_ms == self.window.from_ms
            begin = span.from_ms if is_whole else (span.from_ms or 0) - SECOND_MS
            return self.crm.events(types, begin, span.to_ms)

        whole = Span(self.window.from_ms, self.window.to_ms)
        before = self._pages_read
        walks: defaultdict[Span, Walk[Event]] = defaultdict(self.memory.walk)
        try:
            for span, events in SpanWalk(pages_of, self.together, self._read).walk(
                whole
            ):
                walk = walks[span]
                yield walk.end() if events is None else walk.take(events)
        except BadRequestError as error:
            if self._pages_read > before:
                raise
            return error
        return None

    def _read(self, page: Page) -> list[Event]:
        self._pages_read += 1
        self.is_endless |= page.ending is Ending.ENDLESS
        read = [read_event(row, self.window.to_ms) for row in page.rows]
        events = [event for event in read if event is not None]
        self._keep(events, is_new=False)
        return events


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
