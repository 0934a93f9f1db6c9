"""Load the chats of every Kommo account into PostgreSQL, with Meltano.

One channel serves many accounts, and a large account is read in shards. Each shard of
each account is a task and has a state of its own. What Airflow needs for it is in
docs/airflow.md.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, BaseOperator, Connection, Variable, task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

# By default, the Meltano project is the one that this file belongs to.
PROJECT = Path(os.environ.get("MELTANO_PROJECT_ROOT") or Path(__file__).parents[2])
MELTANO = PROJECT / ".venv" / "bin" / "meltano"
TAP, TARGET = "tap-kommo-chats", "target-postgres"

# The pool has a slot for each request a second that Kommo allows one address: 7. Each
# task takes one slot and makes one request a second, to the Chats API and to the CRM
# each, so whatever runs at once keeps to the limit of both. An account that needs more
# of it gets more shards.
POOL = "kommo"
REQUESTS_PER_SECOND = 1

# Airflow gives a task that it stops five seconds.
STOPPING_SECONDS = 3.5


class MeltanoOperator(BaseOperator):
    """Runs Meltano, and stops all of it when Airflow stops the task.

    This is no `@task` function, because nothing tells one that it is to stop: Airflow
    would kill the function and leave Meltano, tap and target running.
    """

    _process: subprocess.Popen[str] | None = None

    def meltano(
        self, *command: str, settings: Mapping[str, str], given: str = ""
    ) -> str:
        """Run a command of Meltano. What it reports goes to the task's log.

        Args:
            command: The command.
            settings: Environment variables. Secrets are among them: they are never in
                a template, an XCom or an argument.
            given: Its standard input.

        Returns:
            Its standard output.

        Raises:
            RuntimeError: If it fails.
        """
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8") as stdin,
            tempfile.TemporaryFile("w+", encoding="utf-8") as stdout,
        ):
            stdin.write(given)
            stdin.seek(0)
            self._process = subprocess.Popen(
                [
                    MELTANO,
                    "--log-format=uncolored",
                    # Sources of conversations add up: one account's, in .env or in the
                    # worker's environment, would be read for all.
                    f"--env-file={os.devnull}",
                    *command,
                ],
                cwd=PROJECT,
                env={**without_settings(os.environ), "NO_COLOR": "1", **settings},
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                # Its own process group, which holds the tap and the target too.
                start_new_session=True,
                # Meltano hands secrets on in files.
                umask=0o077,
            )
            for line in self._process.stderr or ():
                self.log.info("%s", line.rstrip())
            if code := self._process.wait():
                message = f"meltano {command[0]} ended with exit code {code}"
                raise RuntimeError(message)
            stdout.seek(0)
            return stdout.read()

    def on_kill(self) -> None:
        """Stop Meltano: Airflow calls this after a timeout and when it gets SIGTERM."""
        if self._process is None:
            return
        group, deadline = self._process.pid, time.monotonic() + STOPPING_SECONDS
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGTERM)
            while time.monotonic() < deadline:
                time.sleep(0.1)
                self._process.poll()
                os.killpg(group, 0)
            os.killpg(group, signal.SIGKILL)


class PrepareTarget(MeltanoOperator):
    """Installs the plugins, and creates Meltano's database and the tables.

    Tasks that run at once would get into each other's way with each of these.
    """

    def execute(self, context: Context) -> None:  # noqa: ARG002 (Airflow's)
        """Hand the tap's schema to the target, with no request to Kommo."""
        settings = target_settings()
        catalog = self.meltano("invoke", TAP, "--discover", settings=settings)
        schemas = [
            {
                "type": "SCHEMA",
                "stream": stream["tap_stream_id"],
                "schema": stream["schema"],
                "key_properties": stream["key_properties"],
            }
            for stream in json.loads(catalog)["streams"]
        ]
        given = "".join(f"{json.dumps(schema)}\n" for schema in schemas)
        self.meltano("invoke", TARGET, settings=settings, given=given)


