"""What Meltano's log says, and which of its lines tells why a run failed. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

TAP = "tap-kommo-chats"

_GRAVE = frozenset({"error", "critical"})

# How the tap says that its settings are to blame: no request was made, and none will
# help.
_OF_SETTINGS = "The settings cannot be used"
_ALREADY_RUNNING = "already running"


@dataclass(frozen=True)
class Line:
    """A line of Meltano's log.

    Attributes:
        level: Its level, in small letters.
        plugin: The plugin that said it; empty when Meltano did.
        text: What it says.
    """

    level: str
    plugin: str
    text: str

    def __str__(self) -> str:
        """Write it for Airflow's log."""
        return f"{self.plugin}: {self.text}" if self.plugin else self.text


def read_line(raw: str) -> Line:
    """Read a line of Meltano's log, as it is with `--log-format=json`.

    Args:
        raw: The line. One that is no JSON is kept as it is.
    """
    try:
        given = json.loads(raw)
    except ValueError:
        given = None
    if not isinstance(given, dict) or "event" not in given:
        return Line("info", "", raw)
    plugin = given.get("string_id") or given.get("name") or ""
    text = str(given["event"])
    if isinstance(error := given.get("exception"), str):
        text = f"{text}\n{error}"
    return Line(str(given.get("level", "info")).lower(), str(plugin), text)


@dataclass
class Words:
    """Listens to a command, and knows in the end why it failed.

    Attributes:
        is_refused: Whether another run holds the state.
    """

    is_refused: bool = False
    _of_the_tap: list[str] = field(default_factory=list)
    _of_others: list[str] = field(default_factory=list)

    def hear(self, line: Line) -> None:
        """Take in the next line."""
        if line.level not in _GRAVE:
            return
        if line.plugin == TAP:
            self._of_the_tap.append(line.text)
        else:
            self.is_refused |= _ALREADY_RUNNING in line.text
            self._of_others.append(str(line))

    @property
    def reason(self) -> str:
        """The tap's own last line; that of the loader or of Meltano, if it has none."""
        said = self._of_the_tap or self._of_others
        return said[-1].splitlines()[0] if said else ""

    @property
    def is_mistake(self) -> bool:
        """Whether settings are to blame."""
        return any(line.startswith(_OF_SETTINGS) for line in self._of_the_tap)
