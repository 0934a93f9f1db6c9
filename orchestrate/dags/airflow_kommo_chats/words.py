"""What Meltano's log says, and which of its lines tells why a run failed. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

TAP = "tap-kommo-chats"

# What the tap writes with a line on settings, with which no attempt will do.
_OF_SETTINGS = "settings"
_ALREADY_RUNNING = "already running"
# What the SDK writes for monitors. The tap says the same for people.
_METRIC = "METRIC"


@dataclass(frozen=True)
class Line:
    """A line of Meltano's log.

    Attributes:
        level: Its level, in small letters.
        plugin: The plugin that said it; empty when Meltano did.
        text: What it says.
        kind: What the plugin says it is about; empty when it does not.
    """

    level: str
    plugin: str
    text: str
    kind: str = ""

    def __str__(self) -> str:
        """Write it for Airflow's log."""
        return f"{self.plugin}: {self.text}" if self.plugin else self.text

    @property
    def is_for_people(self) -> bool:
        """Whether somebody may want to read it."""
        return not (self.plugin and self.text == _METRIC)


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
    name = given.get("name")
    plugin = name if isinstance(name, str) and name != "meltano" else ""
    level, kind = str(given.get("level", "info")).lower(), str(given.get("kind", ""))
    return Line(level, plugin, str(given["event"]), kind)


@dataclass
class Words:
    """Listens to a command, and knows in the end why it failed.

    Attributes:
        is_mistake: Whether settings are to blame.
        is_held: Whether another run holds the state.
    """

    is_mistake: bool = False
    is_held: bool = False
    _critical: list[str] = field(default_factory=list)
    _of_the_tap: list[str] = field(default_factory=list)
    _of_others: list[str] = field(default_factory=list)

    def hear(self, line: Line) -> None:
        """Take in the next line."""
        if line.level not in {"error", "critical"}:
            return
        if line.plugin != TAP:
            self.is_held |= not line.plugin and _ALREADY_RUNNING in line.text
            self._of_others.append(str(line))
        elif line.level == "critical":
            # What the tap ends with.
            self._critical.append(line.text)
            self.is_mistake |= line.kind == _OF_SETTINGS
        else:
            self._of_the_tap.append(line.text)

    @property
    def reason(self) -> str:
        """The tap's own last words; those of the loader or of Meltano, if it has none.

        All that is wrong with settings is told at once.
        """
        if self.is_mistake:
            return "; ".join(dict.fromkeys(self._critical))
        said = self._critical or self._of_the_tap or self._of_others
        return said[-1].splitlines()[0] if said else ""
