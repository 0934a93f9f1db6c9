"""Runs Meltano for a task, and knows why it failed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from airflow_kommo_chats import keeper
from airflow_kommo_chats.accounts import without_settings
from airflow_kommo_chats.mistakes import MistakeError
from airflow_kommo_chats.words import Words, read_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Airflow may have been started anywhere. In a checkout of the tap, the project is the
# one that this file belongs to.
_CHECKOUT = Path(__file__).resolve().parents[3]

# Meltano's own is five minutes.
_LOCK_SECONDS = 330
_LOOK_AGAIN_SECONDS = 20


class LoadError(RuntimeError):
    """Meltano failed. The text says why: where the tap said it, in its words.

    Attributes:
        output: What it wrote to standard output.
    """

    def __init__(self, reason: str, output: str = "") -> None:
        """Keep both."""
        super().__init__(reason)
        self.output = output


class HeldError(LoadError):
    """Another run holds the state."""


def project() -> Path:
    """Return where the Meltano project is.

    Raises:
        MistakeError: If nothing tells.
    """
    told = os.environ.get("MELTANO_PROJECT_ROOT")
    found = Path(told) if told else _CHECKOUT
    if not (found / "meltano.yml").exists():
        message = (
            f"There is no meltano.yml in {found}: set MELTANO_PROJECT_ROOT, in "
            "Airflow's environment, to the folder of the Meltano project"
        )
        raise MistakeError(message)
    return found


def command_of(folder: Path) -> str:
    """Return the project's own Meltano; the one on the path where it has none."""
    own = folder / ".venv" / "bin" / "meltano"
    return str(own) if own.exists() else "meltano"


@dataclass
class Meltano:
    """Meltano, for one task.

    Attributes:
        tell: Takes each line of its log.
    """

    tell: Callable[[str], None]
    _lifeline: IO[bytes] | None = None
    _is_stopped: bool = False
    _keeper: subprocess.Popen[str] | None = None

    def run(self, *command: str, settings: Mapping[str, str], given: str = "") -> str:
        """Run a command of Meltano.

        Args:
            command: The command.
            settings: Environment variables. Secrets are among them: they are never in
                a template, an XCom or an argument.
            given: Its standard input.

        Returns:
            Its standard output.

        Raises:
            LoadError: If it fails.
            MistakeError: If settings are to blame.
        """
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8") as stdin,
            tempfile.TemporaryFile("w+", encoding="utf-8") as stdout,
        ):
            stdin.write(given)
            stdin.seek(0)
            words = Words()
            code = self._run(command, settings, stdin, stdout, words)
            if words.is_mistake:
                raise MistakeError(words.reason)
            stdout.seek(0)
            output = stdout.read()
            if code:
                kind = HeldError if words.is_held else LoadError
                said = words.reason or f"meltano {command[0]} ended with code {code}"
                raise kind(said, output)
            return output

    def run_in_turn(self, *command: str, settings: Mapping[str, str]) -> None:
        """Run a command that needs a state for itself.

        A run that was killed holds its state for five minutes after its last sign of
        life, and nobody can tell it from one that lives. So its end is waited for.

        Args:
            command: The command.
            settings: As for `run`.

        Raises:
            HeldError: If another run holds the state for longer.
            LoadError: If it fails.
            MistakeError: If settings are to blame.
        """
        deadline = time.monotonic() + _LOCK_SECONDS
        while self._is_held(command, settings, may_wait=time.monotonic() < deadline):
            self.tell("Waiting for the other run, or for the end of its lock")
            time.sleep(_LOOK_AGAIN_SECONDS)

    def _is_held(
        self, command: tuple[str, ...], settings: Mapping[str, str], *, may_wait: bool
    ) -> bool:
        """Run a command, and tell whether another run keeps it from it."""
        try:
            self.run(*command, settings=settings)
        except HeldError:
            if may_wait and not self._is_stopped:
                return True
            raise
        return False

    def stop(self) -> None:
        """Stop it, with all that it started."""
        self._is_stopped = True
        if self._lifeline is not None:
            self._lifeline.close()
        if self._keeper is not None:
            with suppress(subprocess.TimeoutExpired):
                self._keeper.wait(keeper.STOPPING_SECONDS + 1)

    def _run(
        self,
        command: tuple[str, ...],
        settings: Mapping[str, str],
        stdin: IO[str],
        stdout: IO[str],
        words: Words,
    ) -> int:
        folder = project()
        reading, writing = os.pipe()
        self._lifeline = lifeline = os.fdopen(writing, "wb")
        try:
            self._keeper = subprocess.Popen(
                [
                    *(sys.executable, keeper.__file__, str(reading)),
                    *(command_of(folder), "--log-format=json"),
                    # Sources of conversations add up: one account's, in .env or in the
                    # worker's environment, would be read for all.
                    f"--env-file={os.devnull}",
                    *command,
                ],
                cwd=folder,
                env={**without_settings(os.environ), "NO_COLOR": "1", **settings},
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
                pass_fds=[reading],
                # Meltano hands secrets on in files.
                umask=0o077,
            )
        finally:
            os.close(reading)
        with lifeline:
            for raw in self._keeper.stderr or ():
                line = read_line(raw.rstrip())
                words.hear(line)
                if line.is_for_people:
                    self.tell(str(line))
            # Waits for the end, and closes the pipe too.
            self._keeper.communicate()
        return self._keeper.returncode
