"""Times what many idle accounts take on Airflow.

    .venv/bin/python -m benchmarks.accounts 1000

sets up the tests' Airflow, PostgreSQL and sandbox on this machine, loads so many small
accounts once, and prints what a second run takes, which finds nothing new. Ten accounts
share a task, as 1,000 do.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from sandbox import CrmStore, Sandbox, seeded_store
from tests.support.airflow import Airflow
from tests.support.meltano_project import share_plugins
from tests.support.postgres import PostgresServer

ROOT = Path(__file__).resolve().parents[1]
ACCOUNTS_OF_A_TASK = 10
DAG_ID = "idle"


def main() -> None:
    """Run the DAG twice with as many accounts as the command line says."""
    count = int(sys.argv[1])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sandbox = stack.enter_context(Sandbox(seeded_store(), CrmStore()))
        postgres = stack.enter_context(PostgresServer())
        airflow = stack.enter_context(_airflow(folder, count))
        _import(airflow, folder, _given(sandbox, postgres, count))
        first = _run(airflow)
        sandbox.forget_requests()
        before = _processor_seconds()
        idle = _run(airflow)
        result = {
            "accounts": count,
            "first_s": first,
            "idle_s": idle,
            "idle_processor_s_each": (_processor_seconds() - before) / count,
            "idle_requests": len(sandbox.requests),
        }
    sys.stdout.write(json.dumps(result) + "\n")


def _airflow(folder: Path, count: int) -> Airflow:
    meltano, dags = folder / "meltano", folder / "dags"
    meltano.mkdir()
    dags.mkdir()
    share_plugins(meltano)
    tasks = -(-count // ACCOUNTS_OF_A_TASK)
    (dags / "idle.py").write_text(
        "from airflow_kommo_chats.dag import make_dag\n"
        f"dag = make_dag(dag_id={DAG_ID!r}, schedule=None, small_tasks={tasks})\n",
        encoding="utf-8",
    )
    return Airflow(
        folder / "home",
        {
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "PYTHONPATH": str(ROOT / "orchestrate" / "dags"),
            "MELTANO_PROJECT_ROOT": str(ROOT),
            "MELTANO_SYS_DIR_ROOT": str(meltano),
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
        },
    )


def _given(
    sandbox: Sandbox, postgres: PostgresServer, count: int
) -> dict[str, dict[str, Any]]:
    names = [f"account{number:05}" for number in range(count)]
    account = {
        "scope_id": sandbox.scope_id,
        "conversation_ids": sandbox.store.conversation_ids()[:1],
    }
    return {
        "connections": {
            "kommo": {
                "conn_type": "generic",
                "password": sandbox.secret,
                "extra": {name: {"api_url": sandbox.url} for name in names},
            },
            "kommo_warehouse": postgres.airflow_connection(postgres.create_database()),
        },
        "variables": {"kommo_accounts": dict.fromkeys(names, account)},
    }


def _import(airflow: Airflow, folder: Path, given: dict[str, dict[str, Any]]) -> None:
    for kind, content in given.items():
        path = folder / f"{kind}.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        airflow.command(kind, "import", path)
    airflow.command("pools", "import", ROOT / "orchestrate" / "pools.json")
    airflow.wait_until(lambda: bool(airflow.api("GET", "/dags")["dags"]), 120, "a DAG")
    airflow.api("PATCH", f"/dags/{DAG_ID}", json={"is_paused": False})


def _run(airflow: Airflow) -> float:
    """Run the DAG once, and return the seconds that Airflow says it took."""
    begun = airflow.api("POST", f"/dags/{DAG_ID}/dagRuns", json={"logical_date": None})
    path = f"/dags/{DAG_ID}/dagRuns/{begun['dag_run_id']}"
    ended: dict[str, Any] = {}
    while ended.get("state") not in {"success", "failed"}:
        time.sleep(2)
        ended = airflow.api("GET", path)
    if ended["state"] != "success":
        sys.exit(airflow.logs())
    start, end = (
        # Python 3.10 does not know the Z.
        datetime.fromisoformat(ended[name].replace("Z", "+00:00"))
        for name in ("start_date", "end_date")
    )
    return (end - start).total_seconds()


def _processor_seconds() -> float:
    """Tell how long the processors of this machine have worked."""
    times = psutil.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
