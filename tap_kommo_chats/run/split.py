"""Which spans of time to search at once, so that a long search is bound by the rate.

The pages of one span come one after the other, because each names the next. Spans do
not wait for each other, whatever the order in which the events of one come. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from tap_kommo_chats.times import DAY_MS

PAGES_EACH = 4
"""A span that is expected to have fewer is not worth a request of its own."""

SPANS_AT_MOST = 64
_GROWTH = 1.25
"""How much longer each span is than the next younger one, when nobody knows how far
back events reach: no span has more than a fifth of all, if they come evenly."""

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
    """

    from_ms: int | None
    to_ms: int


def split(span: Span, page_ms: int) -> list[Span]:
    """Part a span into some that can be searched at once, the youngest first.

    Args:
        span: All of it.
        page_ms: How long a time the events of its youngest page are from, in
            milliseconds.
    """
    each_ms = max(1, page_ms) * PAGES_EACH
    if span.from_ms is None:
        ends = [span.to_ms]
        while span.to_ms - ends[-1] < _LONG_AGO_MS:
            ends.append(ends[-1] - each_ms)
            each_ms = round(each_ms * _GROWTH) + 1
    else:
        left_ms = span.to_ms - span.from_ms
        count = max(1, min(SPANS_AT_MOST, left_ms // each_ms))
        ends = [span.to_ms - left_ms * n // count for n in range(count)]
    begins = [*ends[1:], span.from_ms]
    return [Span(begin, end) for begin, end in zip(begins, ends, strict=True)]
