"""The PostgreSQL server that the tests bring along."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.support.postgres import PostgresServer

ROOT = Path(__file__).resolve().parents[2]


def test_postgres_is_a_real_server_that_listens_on_loopback_only(
    postgres: PostgresServer,
) -> None:
    with postgres.connect() as connection:
        row = connection.execute(
            "SELECT version(), current_setting('listen_addresses'),"
            " current_setting('unix_socket_directories'), host(inet_server_addr())"
        ).fetchone()

    assert row is not None
    assert row[0].startswith("PostgreSQL 18.")
    assert row[1:] == ("127.0.0.1", "", "127.0.0.1")
    # Another address of this machine's loopback network: a server on all answers.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", postgres.port), timeout=5).close()


def test_postgres_lets_nobody_in_without_the_password(postgres: PostgresServer) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(
            host=postgres.host,
            port=postgres.port,
            user=postgres.user,
            password="wrong",  # noqa: S106 - it is not the one
            dbname="postgres",
        )


def test_postgres_stops_when_the_tests_are_killed() -> None:
    script = (
        "import os, signal\n"
        "from tests.support.postgres import PostgresServer\n"
        "with PostgresServer() as server:\n"
        "    print(server.port, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )

    with tempfile.TemporaryDirectory() as folder:
        # As root the server is another user, which has to get in.
        Path(folder).chmod(0o755)
        # What stops the server holds the pipe of the errors, so it is waited for too.
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            check=False,
            capture_output=True,
            encoding="utf-8",
            env={**os.environ, "TMPDIR": folder},
            timeout=60,
        )

    port = int(done.stdout)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
