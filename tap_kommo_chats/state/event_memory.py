"""Which events were acted on: count and digest of each quarter of an hour.

Searches overlap, because an event may show up late, and so find most of what the last
one found again. Of a quarter of an hour that is as it was nothing has to be done again.
One in which an event came late is acted on as a whole: more is done then, never less.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from tap_kommo_chats.times import HOUR_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

QUARTER_MS = HOUR_MS // 4

_DIGEST_BYTES = 8
_MODULUS = 1 << (8 * _DIGEST_BYTES)


class _Event(Protocol):
    """What is remembered of an event.

    Attributes:
        event_id: Kommo's id of it; None when it has none.
        at_ms: When it happened, in milliseconds since 1970.
    """

    @property
    def event_id(self) -> str | None: ...

    @property
    def at_ms(self) -> int: ...


E = TypeVar("E", bound=_Event)


def quarter_begin(at_ms: int) -> int:
    """Return where a quarter of an hour begins, in milliseconds since 1970."""
    return at_ms // QUARTER_MS * QUARTER_MS


@dataclass(slots=True)
class _Count:
    """How many events there were, and a sum that tells them from others."""

    events: int = 0
    total: int = 0

    def add(self, event_id: str) -> None:
        digest = hashlib.blake2b(event_id.encode(), digest_size=_DIGEST_BYTES)
        self.events += 1
        # A sum, because the order in which a server gives them may change.
        self.total += int.from_bytes(digest.digest(), "big")

    def __str__(self) -> str:
        total = (self.total % _MODULUS).to_bytes(_DIGEST_BYTES, "big")
        return f"{self.events} {b64encode(total)[:-1].decode()}"


class EventMemory(Generic[E]):
    """What the last search acted on, and what this one finds."""

    def __init__(self, remembered: Mapping[str, str], until_ms: int | None) -> None:
        """Take over what the last search wrote.

        Args:
            remembered: What `written` gave then; nothing when there was none.
            until_ms: Where that search ended, in milliseconds since 1970; None when
                there was none. Later events are new.
        """
        self._remembered = remembered if until_ms is not None else {}
        self._until_ms = 0 if until_ms is None else until_ms
        self._found: defaultdict[int, _Count] = defaultdict(_Count)
        self._doubted: set[int] = set()

    def walk(self) -> Walk[E]:
        """Begin to go through the events of one span of time.

        A span that was parted begins and ends where a quarter of an hour does.
        """
        return Walk(self)

    def note(self, event: E) -> bool:
        """Note an event, and tell whether it may have been acted on."""
        if event.event_id is None:
            return False
        quarter = event.at_ms // QUARTER_MS
        self._found[quarter].add(event.event_id)
        return event.at_ms <= self._until_ms and str(quarter) in self._remembered

    def doubt(self, at_ms: int) -> None:
        """Note that an event could not be acted on, and will have to be."""
        self._doubted.add(at_ms // QUARTER_MS)

    def is_as_it_was(self, quarter: int, count: _Count) -> bool:
        """Tell whether nothing came to a quarter of an hour since the last search."""
        return self._remembered.get(str(quarter)) == str(count)

    def written(self, since_ms: int) -> dict[str, str]:
        """Write for the next search what this one found from some time on."""
        first = since_ms // QUARTER_MS
        return {
            str(quarter): str(count)
            for quarter, count in sorted(self._found.items())
            if quarter >= first and quarter not in self._doubted
        }


@dataclass(slots=True)
class Walk(Generic[E]):
    """Picks the events of one span of time that have to be acted on."""

    memory: EventMemory[E]
    _held: dict[int, list[E]] = field(default_factory=dict)
    _last_page: frozenset[str | None] = frozenset()

    def take(self, events: Iterable[E]) -> list[E]:
        """Take the events of some pages, and return those to act on now."""
        page = list(events)
        # Pages shift when an event shows up late, and then begin with what was seen.
        seen = {*self._last_page} - {None}
        self._last_page = frozenset(event.event_id for event in page)
        now = []
        for event in page:
            if event.event_id in seen:
                continue
            if event.event_id is not None:
                seen.add(event.event_id)
            if self.memory.note(event):
                self._held.setdefault(event.at_ms // QUARTER_MS, []).append(event)
            else:
                now.append(event)
        newest = max((event.at_ms for event in page), default=0) // QUARTER_MS
        # The newest come first (noted by users). Where they do not, a quarter of an
        # hour is judged in parts, none of which is as the whole was.
        return [*now, *self._judge(q for q in list(self._held) if q > newest)]

    def end(self) -> list[E]:
        """Return what of the rest has to be acted on."""
        return self._judge(list(self._held))

    def _judge(self, quarters: Iterable[int]) -> list[E]:
        changed: list[E] = []
        for quarter in quarters:
            events = self._held.pop(quarter)
            count = _Count()
            for event in events:
                if event.event_id is not None:
                    count.add(event.event_id)
            if not self.memory.is_as_it_was(quarter, count):
                changed += events
        return changed
