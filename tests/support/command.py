"""The command, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMAND = (str(Path(sys.executable).with_name("tap-kommo-chats")),)
MODULE = (sys.executable, "-m", "tap_kommo_chats")


def tap(
    *arguments: str,
    config: dict[str, Any] | None = None,
    folder: Path | None = None,
    command: tuple[str, ...] = COMMAND,
    loglevel: str = "INFO",
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run it.

    Args:
        arguments: Of the command line.
        config: The settings, written to a file of the folder.
        folder: Any folder.
        command: What to run.
        loglevel: What of the log is written.
        env: More for the environment.
    """
    if config is not None and folder is not None:
        path = folder / "config.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        arguments = ("--config", str(path), *arguments)
    return subprocess.run(
        [*command, *arguments],
        capture_output=True,
        check=False,
        encoding="utf-8",
        env={**os.environ, "TAP_KOMMO_CHATS_LOGLEVEL": loglevel, **(env or {})},
        timeout=60,
    )


def in_shell(script: str) -> tuple[str, ...]:
    """The command, started by a line for the shell, in which it is `"$@"`."""
    return ("sh", "-c", script, "sh", *COMMAND)


def told(done: subprocess.CompletedProcess[str]) -> str:
    """The one line in which a failed run says why, without a traceback."""
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (line,) = [
        line
        for line in done.stderr.splitlines()
        if not any(f" | {level} " in line for level in ("DEBUG", "INFO", "WARNING"))
    ]
    return line.rpartition(" | ")[2]
