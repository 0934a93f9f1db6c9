"""What a check has to tell: lines for the operator, and what nobody could verify. Pure.

No line has the text of a message, a name or a secret in it, and what is seen of an
account's API has nothing at all of the account.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from tap_kommo_chats.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable

_SAID_AT_MOST = 2000
"""Characters of a line: it may list twenty origins."""


class Level(Enum):
    """What a line means for a run."""

    OK = "ok"
    WARNING = "warning"
    """A run works, and there is something to know or to do."""

    FAILED = "failed"
    """A run would end with another exit code than 0."""

    NOT_ASKED = "not asked"
    """It is needed, and after what came before nobody was asked for it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that a run needs.

    Attributes:
        subject: The setting, the endpoint or whatever else it is about.
        level: What it means for a run.
        text: What was found, and what to do where it would not work.
    """

    subject: str
    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """One thing that Kommo does not document, as this account shows it.

    Attributes:
        point: What it is.
        seen: Whether it is so; None when there was nothing to tell it by.
        detail: What else there is to say, with nothing of the account.
    """

    point: str
    seen: bool | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found.

    Attributes:
        version: The tap's.
        streams: The streams that it was made for.
        requests: How many Kommo was sent.
        lines: One for each thing that a run needs.
        sightings: What nobody could verify without a live account.
    """

    version: str
    streams: tuple[str, ...]
    requests: int
    lines: tuple[Line, ...]
    sightings: tuple[Sighting, ...]

    @property
    def is_fit(self) -> bool:
        """Whether a run of these streams would end with exit code 0."""
        return all(line.level in {Level.OK, Level.WARNING} for line in self.lines)

    def shown_by(self, redact: Callable[[str], str]) -> Report:
        """Make every text fit to be shown.

        Args:
            redact: Takes out what is secret.
        """

        def shown(text: str) -> str:
            return printable(redact(text), _SAID_AT_MOST)

        return replace(
            self,
            lines=tuple(replace(line, text=shown(line.text)) for line in self.lines),
            sightings=tuple(
                replace(sighting, detail=shown(sighting.detail))
                for sighting in self.sightings
            ),
        )
