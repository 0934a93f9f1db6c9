"""Running dbt on the project's models, in a copy of their folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.meltano_project import ROOT, utility

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TRANSFORM = ROOT / "transform"
_BUILD_SECONDS = 600


@dataclass(frozen=True)
class Dbt:
    """The project's models in a folder of their own, and what runs them.

    Attributes:
        folder: Holds the copy, and what dbt writes.
        target: The warehouse, as the profiles call it.
        settings: Where it is, as environment variables.
    """

    folder: Path
    target: str
    settings: Mapping[str, str]
    project: Path = field(init=False)

    def __post_init__(self) -> None:
        """Copy the models."""
        project = self.folder / "transform"
        object.__setattr__(self, "project", project)
        if not project.exists():
            leave = shutil.ignore_patterns("target", "logs", "dbt_packages")
            shutil.copytree(TRANSFORM, project, ignore=leave)

    def seed(self, name: str, lines: list[str]) -> None:
        """Write a seed anew, below its heading.

        Args:
            name: Its name.
            lines: What it is to hold.
        """
        file = self.project / "seeds" / f"{name}.csv"
        heading, *_ = file.read_text(encoding="utf-8").splitlines()
        file.write_text("\n".join([heading, *lines, ""]), encoding="utf-8")

    def build(self, *options: str, **variables: object) -> str:
        """Build all models, which is to work.

        Args:
            options: Of `dbt build`.
            variables: Variables of the project.

        Returns:
            What dbt said.
        """
        done = self.run(
            "build",
            "--exclude-resource-type=unit_test",
            *options,
            **({"variables": variables} if variables else {}),
        )
        assert done.returncode == 0, done.stdout.partition("Finished running")[2]
        return done.stdout

    def run(
        self, *arguments: str, variables: Mapping[str, Any] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of dbt to its end.

        Args:
            arguments: The command.
            variables: Variables of the project.
        """
        told = ["--vars", json.dumps(variables)] if variables else []
        return subprocess.run(
            [
                utility(f"dbt-{self.target}") / "dbt",
                "--no-use-colors",
                *arguments,
                f"--target={self.target}",
                *told,
            ],
            cwd=self.project,
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("DBT_")},
                "DBT_PROFILES_DIR": str(self.project / "profiles"),
                **self.settings,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            encoding="utf-8",
            timeout=_BUILD_SECONDS,
        )
