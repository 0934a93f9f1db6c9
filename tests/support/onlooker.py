"""What another user of the machine could read while a run goes on."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import SeenRequest

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass
class Onlooker:
    """Looks into a folder whenever the sandbox is asked, as its `answer`.

    Meltano deletes a plugin's configuration when the plugin has ended, so what a run
    leaves says nothing about what it had.

    Attributes:
        folder: The folder.
        secret: What stands in the files that matter.
        hidden: The files with the secret that only their owner may open.
        open: Those that others may too.
    """

    folder: Path
    secret: str
    hidden: set[str] = field(default_factory=set)
    open: set[str] = field(default_factory=set)

    def __call__(self, _seen: SeenRequest) -> None:
        """Look, and leave the answer to the sandbox."""
        for path in self.folder.rglob("*.json"):
            if self.secret in path.read_text(encoding="utf-8"):
                is_open = path.stat().st_mode & _OTHERS
                (self.open if is_open else self.hidden).add(path.name)
