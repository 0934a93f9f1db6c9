"""Which spans of time to search at once, so that a long search is bound by the rate.

The pages of one span come one after the other, because each names the next. Spans do
not wait for each other. Nobody knows beforehand how many events a span has: one that
turns out to be long is parted again. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TYPE_CHECKING

from tap_kommo_chats.state.event_memory import QUARTER_MS, quarter_begin
from tap_kommo_chats.times import DAY_MS, SECOND_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST_PAGES = 4
"""So many are gone through before anything is parted: a search that ends among them, as
most do, costs no request more."""

PAGES_EACH = 8
"""So many the youngest of several spans is expected to have. Each older one is twice as
long, because nobody knows how far back events reach."""

PAGES_AT_MOST = 16
"""A span that has more is parted."""

_EVIDENCE = 200
"""So many events in order are no chance."""

_LATE_AT_MOST = 0.1
"""As a share of all."""

_LONG_AGO_MS = 20 * 365 * DAY_MS
"""So long before its end a search has only one span more."""


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time in which to look for events.

    Attributes:
        from_ms: Where it begins, in milliseconds since 1970; None for the beginning of
            all events.
        to_ms: Where it ends. Kommo counts in seconds, so that the events of one second
            may be in two spans.
        pages_at_most: It is parted when it has more; None when it never is.
    """

    from_ms: int | None
    to_ms: int
    pages_at_most: int | None = PAGES_AT_MOST

    @property
    def length_ms(self) -> int:
        """How long it is, in milliseconds."""
        return self.to_ms - (self.from_ms or 0)

    def is_exceeded_by(self, at_ms: int) -> bool:
        """Tell whether a server that heeds the span would not give such an event."""
        second = at_ms // SECOND_MS
        is_before = self.from_ms is not None and second < self.from_ms // SECOND_MS - 1
        return is_before or second > self.to_ms // SECOND_MS + 1


def split(span: Span, page_ms: int) -> list[Span]:
    """Part a long span into some that can be searched at once, the youngest first.

    Each begins where a quarter of an hour does, which is what is remembered of events.

    Args:
        span: All of it.
        page_ms: How long a time the events of one of its youngest pages are from, in
            milliseconds.
    """
    long_ago = span.to_ms - _LONG_AGO_MS
    begin_ms = long_ago if span.from_ms is None else span.from_ms
    each_ms = max(1, page_ms) * PAGES_EACH
    ends, end_ms = [span.to_ms], span.to_ms - each_ms
    while end_ms > begin_ms:
        ends.append(quarter_begin(end_ms))
        each_ms *= 2
        end_ms -= each_ms
    if span.from_ms is None:
        ends.append(quarter_begin(long_ago))
    ends = sorted({end for end in ends if end > (span.from_ms or 0)}, reverse=True)
    begins = [*ends[1:], span.from_ms]
    return [_span(begin, end) for begin, end in zip(begins, ends, strict=True)]


def _span(from_ms: int | None, to_ms: int) -> Span:
    is_short = from_ms is not None and to_ms - from_ms <= QUARTER_MS
    return Span(from_ms, to_ms, None if is_short else PAGES_AT_MOST)


@dataclass(frozen=True, slots=True)
class Parted:
    """A span that had more pages than were read.

    Attributes:
        read: Its younger part, of which all was read; None when nothing is certain.
        rest: What is to be read, the youngest first.
    """

    read: Span | None
    rest: list[Span]


def part(span: Span, pages: Sequence[Sequence[int]]) -> Parted:
    """Part a span after its first pages.

    The newest events come first (noted by users, promised by nobody). Where hundreds of
    them do, what is younger than all of the last page was read. Else all of it is read
    again.

    Args:
        span: The span.
        pages: When the events of each page happened, in milliseconds since 1970.
    """
    times = list(chain.from_iterable(pages))
    cut = _cut(span, pages) if _is_newest_first(times) else None
    if cut is not None:
        later = [time for page in pages[len(pages) // 2 :] for time in page]
        page_ms = (max(later) - min(later)) // (len(pages) - len(pages) // 2)
        return Parted(Span(cut, span.to_ms), split(_span(span.from_ms, cut), page_ms))
    rest = split(span, (span.to_ms - min(times, default=span.to_ms)) // len(pages))
    if len(rest) == 1:
        rest = [Span(span.from_ms, span.to_ms, None)]
    return Parted(None, rest)


def _cut(span: Span, pages: Sequence[Sequence[int]]) -> int | None:
    """Tell from when on all was read, if the newest come first."""
    if not all(pages):
        return None
    latest = [max(page) for page in pages]
    cut = quarter_begin(latest[-1]) + QUARTER_MS
    is_within = cut < span.to_ms and (span.from_ms is None or span.from_ms < cut)
    descends = all(before >= after for before, after in pairwise(latest))
    return cut if is_within and descends else None


def _is_newest_first(times: Sequence[int]) -> bool:
    """Tell whether that cannot be by chance. Late events stand among younger ones."""
    ascents = sum(after > before for before, after in pairwise(times))
    return len(times) >= _EVIDENCE and ascents <= _LATE_AT_MOST * len(times)
