"""A real Airflow for tests: scheduler, API server and DAG processor, on loopback."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from typing_extensions import Self

ROOT = Path(__file__).resolve().parents[2]
DAG_ID = "kommo_chats"
_COMMAND = ROOT / ".airflow" / "venv" / "bin" / "airflow"
_HOST = "127.0.0.1"
_INSTALL_SECONDS = 240
_STEP_SECONDS = 120
_STOP_SECONDS = 5
_LINES_OF_LOG = 20


class AirflowError(Exception):
    """Airflow did not do in time what was asked of it."""


class Airflow:
    """An Airflow with a database of its own.

    A context manager: its processes run within the block. They, and all that they
    started, are gone after.

    Attributes:
        home: Airflow's folder: its database, its logs and the tasks' logs.
    """

    def __init__(self, home: Path, settings: Mapping[str, str]) -> None:
        """Set up where it will be.

        Args:
            home: The folder to make.
            settings: Environment variables of its processes.
        """
        self.home = home
        self._url = f"http://{_HOST}:{free_port()}"
        self._environment = {
            **_without_airflow(os.environ),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__API__BASE_URL": self._url,
            "AIRFLOW__API__PORT": self._url.rpartition(":")[2],
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "orchestrate" / "dags"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self._url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__FERNET_KEY": urlsafe_b64encode(os.urandom(32)).decode(),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            # SQLite lets one write at a time: the others may wait longer than 5 s.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": (
                f"sqlite:///{home / 'airflow.db'}?timeout=60"
            ),
            # It asks nobody for updates and tells nobody that it runs.
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "SCARF_ANALYTICS": "false",
            # Its processes name themselves, but not at the expense of the environment
            # that they are recognized by.
            "SPT_NOENV": "1",
            **settings,
        }
        # All that were started, and those of them that may not end.
        self._started: list[subprocess.Popen[bytes]] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        """Create the database and start the processes.

        Raises:
            AirflowError: If they are not healthy in time.
        """
        self.create()
        try:
            for name, arguments in (
                ("api-server", ("--host", _HOST, "--workers", "1")),
                # Its server for logs would listen on all interfaces.
                ("scheduler", ("--skip-serve-logs",)),
                ("dag-processor", ()),
            ):
                log = self.home / f"{name}.log"
                self._processes.append(self.start(log, name, *arguments))
            self.wait_until(self._is_healthy, _STEP_SECONDS, "Airflow is healthy")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop everything."""
        self.stop()

    def create(self) -> None:
        """Create the database, which is all that most commands need.

        Raises:
            AirflowError: If that fails.
        """
        install()
        self.home.mkdir()
        self.command("db", "migrate")

    def command(self, *arguments: str | Path) -> None:
        """Run a command of Airflow.

        Args:
            arguments: The command.

        Raises:
            AirflowError: If it fails.
        """
        done = subprocess.run(
            [_COMMAND, *arguments],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            encoding="utf-8",
            timeout=_STEP_SECONDS,
        )
        if done.returncode:
            raise AirflowError(done.stdout)

    def api(self, method: str, path: str, **arguments: Any) -> Any:
        """Ask Airflow's API.

        Args:
            method: The HTTP method.
            path: The path after `/api/v2`.
            arguments: Those of `requests.request`.

        Returns:
            The answer's JSON.
        """
        # All who ask are administrators, on loopback.
        token = requests.get(f"{self._url}/auth/token", timeout=30)
        token.raise_for_status()
        answer = requests.request(
            method,
            f"{self._url}/api/v2{path}",
            headers={"Authorization": f"Bearer {token.json()['access_token']}"},
            timeout=30,
            **arguments,
        )
        answer.raise_for_status()
        return answer.json()

    def wait_until(
        self, condition: Callable[[], bool], seconds: float, what: str
    ) -> None:
        """Wait until a condition holds.

        Args:
            condition: The condition.
            seconds: How long.
            what: What it means, for the error.

        Raises:
            AirflowError: If it does not in time, or a process of Airflow has ended.
        """
        deadline = time.monotonic() + seconds
        while not _holds(condition):
            ended = any(process.poll() is not None for process in self._processes)
            if ended or time.monotonic() > deadline:
                message = f"not so, or not within {seconds} s: {what}\n{self.logs()}"
                raise AirflowError(message)
            time.sleep(0.5)

    def running(self) -> list[psutil.Process]:
        """Return all processes that Airflow started, and theirs."""
        return processes_of(self.home)

    def listens_on(self) -> set[str]:
        """Return the addresses that anything Airflow started listens on."""
        found: set[str] = set()
        for process in self.running():
            with contextlib.suppress(psutil.Error):
                found.update(
                    connection.laddr.ip
                    for connection in process.net_connections()
                    if connection.status == psutil.CONN_LISTEN
                )
        return found

    def stop(self) -> None:
        """Stop everything, whatever it is at."""
        for process in self._started:
            process.terminate()
        psutil.wait_procs(self.running(), timeout=_STOP_SECONDS)
        # Whatever is started meanwhile is found too.
        while left := self.running():
            for found in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    found.kill()
            psutil.wait_procs(left, timeout=_STOP_SECONDS)
        for process in self._started:
            process.wait(_STOP_SECONDS)
        self._started.clear()
        self._processes.clear()

    def logs(self) -> str:
        """Return the ends of all logs."""
        texts = []
        for path in sorted(self.home.rglob("*.log")):
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            ending = "\n".join(lines[-_LINES_OF_LOG:])
            texts.append(f"----- {path.relative_to(self.home)}\n{ending}")
        return "\n".join(texts)

    def start(
        self, log: Path, *arguments: str, settings: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command of Airflow that goes on.

        Args:
            log: Where it writes to.
            arguments: The command.
            settings: Environment variables of its own.

        Returns:
            The process, which ends with the block at the latest.
        """
        with log.open("wb") as file:
            started = subprocess.Popen(
                [_COMMAND, *arguments],
                env={**self._environment, **(settings or {})},
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(started)
        return started

    def _is_healthy(self) -> bool:
        try:
            health = self.api("GET", "/monitor/health")
        except requests.RequestException:
            return False
        parts = ("metadatabase", "scheduler", "dag_processor")
        return all(health[part]["status"] == "healthy" for part in parts)


def processes_of(home: Path) -> list[psutil.Process]:
    """Return all processes that have a folder, or one within it, as Airflow's."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            theirs = process.environ().get("AIRFLOW_HOME")
            if theirs is not None and Path(theirs).is_relative_to(home):
                found.append(process)
    return found


def _holds(condition: Callable[[], bool]) -> bool:
    # A busy Airflow may be late with an answer, or say that it cannot give one.
    with contextlib.suppress(requests.RequestException):
        return condition()
    return False


def install() -> None:
    """Install Airflow, unless it is there.

    Raises:
        AirflowError: If that fails.
    """
    if any(_COMMAND.parents[1].glob(".synced-*")):
        return
    # `make` found it in the same Python, unless the tests were started without it.
    done = subprocess.run(
        ["make", "airflow", f"PYTHON={Path(sys.base_prefix, 'bin', 'python3')}"],  # noqa: S607 (the user's own make)
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        encoding="utf-8",
        timeout=_INSTALL_SECONDS,
    )
    if done.returncode:
        raise AirflowError(done.stdout)


def _without_airflow(environment: Mapping[str, str]) -> dict[str, str]:
    """Leave out what points at an Airflow or a Meltano of the user's."""
    prefixes = ("AIRFLOW", "MELTANO", "TAP_KOMMO_CHATS", "TARGET_")
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(prefixes)
    }


def free_port() -> int:
    """Return a port that nobody listens on yet."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
    return port
