"""One part of the conversations of a large account.

A conversation's part depends on its id and the number of parts alone. With twice as
many parts, each is one half of an old one.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several parts.

    Attributes:
        number: Which one, from 1 on.
        of: How many there are.
    """

    number: int
    of: int

    @classmethod
    def parse(cls, text: object) -> Shard:
        """Read a shard.

        Args:
            text: Such as `2/8` for the second of eight.

        Returns:
            The shard.

        Raises:
            ValueError: If it is none.
        """
        found = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", str(text))
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            msg = "not a shard"
            raise ValueError(msg)
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        """Write it as `parse` reads it."""
        return f"{self.number}/{self.of}"

    def holds(self, conversation_id: str) -> bool:
        """Tell whether a conversation belongs to this part."""
        # Not Python's own hash, which differs from process to process.
        return zlib.crc32(conversation_id.encode()) % self.of == self.number - 1

    def is_within(self, other: Shard) -> bool:
        """Tell whether all conversations of this part are of another one too.

        Args:
            other: The other part, perhaps of another number of parts.
        """
        return self.of % other.of == 0 and (self.number - other.number) % other.of == 0


WHOLE = Shard(1, 1)
