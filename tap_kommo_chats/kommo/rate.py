"""How many requests a second a server takes, found from what it refuses.

A server may allow less than the operator said, for good or while somebody else asks it
from the same address. Kommo blocks addresses that go on all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SECOND = 1.01
"""A second, and a little for what the two clocks and the quickest answer hide."""

JUDGED_BY = 16
"""So many requests tell how many a second get through, or all of the last second."""

_LESS = 0.05
"""After so many answers again as `_PATIENCE`, so much more is asked for than what got
through, as a share of it."""

_PATIENCE = 25
"""So many answers after a refusal what got through is asked for again. A refusal in
each round of twice as many is two in a hundred requests."""


@dataclass(slots=True, eq=False)
class Sent:
    """A request that was sent. Its times are in seconds.

    Attributes:
        at: When.
        cold: Whether it had to open a connection first, which takes nobody knows how
            much of the time until the answer.
        answered: When its answer was there, or None before that.
        refused: Whether the answer was that there are too many.
    """

    at: float
    cold: bool
    answered: float | None = None
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Excess:
    """More requests than the server takes. It may refuse several of them.

    Attributes:
        asked: How many a second were asked for.
        tried: Those that tell how many get through, in the order they were sent. One
            at least.
    """

    asked: float
    tried: Sequence[Sent]

    @property
    def sent(self) -> float:
        """How many requests a second went."""
        return self._per_second(len(self.tried))

    @property
    def got_through(self) -> float:
        """How many requests a second got through, as far as is known by now."""
        return self._per_second(sum(not sent.refused for sent in self.tried))

    def _per_second(self, requests: int) -> float:
        seconds = self.tried[-1].at - self.tried[0].at + 1 / self.asked
        return requests / max(SECOND, seconds)


class Rate:
    """How many requests a second to ask for: what got through, and at times more.

    After a refusal it is soon back at what got through, stays about there, and rises
    ever faster when nothing is refused above it. So a limit that stays is seldom
    passed, and one that was lifted is found soon.
    """

    def __init__(self, most: float, least: float) -> None:
        """Start with the most there may be.

        Args:
            most: Requests per second, infinite for no limit.
            least: Requests per second. A server that refuses by chance, and not for
                their number, would be asked ever less.
        """
        self._most = most
        self._least = least
        self._got_through = inf
        self._answers = 0

    @property
    def is_sought(self) -> bool:
        """Whether the server refused something."""
        return self._got_through < inf

    @property
    def per_second(self) -> float:
        """Requests per second; infinite while nothing bounds them."""
        way = self._answers / _PATIENCE - 1
        sought = self._got_through * (1 + _LESS * way**5)
        return min(self._most, max(self._least, sought))

    def rise(self) -> None:
        """Note that something got through."""
        self._answers += 1

    def fall(self, excess: Excess) -> None:
        """Note that something was refused: again for each that was too much."""
        self._answers = 0
        if got_through := excess.got_through:
            self._got_through = min(excess.asked, got_through)
        else:
            # A server that takes nothing at all tells no rate.
            self._got_through = min(excess.asked, excess.sent)
