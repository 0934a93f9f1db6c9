"""What the state knows of one conversation, and what follows from it. Pure.

Whether something is new is judged against what was last acted on for the conversation,
not against the last run. What no source tells of in time, because it is late or edited
or a clock is off, is found by a few visits at growing distances from the last activity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tap_kommo_chats.times import HOUR_MS, SECOND_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

_QUIET = (2, 3)
_ACTIVE = 6
"""How many values a written one has."""


def margin_ms(lookback_ms: int) -> int:
    """Tell how long a source may be late to tell that something happened.

    The look-back, but an hour at least: the clocks of a source and of Kommo differ,
    and Kommo's events show up late.
    """
    return max(lookback_ms, HOUR_MS)


def visit_distances_ms(lookback_ms: int) -> tuple[int, ...]:
    """Tell how long after something happened a conversation is asked for again.

    An hour, a quarter of the look-back, and the whole of it. With no look-back it is an
    hour, for events that show up late.
    """
    distances = {HOUR_MS, lookback_ms // 4, lookback_ms}
    return tuple(sorted(d for d in distances if d >= HOUR_MS))


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a conversation that was read. Times are since 1970.

    Attributes:
        newest_ms: When its newest message was sent, in milliseconds, always before the
            start of the run that read it; 0 when it has none with a time.
        read_ms: When the run began that read it last, in milliseconds, in whole
            seconds; in whole hours after `newest_ms` when it is quiet.
        active_ms: When something last happened in it, as far as that run could tell,
            in milliseconds, in whole seconds. Visits are counted from here.
        acted_ms: The latest time that a source had given for it by then, in
            milliseconds, in whole seconds; None when none had.
        is_in_crm: Whether a complete search of the CRM showed a talk of it.
        digest: Tells the rows that were written of it, from the beginning of the
            look-back of that run to `newest_ms`, from others; None when there were
            none.
    """

    newest_ms: int
    read_ms: int
    active_ms: int
    acted_ms: int | None = None
    is_in_crm: bool = False
    digest: str | None = None

    def cutoff_ms(self, lookback_ms: int) -> int:
        """Tell up to when no message is wanted, in milliseconds since 1970.

        Args:
            lookback_ms: How long before the last reading a message may have been sent
                and still be new or edited.
        """
        return min(self.newest_ms, self.read_ms - lookback_ms)

    def has_news(self, activity_ms: int, lookback_ms: int) -> bool:
        """Tell whether a source's time says that something new happened.

        Args:
            activity_ms: When something last happened, as a source says.
            lookback_ms: As above.
        """
        if self.acted_ms is not None and activity_ms <= self.acted_ms:
            return False
        # What happened long before the last reading was read then.
        return activity_ms >= self.read_ms - margin_ms(lookback_ms)

    def is_due(self, now_ms: int, lookback_ms: int) -> bool:
        """Tell whether it is time for a visit, be it one that was missed."""
        return any(
            self.read_ms < self.active_ms + distance <= now_ms
            for distance in visit_distances_ms(lookback_ms)
        )

    def is_quiet(self, lookback_ms: int) -> bool:
        """Tell whether no visit is to come and no source's old time would be news."""
        hours = (self.read_ms - self.newest_ms) // HOUR_MS
        # Written so, it seems to be read up to an hour before it was.
        until_ms = self.newest_ms + hours * HOUR_MS - margin_ms(lookback_ms)
        return self.active_ms <= until_ms and (self.acted_ms or 0) < until_ms


def write_known(known: Known, lookback_ms: int) -> list[Any]:
    """Write it for the state, a quiet one in at most 24 bytes."""
    newest = known.newest_ms
    if known.is_quiet(lookback_ms):
        hours = (known.read_ms - newest) // HOUR_MS
        return [newest, hours, 1] if known.is_in_crm else [newest, hours]
    begin = newest // SECOND_MS
    return [
        newest,
        known.read_ms // SECOND_MS - begin,
        int(known.is_in_crm),
        known.active_ms // SECOND_MS - begin,
        None if known.acted_ms is None else known.acted_ms // SECOND_MS - begin,
        known.digest,
    ]


def read_known(written: Sequence[Any]) -> Known:
    """Read what `write_known` wrote, and `flaw_of` found no flaw in."""
    newest = written[0]
    if len(written) in _QUIET:
        read_ms = newest + written[1] * HOUR_MS
        # So long ago that nothing is counted from it any more.
        active_ms = min(newest, read_ms)
        return Known(newest, read_ms, active_ms, is_in_crm=len(written) == max(_QUIET))
    begin = newest // SECOND_MS * SECOND_MS
    acted = written[4]
    return Known(
        newest,
        begin + written[1] * SECOND_MS,
        begin + written[3] * SECOND_MS,
        None if acted is None else begin + acted * SECOND_MS,
        bool(written[2]),
        written[5],
    )
