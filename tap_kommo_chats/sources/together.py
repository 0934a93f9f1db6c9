"""What the sources need of whoever asks for several things at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

J = TypeVar("J")
P = TypeVar("P")


class Together(Protocol):
    """Asks for several things at once."""

    def __call__(
        self, jobs: Iterable[J], read: Callable[[J], Iterable[P]], /
    ) -> Generator[tuple[J, P | None], None, None]:
        """Go through the parts of several things, those of different ones mixed.

        Args:
            jobs: What to ask for. A deque may get more meanwhile.
            read: Asks for one, part by part. Called by several threads at once.

        Yields:
            What was asked for, with a part of it. After its last part comes None.
        """
        ...
