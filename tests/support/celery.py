"""Celery's workers for a test, each as if it were alone on its machine."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from tests.support.airflow import Airflow, free_port, processes_of
from tests.support.meltano_project import share_plugins

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
REDIS = shutil.which("redis-server")
"""Where Debian's package has put it; None where it is not installed."""

_HOST = "127.0.0.1"
_READY_SECONDS = 120
_KILLED_SECONDS = 10


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Run a Redis on loopback, with a password, that keeps nothing.

    Args:
        folder: Is its own.

    Yields:
        Its URL.
    """
    assert REDIS
    port, password = free_port(), secrets.token_urlsafe(16)
    # Not an argument, which every user of the machine could read.
    configuration = folder / "redis.conf"
    configuration.touch(mode=0o600)
    configuration.write_text(
        f"bind {_HOST}\nport {port}\nrequirepass {password}\n"
        f'save ""\nappendonly no\ndir {folder}\nlogfile {folder / "redis.log"}\n',
        encoding="utf-8",
    )
    process = subprocess.Popen([REDIS, configuration], start_new_session=True)
    try:
        yield f"redis://:{password}@{_HOST}:{port}/0"
    finally:
        process.terminate()
        process.wait(_KILLED_SECONDS)


def settings_of_celery(broker: str, database: str) -> dict[str, str]:
    """Return what makes an Airflow hand its tasks to Celery.

    Args:
        broker: The URL of Redis.
        database: SQLAlchemy's URL of a database of PostgreSQL.
    """
    return {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CELERY__BROKER_URL": broker,
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database}",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": database,
        # A process of Airflow's own, which outlives a worker that is killed.
        "AIRFLOW__DAG_PROCESSOR__STALE_BUNDLE_CLEANUP_INTERVAL": "0",
        # Seconds after which a task that gives no sign of life is taken for dead.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    }


@dataclass(frozen=True)
class Worker:
    """A worker with folders that no other worker has.

    Attributes:
        home: Airflow's folder, with the logs of its tasks.
        process: Its main process.
    """

    home: Path
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, airflow: Airflow, name: str, settings: dict[str, str]) -> Worker:
        """Start one, with a Meltano project of its own.

        Args:
            airflow: Gives it its tasks.
            name: Tells it from others.
            settings: Environment variables of it.
        """
        home = airflow.home / name
        project = home / "project"
        (project / ".meltano").mkdir(parents=True)
        shutil.copy(ROOT / "meltano.yml", project)
        (project / ".venv").symlink_to(sys.prefix)
        share_plugins(project / ".meltano")
        log = home / "worker.log"
        process = airflow.start(
            log,
            *("celery", "worker", "--skip-serve-logs", "--concurrency=5"),
            f"--celery-hostname={name}@%h",
            settings={
                **settings,
                "AIRFLOW_HOME": str(home),
                "MELTANO_PROJECT_ROOT": str(project),
            },
        )
        airflow.wait_until(
            lambda: b" ready." in log.read_bytes(), _READY_SECONDS, f"{name} is ready"
        )
        return cls(home, process)

    def processes(self) -> list[psutil.Process]:
        """Return what it started, and itself."""
        return processes_of(self.home)

    def kill(self) -> None:
        """Kill its main process alone."""
        self.process.kill()
        self.process.wait(_KILLED_SECONDS)

    def kill_all(self) -> None:
        """Kill everything of it, as when its machine goes away."""
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(_KILLED_SECONDS)
