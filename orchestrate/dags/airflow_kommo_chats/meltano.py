"""Runs Meltano for a task, and knows why it failed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from airflow_kommo_chats import keeper
from airflow_kommo_chats.accounts import without_settings
from airflow_kommo_chats.mistakes import MistakeError
from airflow_kommo_chats.words import Words, read_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Airflow may have been started anywhere. In a checkout of the tap, the project is the
# one that this file belongs to.
_CHECKOUT = Path(__file__).resolve().parents[3]
_STARTER = Path(__file__).with_name("starter.py")

# Meltano's own is five minutes.
_LOCK_SECONDS = 330
_LOOK_AGAIN_SECONDS = 20

_ENDED = re.compile(r'\{"exit_code": (-?\d+)\}')
"""What the starter writes after a command's log."""


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
    """Return the project's own Meltano; the one on the path where it has none.

    Raises:
        MistakeError: If there is none either.
    """
    own = folder / ".venv" / "bin" / "meltano"
    found = str(own) if own.exists() else shutil.which("meltano")
    if found is None:
        message = (
            f"Neither {own} nor the PATH of this worker has Meltano: install it in "
            "the project, or where Airflow's PATH leads"
        )
        raise MistakeError(message)
    return found


def python_of(command: str) -> str:
    """Return the Python that a command's first lines name; this one if they do not."""
    with suppress(OSError, UnicodeDecodeError):
        beginning = Path(command).read_text(encoding="utf-8")[:500]
        # A long path stands in the second line, behind a shell's.
        if named := re.match(
            r"#!(?:/bin/sh\n'''exec' )?\"?(/[^\n\"]*?python[\d.]*)", beginning
        ):
            return named[1]
    return sys.executable


@dataclass
class Meltano:
    """Meltano, for one task. It is loaded once for all of its commands.

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
        started = self._started()
        with (
            tempfile.NamedTemporaryFile("w", encoding="utf-8") as stdin,
            tempfile.NamedTemporaryFile("r", encoding="utf-8") as stdout,
        ):
            stdin.write(given)
            stdin.flush()
            job = {
                "command": [
                    "--log-format=json",
                    # Sources of conversations add up: one account's, in .env or in the
                    # worker's environment, would be read for all.
                    f"--env-file={os.devnull}",
                    *command,
                ],
                "environment": {**_own_environment(), **settings},
                "input": stdin.name,
                "output": stdout.name,
            }
            words = Words()
            code = self._do(started, job, words)
            if words.is_mistake:
                raise MistakeError(words.reason)
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

    def close(self) -> None:
        """Stop it once nobody listens to it any more."""
        self.stop()
        if self._keeper is not None:
            for pipe in (self._keeper.stdin, self._keeper.stderr):
                if pipe is not None:
                    with suppress(BrokenPipeError):
                        pipe.close()

    def _started(self) -> subprocess.Popen[str]:
        """Return what starts commands, which may have to be started itself."""
        if self._keeper is not None and self._keeper.poll() is None:
            return self._keeper
        folder = project()
        command = command_of(folder)
        reading, writing = os.pipe()
        self._lifeline = os.fdopen(writing, "wb")
        try:
            self._keeper = subprocess.Popen(
                [
                    *(sys.executable, keeper.__file__, str(reading)),
                    *(python_of(command), str(_STARTER), command),
                ],
                cwd=folder,
                env=_own_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
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
        return self._keeper

    def _do(
        self, started: subprocess.Popen[str], job: Mapping[str, object], words: Words
    ) -> int:
        """Have a job done, and return its exit code."""
        jobs, log = cast("IO[str]", started.stdin), cast("IO[str]", started.stderr)
        with suppress(BrokenPipeError):
            jobs.write(json.dumps(job) + "\n")
            jobs.flush()
        for raw in log:
            if ended := _ENDED.fullmatch(raw.rstrip()):
                return int(ended[1])
            line = read_line(raw.rstrip())
            words.hear(line)
            if line.is_for_people:
                self.tell(str(line))
        # It was stopped, or killed.
        return started.wait() or 1


def _own_environment() -> dict[str, str]:
    return {**without_settings(os.environ), "NO_COLOR": "1"}
