"""What the state knows of one conversation, and what follows from it. Pure.

Whether something is new is judged against what was last acted on for the conversation,
not against the last run. What no source tells of in time, because it is late or edited
or a clock is off, is found by a few visits at growing distances from the last activity.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from tap_kommo_chats.times import HOUR_MS, SECOND_MS

_NUMBER = r"(-?\d{1,17})"
_QUIET = re.compile(rf"{_NUMBER} {_NUMBER}( c)?")
_ACTIVE = re.compile(
    rf"{_NUMBER} {_NUMBER}s {_NUMBER}s(?: {_NUMBER}s)?( c)?(?: =(\S+))?"
)


def margin_ms(lookback_ms: int) -> int:
    """Tell how long a source may be late to tell that something happened.

    The look-back, but an hour at least: the clocks of a source and of Kommo differ,
    and Kommo's events show up late.
    """
    return max(lookback_ms, HOUR_MS)


@cache
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


def write_known(known: Known, lookback_ms: int) -> str:
    """Write it for the state, a quiet one in at most 24 bytes.

    Text and no list, because the SDK copies the state each time it writes it, and a
    list takes several times as long.

    Returns:
        For a quiet one `newest_ms`, and the whole hours from then to `read_ms`. For any
        other `newest_ms`, and the seconds from then to `read_ms`, `active_ms` and, if
        there is one, `acted_ms`, with an `s` each, and the digest after a `=`. A `c`
        stands there if it is in the CRM.
    """
    newest = known.newest_ms
    crm = " c" if known.is_in_crm else ""
    if known.is_quiet(lookback_ms):
        return f"{newest} {(known.read_ms - newest) // HOUR_MS}{crm}"
    times = [known.read_ms, known.active_ms]
    if known.acted_ms is not None:
        times.append(known.acted_ms)
    begin = newest // SECOND_MS
    seconds = "".join(f" {time // SECOND_MS - begin}s" for time in times)
    digest = "" if known.digest is None else f" ={known.digest}"
    return f"{newest}{seconds}{crm}{digest}"


def read_known(written: str) -> Known | None:
    """Read what `write_known` wrote; None when it did not write this."""
    if quiet := _QUIET.fullmatch(written):
        newest = int(quiet[1])
        read_ms = newest + int(quiet[2]) * HOUR_MS
        # So long ago that nothing is counted from it any more.
        return Known(newest, read_ms, newest, is_in_crm=bool(quiet[3]))
    active = _ACTIVE.fullmatch(written)
    if active is None:
        return None
    newest = int(active[1])
    begin = newest // SECOND_MS * SECOND_MS
    acted = active[4]
    return Known(
        newest,
        begin + int(active[2]) * SECOND_MS,
        begin + int(active[3]) * SECOND_MS,
        None if acted is None else begin + int(acted) * SECOND_MS,
        bool(active[5]),
        active[6],
    )
