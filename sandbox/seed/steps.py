"""What happens in an invented account, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sandbox.crm.store import CrmStore


@dataclass(frozen=True)
class Step:
    """One thing that happens.

    Attributes:
        at: When, in Unix seconds.
        do: Lets it happen.
    """

    at: int
    do: Callable[[CrmStore], object]


def play(crm: CrmStore, steps: Iterable[Step]) -> None:
    """Let things happen in the order of their times; those of one time as they come."""
    for step in sorted(steps, key=lambda each: each.at):
        step.do(crm)
