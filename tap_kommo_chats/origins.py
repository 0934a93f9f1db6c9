"""Which channels of an account are looked at: one's own, and native ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_kommo_chats.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

EVERY = "*"
"""Stands for every channel that is not one's own."""

NAMED_AT_MOST = 20
_SHOWN_AT_MOST = 60
"""Characters of an origin that are shown."""


@dataclass(frozen=True, slots=True)
class Origins:
    """What Kommo calls the channels that are looked at.

    Attributes:
        own: Those whose messages the Chats API gives.
        native: Others, or `EVERY`.
    """

    own: frozenset[str]
    native: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        """All of them, as the state keeps them."""
        return self.own | self.native

    def is_own(self, origin: str) -> bool:
        """Tell whether a talk is of one's own channel, as is one that does not say."""
        return origin in self.own or (not origin and bool(self.own))

    def is_native(self, origin: str) -> bool:
        """Tell whether a talk is of another channel that is looked at."""
        return not self.is_own(origin) and (
            EVERY in self.native or origin in self.native
        )

    def are_within(self, names: frozenset[str]) -> bool:
        """Tell whether whoever looks at some channels looks at these.

        Args:
            names: Those channels, as the state keeps them.
        """
        return EVERY in names or self.names <= names

    def has(self, origin: str) -> bool:
        """Tell whether a channel is looked at."""
        return self.is_own(origin) or self.is_native(origin)


def named(counts: Sequence[tuple[str, int]]) -> str:
    """Name origins for an operator, with how many talks of each there are.

    Args:
        counts: They. Beyond `NAMED_AT_MOST` it is only said that there are more.
    """
    names = [
        f"{printable(origin, _SHOWN_AT_MOST)} ({count})"
        for origin, count in counts[:NAMED_AT_MOST]
    ]
    return ", ".join(names + ["..."] * (len(counts) > NAMED_AT_MOST))
