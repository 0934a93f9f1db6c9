"""How the conversations of a run fared, in numbers and in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tap_kommo_chats.records.conversations import Outcome

_NAMED_AT_MOST = 10

_ALWAYS_TOLD = (Outcome.READ, Outcome.EMPTY, Outcome.UNCHANGED, Outcome.FAILED)
_SELDOM_TOLD = (Outcome.GONE, Outcome.GIVEN_UP)
"""What most accounts never have."""


@dataclass(slots=True)
class Tally:
    """How the conversations of a run fared.

    Attributes:
        outcomes: How many had which outcome.
        failed: The ids of those that could not be read.
        rows_without_key: How many rows could not be delivered.
        messages: How many messages were emitted.
    """

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    rows_without_key: int = 0
    messages: int = 0

    @property
    def done(self) -> int:
        """How many conversations the run is done with."""
        return sum(self.numbers().values())

    def numbers(self) -> dict[str, int]:
        """Name the numbers of the line, as attributes of a line of the log."""
        return {
            f"conversations_{outcome.value}": self.outcomes[outcome]
            for outcome in (*_ALWAYS_TOLD, *_SELDOM_TOLD)
        }

    def __str__(self) -> str:
        """Sum it up in a line."""
        told = [*_ALWAYS_TOLD, *filter(self.outcomes.get, _SELDOM_TOLD)]
        return "conversations " + ", ".join(
            f"{outcome.value.replace('_', ' ')}: {self.outcomes[outcome]}"
            for outcome in told
        )

    def problems(self) -> list[str]:
        """Say what was not delivered, a clause each."""
        found = []
        if self.failed:
            named = ", ".join(self.failed[:_NAMED_AT_MOST])
            more = ", ..." if len(self.failed) > _NAMED_AT_MOST else ""
            found.append(
                f"{len(self.failed)} conversation(s) could not be read and will be "
                f"asked for again by the next run ({named}{more})"
            )
        if self.rows_without_key:
            found.append(
                f"{self.rows_without_key} row(s) could not be delivered (see the lines "
                "above, and ask Kommo's support)"
            )
        return found


def bad_entries(count: int) -> list[str]:
    """Say that entries of the lists of conversations are not as they should be."""
    if not count:
        return []
    problem = (
        f"{count} entry(ies) of the lists of conversations are not as they should be "
        "(see the lines above)"
    )
    return [problem]
