"""The package of the DAG, installed beside an Airflow as an operator would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tap_kommo_chats.sharding import Shard
from tests.support.airflow import ROOT, install

TARGETS = ("target-postgres", "target-snowflake", "target-bigquery", "target-duckdb")
_PARSE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
print(json.dumps({
    "errors": bag.import_errors,
    "dags": {
        name: {task.task_id: task.partial_kwargs["pool_slots"] if task.is_mapped else 1
               for task in dag.tasks}
        for name, dag in bag.dags.items()
    },
}))
"""
FOUND_TALKS = "s3://bucket/kommo"
# What the tasks of a DAG are told, and what these tell the tap.
_TELL = """
import json, sys
from airflow_kommo_chats.dag import make_dag
from airflow_kommo_chats.loads import Read, Search
dag = make_dag("target-duckdb", found_talks=sys.argv[1])
listed = {
    task.task_id.removeprefix("list_"): task.python_callable(*task.op_args)
    for task in dag.tasks if task.task_id.startswith("list_")
}
def told(operator, name, job):
    given = dag.get_task(name).partial_kwargs
    task = operator(task_id="one", target=given["target"],
                    found_talks=given["found_talks"], pool_slots=7, **job)
    return task.settings("north")
print(json.dumps({
    "listed": listed,
    "prepare": dag.get_task("prepare").found_talks,
    "search": told(Search, "search", listed["searches"][0]),
    "read": told(Read, "read", listed["readings"][1]),
}))
"""

pytestmark = [
    pytest.mark.slow(reason="Airflow has an environment of its own"),
    pytest.mark.skipif(
        sys.platform == "win32", reason="Airflow does not run on Windows"
    ),
    pytest.mark.skipif(
        sys.version_info >= (3, 15), reason="Airflow 3.3 needs Python 3.14 or older"
    ),
]


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Airflow makes of a file of two lines for each loader."""
    install()
    folder = tmp_path_factory.mktemp("dags")
    uv = Path(sys.executable).with_name("uv")
    site = folder / "site"
    subprocess.run(
        [
            uv,
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            f"--target={site}",
            ROOT / "orchestrate",
        ],
        check=True,
        timeout=120,
    )
    dags = folder / "dags"
    dags.mkdir()
    for target in TARGETS:
        more = ", builds_models=True" if target == "target-postgres" else ""
        text = (
            "from airflow_kommo_chats.dag import make_dag\n"
            f'dag = make_dag(target="{target}", dag_id="{target}"{more})\n'
        )
        (dags / f"{target}.py").write_text(text, encoding="utf-8")
    return run(_PARSE, str(dags), folder, {"PYTHONPATH": str(site)})


def run(
    program: str, argument: str, folder: Path, settings: dict[str, str]
) -> dict[str, Any]:
    """Run a program beside Airflow, and return what it prints."""
    done = subprocess.run(
        [ROOT / ".airflow" / "venv" / "bin" / "python", "-c", program, argument],
        env={
            "PATH": os.environ["PATH"],
            "AIRFLOW_HOME": str(folder / "home"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            **settings,
        },
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_two_lines_make_a_dag_for_each_loader(parsed: dict[str, Any]) -> None:
    assert parsed["errors"] == {}
    assert set(parsed["dags"]) == set(TARGETS)


def test_models_are_built_where_that_is_switched_on(parsed: dict[str, Any]) -> None:
    assert {name for name, tasks in parsed["dags"].items() if "build" in tasks} == {
        "target-postgres"
    }


def test_one_task_at_a_time_writes_to_a_file(parsed: dict[str, Any]) -> None:
    assert parsed["dags"]["target-duckdb"]["load"] == 7
    assert parsed["dags"]["target-postgres"]["load"] == 1


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a DAG with a place for what searches find tells the tap."""
    install()
    north = {"crm_url": "https://north.kommo.com", "crm_access_token": "token"}
    kommo = {"conn_type": "generic", "extra": {"north": north}}
    accounts = {"north": {"native_channels": True, "shards": 2}}

    return run(
        _TELL,
        FOUND_TALKS,
        tmp_path_factory.mktemp("told"),
        {
            "PYTHONPATH": str(ROOT / "orchestrate" / "dags"),
            "AIRFLOW_CONN_KOMMO": json.dumps(kommo),
            "AIRFLOW_VAR_KOMMO_ACCOUNTS": json.dumps(accounts),
        },
    )


def test_a_place_for_what_searches_find_reaches_the_tap_of_search_and_shards(
    told: dict[str, Any],
) -> None:
    assert told["listed"] == {
        "searches": [{"accounts": ["north"], "shard": "1/1"}],
        "readings": [{"accounts": ["north"], "shard": f"{n}/2"} for n in (1, 2)],
        "loads": [],
    }
    assert told["prepare"] == FOUND_TALKS
    place = f"{FOUND_TALKS}/north.jsonl.gz"
    assert told["search"]["found_talks_file"] == place
    assert told["read"]["conversations_file"] == place
    assert (told["read"]["search_crm"], told["read"]["shard"]) == (False, "2/2")


def test_where_one_task_runs_at_a_time_it_has_all_requests_also_as_a_shard(
    told: dict[str, Any],
) -> None:
    for name in ("search", "read"):
        shard = Shard.parse(told[name].get("shard", "1/1"))
        assert told[name]["requests_per_second"] // shard.of == 7
