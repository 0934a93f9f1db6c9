"""Which records of a conversation go out, so that each is written once per change.

The state keeps a digest of the records within the look-back. A later reading goes back
to where they begin. It holds those that may have been written until it knows whether
all are as they were: then none of them is written again, else all are.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from tap_kommo_chats.state.known import Known
from tap_kommo_chats.times import SECOND_MS, whole_second

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_kommo_chats.kommo.pagination import HistoryPage
    from tap_kommo_chats.records.messages import Record
    from tap_kommo_chats.run.plan import ReadJob

HELD_AT_MOST = 1000
"""Records of one conversation. A few megabytes; when there are more, they go out."""

_DIGEST_BYTES = 8
_MODULUS = 1 << (8 * _DIGEST_BYTES)
_ENCODER = msgspec.json.Encoder(decimal_format="number", order="deterministic")


class Window:
    """The records of one conversation in one reading.

    Attributes:
        written: How many records were given out.
        has_changed: Whether a late or edited one was among those written before.
    """

    def __init__(self, known: Known | None, read_ms: int, lookback_ms: int) -> None:
        """Begin with none.

        Args:
            known: What the state knows of the conversation; None when nothing.
            read_ms: When this run began, in milliseconds since 1970, in whole seconds.
            lookback_ms: How long before that a message may have been sent and still be
                late or edited, in milliseconds.
        """
        self._known = known
        self._begin_ms = read_ms - lookback_ms
        if known is not None:
            self._begin_ms = min(self._begin_ms, known.cutoff_ms(lookback_ms))
        self._lookback_ms = lookback_ms
        self._read_ms = read_ms
        self.written = 0
        self.has_changed = False
        self._marks: dict[str, tuple[int, int]] = {}
        self._held: dict[str, Record] | None = (
            None if known is None or known.digest is None else {}
        )

    def take(self, record: Record, sent_ms: int) -> Iterator[Record]:
        """Take in a record, and yield those that are to be written now.

        Args:
            record: As it would be written.
            sent_ms: When its message was sent, in milliseconds since 1970.
        """
        for each in self._take(record, sent_ms):
            self.written += 1
            yield each

    def _take(self, record: Record, sent_ms: int) -> Iterator[Record]:
        message_id = record["message_id"]
        if sent_ms > self._begin_ms:
            self._marks[message_id] = sent_ms, _mark(record)
        # A time of zero or before is a broken clock's, and tells nothing.
        if self._held is None or self._known is None or sent_ms <= 0:
            yield record
        elif sent_ms > self._known.newest_ms:
            # One that changed its time meanwhile is another now.
            self._held.pop(message_id, None)
            yield record
        else:
            self._held[message_id] = record
            if len(self._held) > HELD_AT_MOST:
                yield from self._let_go()

    def end(self) -> Iterator[Record]:
        """Yield what was held and is not as it was. Nothing more is taken in."""
        known = self._known
        if self._held is None or known is None:
            return
        begin_ms = known.cutoff_ms(self._lookback_ms)
        if self._digest(begin_ms, known.newest_ms) != known.digest:
            self.has_changed = True
            for each in self._let_go():
                self.written += 1
                yield each

    def digest(self, newest_ms: int) -> str | None:
        """Tell what the next reading compares with.

        Args:
            newest_ms: The bookmark of the conversation now.
        """
        return self._digest(
            min(newest_ms, self._read_ms - self._lookback_ms), newest_ms
        )

    def _let_go(self) -> Iterator[Record]:
        held, self._held = self._held, None
        yield from (held or {}).values()

    def _digest(self, begin_ms: int, newest_ms: int) -> str | None:
        marks = [m for at, m in self._marks.values() if begin_ms < at <= newest_ms]
        if not marks:
            return None
        # A sum, because the order in which a server gives rows may change.
        total = (sum(marks) + len(marks)) % _MODULUS
        return b64encode(total.to_bytes(_DIGEST_BYTES, "big"))[:-1].decode()


@dataclass(slots=True)
class Reading:
    """One reading of a conversation that goes on.

    Attributes:
        window: What of it is written.
        end: Its last page so far.
    """

    window: Window
    end: HistoryPage


def known_after(job: ReadJob, newest_ms: int, started_ms: int, window: Window) -> Known:
    """Say what is known of a conversation once it was read.

    Args:
        job: What was to be read of it.
        newest_ms: The bookmark of the conversation now.
        started_ms: When the run began, in milliseconds since 1970.
        window: What was written of it.
    """
    before = job.known
    read_ms = whole_second(started_ms)
    acted_ms = acted_on_ms(job.activity_ms, read_ms)
    active_ms = min(read_ms, _whole_seconds(max(newest_ms, job.activity_ms or 0)))
    if before is not None:
        acted_ms = max(filter(None, (acted_ms, before.acted_ms)), default=None)
        if window.has_changed:
            # Nobody knows when.
            active_ms = read_ms
        elif window.written == 0 and acted_ms == before.acted_ms:
            active_ms = before.active_ms
        active_ms = max(active_ms, before.active_ms)
    return Known(
        newest_ms,
        read_ms,
        active_ms,
        acted_ms,
        before is not None and before.is_in_crm,
        window.digest(newest_ms),
    )


def acted_on_ms(activity_ms: int | None, read_ms: int) -> int | None:
    """Say up to when a source's time was acted on by a reading.

    In the second in which the run began more may happen, with the same time.

    Args:
        activity_ms: When something last happened, as a source says, in milliseconds
            since 1970; None when none does.
        read_ms: When the run began, in whole seconds.
    """
    if activity_ms is None:
        return None
    if read_ms <= activity_ms < read_ms + SECOND_MS:
        return read_ms - SECOND_MS
    return _whole_seconds(activity_ms)


def _whole_seconds(milliseconds: int) -> int:
    """Round up, so that a time is never later than what was acted on."""
    return -(-milliseconds // SECOND_MS) * SECOND_MS


def _mark(record: Record) -> int:
    """Tell a record's content from another one's, in every process alike."""
    digest = hashlib.blake2b(_ENCODER.encode(record), digest_size=_DIGEST_BYTES)
    return int.from_bytes(digest.digest(), "big")
