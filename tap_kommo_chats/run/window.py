"""Which records of a conversation go out, so that each is written once per change.

The state keeps a digest of the records within the look-back. A later reading goes back
to where they begin. It holds those that may have been written until it knows whether
all are as they were: then none of them is written again, else all are.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_kommo_chats.records.messages import Record
    from tap_kommo_chats.state.known import Known

HELD_AT_MOST = 1000
"""Records of one conversation. A few megabytes; when there are more, they go out."""

_DIGEST_BYTES = 8
_MODULUS = 1 << (8 * _DIGEST_BYTES)
_ENCODER = msgspec.json.Encoder(decimal_format="number", order="deterministic")


class Window:
    """The records of one conversation in one reading."""

    def __init__(self, known: Known | None, read_ms: int, lookback_ms: int) -> None:
        """Begin with none.

        Args:
            known: What the state knows of the conversation; None when nothing.
            read_ms: When this run began, in milliseconds since 1970.
            lookback_ms: How long before that a message may have been sent and still be
                late or edited, in milliseconds.
        """
        self._known = known
        self._begin_ms = read_ms - lookback_ms
        if known is not None:
            self._begin_ms = min(self._begin_ms, known.cutoff_ms(lookback_ms))
        self._lookback_ms = lookback_ms
        self._read_ms = read_ms
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
            yield from self._let_go()

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


def _mark(record: Record) -> int:
    """Tell a record's content from another one's, in every process alike."""
    digest = hashlib.blake2b(_ENCODER.encode(record), digest_size=_DIGEST_BYTES)
    return int.from_bytes(digest.digest(), "big")
