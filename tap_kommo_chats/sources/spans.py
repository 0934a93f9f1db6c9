"""Going through the events of a span of time, several parts of it at once."""

from __future__ import annotations

from collections import defaultdict, deque
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from tap_kommo_chats.sources.split import FIRST_PAGES, Span, part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_kommo_chats.kommo.pages import Ending, Page
    from tap_kommo_chats.sources.together import Together


class _Event(Protocol):
    """What has to be known of an event.

    Attributes:
        event_id: Kommo's id of it; None when it has none.
        at_ms: When it happened, in milliseconds since 1970.
        is_dated: Whether it tells that itself.
    """

    @property
    def event_id(self) -> str | None: ...

    @property
    def at_ms(self) -> int: ...

    @property
    def is_dated(self) -> bool: ...


E = TypeVar("E", bound=_Event)


@dataclass(frozen=True, slots=True)
class _Read(Generic[E]):
    """A page that was read."""

    events: list[E]
    ending: Ending | None


class SpanWalk(Generic[E]):
    """A walk through all events of a span, each at least once."""

    def __init__(
        self,
        pages_of: Callable[[Span], Iterator[Page]],
        together: Together,
        read: Callable[[Page], list[E]],
    ) -> None:
        """Say how to walk; nothing is asked yet.

        Args:
            pages_of: Asks for the pages of a span, one after the other.
            together: Goes through several spans at once.
            read: Reads the events of a page.
        """
        self._pages_of = pages_of
        self._together = together
        self._read = read

    def walk(self, whole: Span) -> Iterator[tuple[Span, list[E] | None]]:
        """Go through a span.

        Yields:
            Events with the part of the span that they are of, those of several parts
            mixed. None after the last events of a part.
        """
        spans = deque([replace(whole, pages_at_most=FIRST_PAGES)])
        held: defaultdict[Span, list[_Read[E]]] = defaultdict(list)
        with closing(self._together(spans, self._first_pages_of)) as coming:
            for span, page in coming:
                if page is None:
                    yield from self._end(span, held.pop(span, []), whole, spans)
                    continue
                events = self._read(page)
                if any(e.is_dated and span.is_exceeded_by(e.at_ms) for e in events):
                    break
                if span.pages_at_most is None:
                    yield span, _events_of(span, whole, events)
                else:
                    held[span].append(_Read(events, page.ending))
            else:
                return
        # A server that does not heed a span gives all events to each.
        for page in self._pages_of(whole):
            yield whole, self._read(page)
        yield whole, None

    def _first_pages_of(self, span: Span) -> Iterator[Page]:
        return islice(self._pages_of(span), span.pages_at_most)

    def _end(
        self, span: Span, pages: list[_Read[E]], whole: Span, spans: deque[Span]
    ) -> Iterator[tuple[Span, list[E] | None]]:
        """End a span, or part it when there is more of it."""
        if pages and pages[-1].ending is None:
            ids = [event.event_id for page in pages for event in page.events]
            if len(set(ids)) < len(ids):
                # Pages that repeat themselves are not many, but a walk in circles.
                spans.append(replace(span, pages_at_most=None))
                return
            parted = part(
                span, [[e.at_ms for e in p.events if e.is_dated] for p in pages]
            )
            _add(parted.rest, spans)
            if parted.read is None:
                return
            span = parted.read
        # All at once, because what they lead to is then asked for at once.
        yield (
            span,
            _events_of(span, whole, chain.from_iterable(p.events for p in pages)),
        )
        yield span, None


def _add(rest: list[Span], spans: deque[Span]) -> None:
    """Add spans, the longest first: its pages would else be what all wait for."""
    ordered = sorted([*spans, *rest], key=lambda span: span.length_ms, reverse=True)
    spans.clear()
    spans.extend(ordered)


def _events_of(span: Span, whole: Span, events: Iterable[E]) -> list[E]:
    """Pick those of a part of a span, and of no other part."""
    is_youngest, is_oldest = span.to_ms == whole.to_ms, span.from_ms == whole.from_ms
    return [
        event
        for event in events
        # Only the part that it came with tells when an undated one was.
        if not event.is_dated
        or (
            (is_youngest or event.at_ms < span.to_ms)
            and (is_oldest or event.at_ms >= (span.from_ms or 0))
        )
    ]