class LoadShard(MeltanoOperator):
    """Loads one shard of one account."""

    # Shown with the task, which therefore gets names and no settings.
    template_fields = ("account", "shard")

    def __init__(self, *, account: str, shard: str, **arguments: Any) -> None:  # noqa: ANN401 (Airflow's)
        """Take what to load.

        Args:
            account: A name in the Variable `kommo_accounts`.
            shard: The tap's setting: "2/8" is the second of eight.
            arguments: The operator's.
        """
        super().__init__(**arguments)
        self.account = account
        self.shard = shard

    def execute(self, context: Context) -> None:  # noqa: ARG002 (Airflow's)
        """Load what is new."""
        # `meltano run` keeps its files in one folder for each plugin, so that two runs
        # break each other. `meltano el` keeps them, like the state, by state id.
        state_id = f"kommo-{self.account}-{self.shard.replace('/', 'of')}"
        self.meltano(
            "el",
            f"--state-id={state_id}",
            "--no-install",
            TAP,
            TARGET,
            settings={**tap_settings(self.account, self.shard), **target_settings()},
        )


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Leave out settings of tap and target."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(("TAP_", "TARGET_"))
    }


def shards_of(account: object) -> int:
    """Return how many tasks share an account.

    Raises:
        ValueError: If the Variable is not as it should be.
    """
    shards = account.get("shards", 1) if isinstance(account, dict) else None
    if not isinstance(shards, int) or shards < 1:
        message = (
            "In the Variable kommo_accounts, an account is an object with settings of "
            'the tap and, where it is shared, "shards": a whole number from 1 on'
        )
        raise ValueError(message)
    return shards


def tap_settings(account: str, shard: str) -> dict[str, str]:
    """Return the tap's settings as environment variables."""
    kommo = Connection.get("kommo")
    given = Variable.get("kommo_accounts", deserialize_json=True)[account]
    # Says what is wrong with an account to whom it is wrong for.
    shards_of(given)
    if not kommo.password:
        message = "The connection kommo has no password: the channel's secret"
        raise ValueError(message)
    settings = {
        **given,
        # What is secret and differs between accounts, such as `crm_access_token`.
        **kommo.extra_dejson.get(account, {}),
        "channel_secret": kommo.password,
        "requests_per_second": REQUESTS_PER_SECOND,
        "shard": shard,
    }
    settings.pop("shards", None)
    return {
        f"TAP_KOMMO_CHATS_{name.upper()}": value
        if isinstance(value, str)
        else json.dumps(value)
        for name, value in settings.items()
        if value is not None
    }


def target_settings() -> dict[str, str]:
    """Return the target's settings as environment variables."""
    warehouse = Connection.get("kommo_warehouse")
    if not (warehouse.host and warehouse.login and warehouse.schema):
        message = (
            "The connection kommo_warehouse has to have a host, a login, a password "
            "and, as the schema, the database"
        )
        raise ValueError(message)
    return {
        "TARGET_POSTGRES_HOST": warehouse.host,
        "TARGET_POSTGRES_PORT": str(warehouse.port or 5432),
        "TARGET_POSTGRES_USER": warehouse.login,
        "TARGET_POSTGRES_PASSWORD": warehouse.password or "",
        "TARGET_POSTGRES_DATABASE": warehouse.schema,
    }


with DAG(
    dag_id="kommo_chats",
    doc_md=__doc__,
    schedule="@hourly",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    # A missed hour needs no run of its own: the next run brings what it would have.
    catchup=False,
    # Two runs would read the same messages and use up each other's requests.
    max_active_runs=1,
    default_args={
        # The next run waits for them, and it asks again for what failed.
        "retries": 2,
        # Pauses of 5 to 10 and 10 to 20 minutes: they grow from Airflow's setting
        # `default_task_retry_delay`.
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(hours=1),
        # 20,000 requests of one task. The first load of a large account may take
        # longer: the retry goes on from the last state that the target passed on.
        "execution_timeout": timedelta(hours=6),
    },
):

    @task
    def list_jobs() -> list[dict[str, str]]:
        """List the shards of all accounts."""
        jobs = []
        accounts = Variable.get("kommo_accounts", deserialize_json=True)
        for name, account in accounts.items():
            shards = 1
            # One that is not as it should be fails in its own task, not in this one.
            with suppress(ValueError):
                shards = shards_of(account)
            jobs += [
                {"account": name, "shard": f"{number}/{shards}"}
                for number in range(1, shards + 1)
            ]
        return jobs

    prepare = PrepareTarget(task_id="prepare")
    load = LoadShard.partial(
        task_id="load",
        pool=POOL,
        map_index_template="{{ task.account }} {{ task.shard }}",
    ).expand_kwargs(list_jobs())
    prepare >> load
