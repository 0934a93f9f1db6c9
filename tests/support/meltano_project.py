"""Running Meltano on the project, with state of its own."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from tests.support.tap import config_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]
TAP = "tap-kommo-chats"
# A developer's .env may name a real account, beside which the sandbox would be read.
MELTANO = (
    Path(sys.executable).with_name("meltano"),
    f"--env-file={os.devnull}",
)
# What several tests run. The DuckDB loader is not built for Python 3.14.
_SHARED_PLUGINS = (
    TAP,
    "target-jsonl",
    "target-postgres",
    *(("target-duckdb",) if sys.version_info < (3, 14) else ()),
)
PLUGINS = (
    ROOT / ".meltano"
    if Path(sys.prefix).name == ".venv"
    # Another Python, for `make test-all`.
    else Path(sys.prefix) / "meltano"
)
"""Where the plugins are that tests share. They are of the Python that tests run on."""

# An installation may be part of it.
_RUN_SECONDS = 300
_STOP_SECONDS = 60


@dataclass(frozen=True)
class Ended:
    """A Meltano command that has ended.

    Attributes:
        code: Its exit code; negative when a signal ended it.
        said: What it wrote, standard output first.
        output: Its standard output, where that was kept apart.
    """

    code: int
    said: str
    output: str = ""


@dataclass(frozen=True)
class MeltanoProject:
    """The project's plugins, with state, log and settings for one test.

    Attributes:
        folder: Holds Meltano's state, and what is loaded into files.
        settings: Settings of plugins, as environment variables.
    """

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Let the test share the plugins that are installed."""
        self._state.mkdir(exist_ok=True)
        share_plugins(self._state)

    @property
    def _state(self) -> Path:
        return self.folder / "meltano"

    def run(self, *arguments: str | Path) -> Ended:
        """Run a command to its end.

        Args:
            arguments: What to run.
        """
        done = subprocess.run(
            [*MELTANO, *arguments],
            cwd=ROOT,
            env=self._environment(),
            capture_output=True,
            check=False,
            encoding="utf-8",
            timeout=_RUN_SECONDS,
        )
        return Ended(done.returncode, done.stdout + done.stderr, done.stdout)

    def load(self, loader: str, *options: str) -> str:
        """Run the tap and a loader, which is to work.

        Args:
            loader: The loader's name.
            options: Of `meltano run`.

        Returns:
            What Meltano said.
        """
        ended = self.run("run", *options, TAP, loader)
        assert ended.code == 0, ended.said
        return ended.said

    @contextlib.contextmanager
    def loading(self, loader: str) -> Iterator[RunningLoad]:
        """Start the tap and a loader, and end them with the block.

        Args:
            loader: The loader's name.

        Yields:
            The run.
        """
        with (self.folder / "meltano.log").open("w+b") as log:
            process = subprocess.Popen(
                [*MELTANO, "run", TAP, loader],
                cwd=ROOT,
                env=self._environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            load = RunningLoad(process, Path(log.name))
            try:
                yield load
            finally:
                load.kill_all()

    def bookmarks(self, loader: str) -> dict[str, Any]:
        """Return the tap's state of `chat_history`, as Meltano would hand it out.

        Args:
            loader: The loader it belongs to.
        """
        ended = self.run("state", "get", _state_id(loader))
        assert ended.code == 0, ended.said
        state = json.loads(ended.output)
        found: dict[str, Any] = (
            state.get("singer_state", {}).get("bookmarks", {}).get("chat_history", {})
        )
        return found

    def set_bookmarks(self, loader: str, bookmarks: Mapping[str, Any]) -> None:
        """Replace the tap's state by one of `chat_history`.

        Args:
            loader: The loader it belongs to.
            bookmarks: The state of `chat_history`.
        """
        file = self.folder / "state.json"
        state = {"singer_state": {"bookmarks": {"chat_history": bookmarks}}}
        file.write_text(json.dumps(state), encoding="utf-8")
        ended = self.run(
            "state", "set", "--force", "--input-file", file, _state_id(loader)
        )
        assert ended.code == 0, ended.said

    def _environment(self) -> dict[str, str]:
        return {
            **_environment(),
            "MELTANO_SYS_DIR_ROOT": str(self._state),
            "TARGET_DUCKDB_FILEPATH": str(self.folder / "kommo.duckdb"),
            "TARGET_JSONL_DESTINATION_PATH": str(self.folder),
            "TARGET_JSONL_DO_TIMESTAMP_FILE": "false",
            **self.settings,
        }


def share_plugins(folder: Path) -> None:
    """Let a folder of Meltano's state have the plugins that are installed.

    Args:
        folder: The folder, which may have them already.
    """
    _install_plugins(_SHARED_PLUGINS)
    for kind in ("extractors", "loaders", "utilities"):
        installed = PLUGINS / kind
        installed.mkdir(exist_ok=True)
        with contextlib.suppress(FileExistsError):
            (folder / kind).symlink_to(installed)


def utility(name: str) -> Path:
    """Install a utility, as far as it is not there.

    Args:
        name: Its name.

    Returns:
        Where its programs are.
    """
    _install_plugins((name,))
    return PLUGINS / "utilities" / name / "venv" / "bin"


@functools.cache
def _install_plugins(names: tuple[str, ...]) -> None:
    """Install what several tests run, as far as it is not there.

    Tests that run side by side would install into one folder at once.
    """
    PLUGINS.mkdir(exist_ok=True)
    with (PLUGINS / "tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            [*MELTANO, "install", *names],
            cwd=ROOT,
            env={**_environment(), "MELTANO_SYS_DIR_ROOT": str(PLUGINS)},
            capture_output=True,
            check=False,
            encoding="utf-8",
            timeout=_RUN_SECONDS,
        )
    assert done.returncode == 0, done.stdout + done.stderr


def _environment() -> dict[str, str]:
    return {
        **without_settings(os.environ),
        "MELTANO_PROJECT_ROOT": str(ROOT),
        "MELTANO_ENVIRONMENT": "dev",
        "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
        "NO_COLOR": "1",
    }


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Leave out what sets Meltano or a plugin up for something else.

    Args:
        environment: The environment of a developer.
    """
    prefixes = ("MELTANO", "TAP_", "TARGET_")
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(prefixes)
    }


class RunningLoad:
    """A `meltano run` that has not ended.

    Attributes:
        meltano: Meltano's process.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        """Take over a process.

        Args:
            process: Meltano's.
            log: Where it writes to.
        """
        self.meltano = process
        self._log = log
        self._family: Sequence[psutil.Process] = []

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to Meltano alone. A killed one leaves its plugins behind.

        Args:
            number: The signal.
        """
        self._family = self._plugins()
        self.meltano.send_signal(number)

    def wait(self) -> Ended:
        """Wait for Meltano and all its plugins to end."""
        family = self._family or self._plugins()
        code = self.meltano.wait(_STOP_SECONDS)
        _, left = psutil.wait_procs(family, _STOP_SECONDS)
        assert not left, left
        return Ended(code, self._log.read_text(encoding="utf-8"))

    def kill_all(self) -> None:
        """End what still runs."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.meltano.pid, signal.SIGKILL)
        self.meltano.wait()

    def _plugins(self) -> Sequence[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            children: Sequence[psutil.Process] = psutil.Process(
                self.meltano.pid
            ).children(recursive=True)
            return children
        return []


def _state_id(loader: str) -> str:
    """Return the name under which Meltano keeps the tap's state.

    Args:
        loader: The loader it belongs to.
    """
    return f"dev:{TAP}-to-{loader}"


def settings_for(
    sandbox: Sandbox, conversation_ids: Sequence[str] | None = None
) -> dict[str, str]:
    """Return the settings to read a sandbox, as environment variables.

    Args:
        sandbox: What the tap reads.
        conversation_ids: What of it; everything if None.
    """
    config = config_for(sandbox, conversation_ids)
    return {
        "TAP_KOMMO_CHATS_API_URL": config["api_url"],
        "TAP_KOMMO_CHATS_SCOPE_ID": config["scope_id"],
        "TAP_KOMMO_CHATS_CHANNEL_SECRET": config["channel_secret"],
        "TAP_KOMMO_CHATS_CONVERSATION_IDS": json.dumps(config["conversation_ids"]),
        "TAP_KOMMO_CHATS_REQUESTS_PER_SECOND": "0",
    }
