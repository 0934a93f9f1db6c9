"""The DAG on two workers that share no disk, and what a killed one leaves."""

from __future__ import annotations

import contextlib
import json
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from sandbox import OWN_ORIGIN, Faults, Sandbox, generated_store, seeded_crm
from tests.support.airflow import DAG_ID, Airflow
from tests.support.celery import REDIS, Worker, redis, settings_of_celery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox import SeenRequest
    from tests.support.postgres import PostgresServer

ROOT = Path(__file__).resolve().parents[2]
SHARDS = 8
SLOTS = 7
RUN_SECONDS = 480
GONE_SECONDS = 20

pytestmark = [
    pytest.mark.slow(reason="Airflow has an environment of its own, and takes minutes"),
    pytest.mark.skipif(
        REDIS is None, reason="redis-server is not installed: apt install redis-server"
    ),
    pytest.mark.skipif(
        sys.platform == "win32", reason="Airflow does not run on Windows"
    ),
    pytest.mark.skipif(
        sys.version_info >= (3, 15), reason="Airflow 3.3 needs Python 3.14 or older"
    ),
]


@dataclass
class Cluster:
    """A run of the DAG that has ended, in the middle of which two workers were killed.

    Attributes:
        airflow: Where it ran.
        run: What Airflow says of it.
        killed: What each worker had running when it was killed, by its name.
        left: What was left of each some seconds later.
        sandboxes: What served the accounts.
        rows: What the warehouse holds: conversation and message.
        states: The ids of the states, as the shared database has them.
    """

    airflow: Airflow
    run: dict[str, Any]
    killed: dict[str, list[str]]
    left: dict[str, list[str]]
    sandboxes: tuple[Sandbox, Sandbox]
    rows: list[tuple[str, str]]
    states: set[str]

    def tasks(self) -> list[dict[str, Any]]:
        """Return what Airflow says of each task that loads."""
        path = f"/dags/{DAG_ID}/dagRuns/{self.run['dag_run_id']}/taskInstances"
        found = self.airflow.api("GET", path)["task_instances"]
        return [t for t in found if t["task_id"] in {"search", "read", "load"}]

    @property
    def requests(self) -> list[SeenRequest]:
        """All requests that were made."""
        return [seen for sandbox in self.sandboxes for seen in sandbox.requests]


@pytest.fixture(scope="module")
def cluster(
    postgres: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Cluster]:
    """Run the DAG on two workers, kill both in the middle, and let others go on."""
    folder = tmp_path_factory.mktemp("celery")
    names = ("airflow", "meltano", "warehouse")
    databases = {name: postgres.create_database() for name in names}
    with ExitStack() as stack:
        store = generated_store(48, 60)
        large = stack.enter_context(Sandbox(store, seeded_crm(store)))
        small = stack.enter_context(Sandbox(generated_store(6, 30)))
        broker = stack.enter_context(redis(folder))
        settings = {
            **settings_of_celery(broker, postgres.url(databases["airflow"])),
            "MELTANO_DATABASE_URI": postgres.url(databases["meltano"]),
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
            "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
        }
        airflow = stack.enter_context(Airflow(folder / "home", settings))
        failed_before = request.session.testsfailed
        warehouse = postgres.airflow_connection(databases["warehouse"])
        for kind, content in (
            (
                "connections",
                {"kommo": kommo(large, small), "kommo_warehouse": warehouse},
            ),
            ("variables", {"kommo_accounts": accounts(large, small)}),
        ):
            file = folder / f"{kind}.json"
            file.write_text(json.dumps(content), encoding="utf-8")
            airflow.command(kind, "import", file)
        airflow.command("pools", "import", ROOT / "orchestrate" / "pools.json")
        first, second = (
            Worker.start(airflow, name, settings) for name in ("first", "second")
        )
        # Long enough to be killed in the middle.
        large.faults = Faults(latency=1)
        path = started(airflow)
        airflow.wait_until(
            lambda: (
                all(reading(worker) for worker in (first, second))
                and any(seen.conversation_id for seen in large.requests)
            ),
            RUN_SECONDS,
            "both workers read",
        )

        killed = {
            "all of it": names_of(first.processes()),
            "its main process": names_of(second.processes()),
        }
        first.kill_all()
        second.kill()
        left = {}
        for name, worker in (("all of it", first), ("its main process", second)):
            psutil.wait_procs(worker.processes(), GONE_SECONDS)
            left[name] = names_of(worker.processes())
        large.faults = Faults()
        for name in ("third", "fourth"):
            Worker.start(airflow, name, settings)
        airflow.wait_until(
            lambda: airflow.api("GET", path)["state"] in {"success", "failed"},
            RUN_SECONDS,
            "the run has ended",
        )

        with postgres.connect(databases["warehouse"]) as connection:
            rows = connection.execute(
                "SELECT conversation_id, message_id FROM kommo.chat_history"
            ).fetchall()
        with postgres.connect(databases["meltano"]) as connection:
            states = connection.execute("SELECT state_id FROM state").fetchall()
        yield Cluster(
            airflow,
            airflow.api("GET", path),
            killed,
            left,
            (large, small),
            rows,
            {state_id for (state_id,) in states},
        )
        if request.session.testsfailed > failed_before:
            print(airflow.logs())  # noqa: T201 (pytest shows it with what failed)


