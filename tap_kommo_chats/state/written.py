"""Which rows of a stream were written, so that none is written twice for nothing.

The state keeps a digest of each, in some 25 bytes. Where there may be very many, it
keeps that of those in which something happened lately, and the hour when it did.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import msgspec

from tap_kommo_chats.state.layout import ROWS, THIS_VERSION, VERSION
from tap_kommo_chats.times import DAY_MS, HOUR_MS

if TYPE_CHECKING:
    from collections.abc import Mapping

REMEMBERED_MS = 7 * DAY_MS
"""How long after something happened in a row its digest is kept at least."""

_DIGEST_BYTES = 8
_JSON = msgspec.json.Encoder(decimal_format="number", order="sorted")


class Written:
    """What is remembered of one stream's rows."""

    def __init__(self, state: dict[str, Any], made_of: str) -> None:
        """Take over a stream's part of a state that was checked.

        Args:
            state: It is changed in place, so that what stands here is written out.
            made_of: What else decides how records are written, in a few letters.
        """
        self._state = state
        self._made_of = made_of
        self._first_hour = 0

    def differs(self, key: str, record: Mapping[str, Any]) -> bool:
        """Tell whether a record is another one than that which was written."""
        before, _, _ = self._state.get(ROWS, {}).get(key, "").partition(" ")
        return bool(before != self._digest(record))

    def note(
        self, key: str, record: Mapping[str, Any], active_ms: int | None = None
    ) -> None:
        """Note that a record was written, or need not be.

        Args:
            key: Tells its row from others of the stream.
            record: As it was written.
            active_ms: When something last happened in it, in milliseconds since 1970;
                None for a row that is remembered forever.
        """
        self._state[VERSION] = THIS_VERSION
        rows = self._state.setdefault(ROWS, {})
        if active_ms is None:
            rows[key] = self._digest(record)
        elif active_ms // HOUR_MS >= self._first_hour:
            rows[key] = f"{self._digest(record)} {active_ms // HOUR_MS}"

    def remember_from(self, since_ms: int) -> None:
        """Keep, from now on, no row in which nothing happened from some time on.

        Args:
            since_ms: In milliseconds since 1970.
        """
        self._first_hour = since_ms // HOUR_MS

    def forget(self) -> None:
        """Forget such rows, which the next run does not find again by itself."""
        rows: dict[str, str] = self._state.get(ROWS, {})
        for key, written in list(rows.items()):
            hour = written.partition(" ")[2]
            if hour and int(hour) < self._first_hour:
                del rows[key]

    def _digest(self, record: Mapping[str, Any]) -> str:
        content = _JSON.encode([self._made_of, record])
        digest = hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest()
        return b64encode(digest)[:-1].decode()
