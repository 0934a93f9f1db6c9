"""A Meltano project that is not the tap's: its block copied into another folder."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from tests.support.meltano_project import (
    MELTANO,
    ROOT,
    Ended,
    share_plugins,
    without_settings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_RUN_SECONDS = 300


@dataclass(frozen=True)
class ForeignProject:
    """A project in a folder, with plugins that are installed already.

    Attributes:
        folder: Of the project, into which files are loaded.
        config: What its `meltano.yml` sets of the tap.
        loaders: Loaders that it has beside those of the tap's own project.
    """

    folder: Path
    config: Mapping[str, Any] = field(default_factory=dict)
    loaders: Sequence[dict[str, Any]] = ()

    def __post_init__(self) -> None:
        """Write the project."""
        (self.folder / ".meltano").mkdir()
        share_plugins(self.folder / ".meltano")
        project = yaml.safe_load((ROOT / "meltano.yml").read_text("utf-8"))
        (extractor,) = project["plugins"]["extractors"]
        extractor["config"] = dict(self.config)
        project["plugins"]["loaders"] += self.loaders
        text = yaml.safe_dump(project, sort_keys=False)
        (self.folder / "meltano.yml").write_text(text, encoding="utf-8")

    def meltano(self, *arguments: str, env: Mapping[str, str] | None = None) -> Ended:
        """Run a command to its end, with settings as environment variables."""
        done = subprocess.run(
            [*MELTANO, *arguments],
            cwd=self.folder,
            env={
                **without_settings(os.environ),
                "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
                "NO_COLOR": "1",
                "TARGET_JSONL_DESTINATION_PATH": str(self.folder),
                "TARGET_JSONL_DO_TIMESTAMP_FILE": "false",
                **(env or {}),
            },
            capture_output=True,
            check=False,
            encoding="utf-8",
            timeout=_RUN_SECONDS,
        )
        return Ended(done.returncode, done.stdout + done.stderr, done.stdout)