def test_both_workers_were_in_the_middle_of_it(cluster: Cluster) -> None:
    for names in cluster.killed.values():
        assert {"keeper.py", "starter.py", "tap-kommo-chats"} <= set(names)


def test_nothing_outlives_a_killed_worker(cluster: Cluster) -> None:
    assert cluster.left == {"all of it": [], "its main process": []}


def test_what_was_killed_is_tried_again_and_not_refused(cluster: Cluster) -> None:
    tries = {task["rendered_map_index"]: task["try_number"] for task in cluster.tasks()}

    assert cluster.run["state"] == "success", cluster.airflow.logs()
    assert set(tries) == {
        *(f"large {number}/{SHARDS}" for number in range(1, SHARDS + 1)),
        *("large search", "small 1/1"),
    }
    # The first retry went through, though Meltano's lock holds for five minutes.
    assert set(tries.values()) == {1, 2}


def test_nothing_is_missed_and_nothing_doubled(cluster: Cluster) -> None:
    served = [
        (id_, row["message"]["id"])
        for sandbox in cluster.sandboxes
        for id_ in sandbox.store.conversation_ids()
        for row in sandbox.store.rows(id_)
    ]

    assert sorted(cluster.rows) == sorted(set(served))


def test_all_workers_together_keep_to_the_request_limit(cluster: Cluster) -> None:
    for is_crm in (False, True):
        arrivals = sorted(
            seen.at
            for seen in cluster.requests
            if seen.target.startswith("/api/v4/") == is_crm
        )
        assert arrivals
        assert all(
            sum(start <= at < start + 1 for at in arrivals) <= SLOTS
            for start in arrivals
        )


def test_the_states_are_where_all_workers_reach_them(cluster: Cluster) -> None:
    assert cluster.states == {
        *(f"kommo-large-{number}of{SHARDS}" for number in range(1, SHARDS + 1)),
        *("kommo-large-search", "kommo-small-1of1"),
    }


def test_airflow_and_its_workers_listen_on_loopback_only(cluster: Cluster) -> None:
    assert cluster.airflow.listens_on() == {"127.0.0.1"}


def kommo(large: Sandbox, small: Sandbox) -> dict[str, Any]:
    """The connection `kommo`."""
    crm = {
        "api_url": large.url,
        "crm_url": large.url,
        "crm_access_token": large.crm_token,
        "crm_origins": [OWN_ORIGIN],
    }
    extra = {"large": crm, "small": {"api_url": small.url}}
    return {"conn_type": "generic", "password": large.secret, "extra": extra}


def accounts(large: Sandbox, small: Sandbox) -> dict[str, Any]:
    """The Variable `kommo_accounts`."""
    return {
        "large": {"scope_id": large.scope_id, "shards": SHARDS},
        "small": {
            "scope_id": small.scope_id,
            "conversation_ids": small.store.conversation_ids(),
        },
    }


def started(airflow: Airflow) -> str:
    """Begin the run that the schedule makes, and return where the API has it."""
    runs = f"/dags/{DAG_ID}/dagRuns"
    airflow.wait_until(
        lambda: bool(airflow.api("GET", "/dags")["dags"]), 60, "the DAG is known"
    )
    airflow.api("PATCH", f"/dags/{DAG_ID}", json={"is_paused": False})
    airflow.wait_until(
        lambda: bool(airflow.api("GET", runs)["dag_runs"]), 60, "the run has begun"
    )
    return f"{runs}/{airflow.api('GET', runs)['dag_runs'][0]['dag_run_id']}"


def reading(worker: Worker) -> bool:
    """Tell whether a worker is in the middle of loading."""
    return "tap-kommo-chats" in names_of(worker.processes())


def names_of(processes: list[psutil.Process]) -> list[str]:
    """Return the names of the programs that run."""
    found = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            found += [Path(word).name for word in process.cmdline()[:2]]
    return found
