"""The whole way: sandbox, Airflow, Meltano, PostgreSQL."""

from __future__ import annotations

import json
import sqlite3
import sys
import zlib
from collections import Counter
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psutil
import pytest
from aiohttp import web

from sandbox import (
    OWN_ORIGIN,
    ConversationStore,
    CrmStore,
    Faults,
    Sandbox,
    generated_store,
    seeded_crm,
    seeded_store,
)
from tests.support import tap
from tests.support.airflow import DAG_ID, Airflow
from tests.support.meltano_project import share_plugins, utility

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox import SeenRequest
    from tests.support.postgres import PostgresServer

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ROOT / "orchestrate" / "dags"
GROUPED = "grouped"
PLUGINS = ("tap-kommo-chats", "target-postgres")
SHARDS = 8
FEWER = 4
NATIVE_SHARDS = 2
FAILING = 3
SLOTS = 7
VARIABLE = "kommo_accounts"
CHANNEL = "6b1f0c52-94ad-4d0e-8a37-5e2c9d7f4410"
OTHER_SCOPE = f"{CHANNEL}_2f9c4b1e-7d35-4a86-9c0e-b85d1f6a3e27"
LOST_SCOPE = f"{CHANNEL}_0d6e5a3c-11b7-4f92-8f0e-6a2b9c4d7e58"
RUN_SECONDS = 480
CRM_PATH = "/api/v4/"
MOMENT = 1_760_000_000
DAY = 86_400

pytestmark = [
    pytest.mark.slow(reason="Airflow has an environment of its own, and takes minutes"),
    pytest.mark.skipif(
        sys.platform == "win32", reason="Airflow does not run on Windows"
    ),
    pytest.mark.skipif(
        sys.version_info >= (3, 15), reason="Airflow 3.3 needs Python 3.14 or older"
    ),
]


@dataclass
class Load:
    """A run of the DAG that has ended.

    Attributes:
        airflow: Where it ran, and which still runs.
        run: What Airflow says of it.
        meltano: Meltano's folder.
        large: What serves the account that is read in shards.
        small: What serves the one that is not.
        native: What serves the one of native channels, which is read in shards too.
        small_ids: The conversations of the small account.
        requests: What all were asked for.
        rows: What the warehouse holds: scope, conversation, message, text.
        native_rows: What it holds of native channels: conversation, talk, message.
        conversations: What it holds of conversations: id, account and scope.
        secrets: What nobody may see.
    """

    airflow: Airflow
    run: dict[str, Any]
    meltano: Path
    large: Sandbox
    small: Sandbox
    native: Sandbox
    small_ids: list[str]
    requests: list[SeenRequest]
    rows: list[tuple[str, ...]]
    native_rows: list[tuple[Any, ...]]
    conversations: list[tuple[Any, ...]]
    secrets: list[str]

    @property
    def path(self) -> str:
        """Where the API has the instances of the tasks."""
        return self.path_of(self.run)

    def path_of(self, run: dict[str, Any]) -> str:
        """Return where it has those of another run."""
        return f"/dags/{run['dag_id']}/dagRuns/{run['dag_run_id']}/taskInstances"

    def tasks(
        self, *kinds: str, run: dict[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Return what Airflow says of each task, or of some kinds of them."""
        found = self.airflow.api("GET", self.path_of(run or self.run))
        return [
            task
            for task in found["task_instances"]
            if not kinds or task["task_id"] in kinds
        ]

    def loads(self) -> list[dict[str, Any]]:
        """Return what Airflow says of each task that loads."""
        return self.tasks("search", "read", "load")

    def log(
        self, task: dict[str, Any], number: int, run: dict[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Return the log of a try of a task."""
        found = self.airflow.api(
            "GET",
            f"{self.path_of(run or self.run)}/{task['task_id']}/logs/{number}",
            params={"map_index": task["map_index"], "full_content": True},
        )
        return [line for line in found["content"] if isinstance(line, dict)]

    def lines(
        self, task: dict[str, Any], number: int, run: dict[str, Any] | None = None
    ) -> list[str]:
        """Return what a try of a task wrote into its log."""
        return [str(line["event"]) for line in self.log(task, number, run)]

    def errors(
        self, task: dict[str, Any], number: int, run: dict[str, Any] | None = None
    ) -> list[str]:
        """Return the errors that Airflow shows of a try of a task."""
        return [
            detail["exc_value"]
            for line in self.log(task, number, run)
            for detail in line.get("error_detail") or ()
        ]


class FailsAtFirst:
    """Answers 404 to the first request for one conversation."""

    def __init__(self, conversation_id: str) -> None:
        """Fail for this conversation."""
        self.conversation_id = conversation_id
        self._has_failed = False

    def __call__(self, seen: SeenRequest) -> web.Response | None:
        if self._has_failed or seen.conversation_id != self.conversation_id:
            return None
        self._has_failed = True
        return web.Response(status=404)


@pytest.fixture(scope="module")
def load(
    postgres: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Load]:
    """Let Airflow run the DAG once, for six accounts, three of which cannot be."""
    folder = tmp_path_factory.mktemp("airflow")
    meltano = folder / "meltano"
    meltano.mkdir()
    share_plugins(meltano)
    utility("dbt-postgres")
    database = postgres.create_database()
    with ExitStack() as stack:
        store = generated_store(48, 60)
        large = stack.enter_context(Sandbox(store, seeded_crm(store)))
        small = stack.enter_context(Sandbox(seeded_store(), CrmStore()))
        small.chats.scope_id = OTHER_SCOPE
        small.crm.store.account["amojo_id"] = OTHER_SCOPE.split("_")[1]
        small.crm.store.account["id"] += 1
        native = stack.enter_context(Sandbox(ConversationStore(), native_crm()))
        small_ids = small.store.conversation_ids()[:8]
        large.answer = FailsAtFirst(in_shard(FAILING, large)[0])
        settings = {
            "AIRFLOW__CORE__DAGS_FOLDER": str(folder_of_dags(folder)),
            # As if the package of the DAG were installed.
            "PYTHONPATH": str(PACKAGES),
            "MELTANO_PROJECT_ROOT": str(ROOT),
            "MELTANO_SYS_DIR_ROOT": str(meltano),
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
            # Seconds. The DAG's pauses before retries grow from it.
            "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
        }
        airflow = stack.enter_context(Airflow(folder / "home", settings))
        failed_before = request.session.testsfailed
        for kind, content in (
            ("connections", connections(large, small, native, postgres, database)),
            ("variables", {VARIABLE: accounts(large, small, small_ids)}),
        ):
            path = folder / f"{kind}.json"
            path.write_text(json.dumps(content), encoding="utf-8")
            airflow.command(kind, "import", path)
        airflow.command("pools", "import", ROOT / "orchestrate" / "pools.json")

        run = scheduled(airflow)

        with postgres.connect(database) as connection:
            rows = connection.execute(
                "SELECT scope_id, conversation_id, message_id, message ->> 'text'"
                " FROM kommo.chat_history"
            ).fetchall()
            native_rows = connection.execute(
                "SELECT conversation_id, talk_id, message_id FROM kommo.talk_messages"
            ).fetchall()
            conversations = connection.execute(
                "SELECT conversation_id, account_id, scope_id FROM kommo.conversations"
            ).fetchall()
        yield Load(
            airflow,
            run,
            meltano,
            large,
            small,
            native,
            small_ids,
            [*large.requests, *small.requests, *native.requests],
            rows,
            native_rows,
            conversations,
            [large.secret, postgres.password, large.crm_token],
        )
        if request.session.testsfailed > failed_before:
            print(airflow.logs())  # noqa: T201 (pytest shows it with what failed)


def test_all_shards_together_hold_every_message_exactly_once(load: Load) -> None:
    served = [
        (sandbox.scope_id, id_, row["message"]["id"], row["message"].get("text"))
        for sandbox, ids in (
            (load.large, load.large.store.conversation_ids()),
            (load.small, load.small_ids),
        )
        for id_ in ids
        for row in sandbox.store.rows(id_)
    ]

    assert load.run["run_type"] == "scheduled"
    assert sorted(load.rows, key=repr) == sorted(served, key=repr)


def test_eight_shards_cost_one_search_of_the_crm(load: Load) -> None:
    asked = Counter(
        seen.target for seen in load.large.requests if seen.target.startswith(CRM_PATH)
    )

    # All that the CRM was asked for is what one search asks, each page once.
    assert sum("/account" in target for target in asked) == 1
    assert any("/events" in target for target in asked)
    assert set(asked.values()) == {1}


def test_shards_of_native_channels_cost_one_search_and_read_each_talk_once(
    load: Load,
) -> None:
    with Sandbox(ConversationStore(), native_crm()) as sandbox:
        crm = {"crm_url": sandbox.url, "crm_access_token": sandbox.crm_token}
        tap.run({**crm, "requests_per_second": 0})
        one_search = paths_of(sandbox)
    talks = load.native.crm.store.talks.all()

    assert paths_of(load.native) == one_search + Counter(
        # Each shard asks whose talks it is to read.
        {f"{CRM_PATH}account": NATIVE_SHARDS}
    ) + Counter(f"{CRM_PATH}talks/{talk['talk_id']}/messages" for talk in talks)


def test_all_shards_of_native_channels_together_hold_every_message_exactly_once(
    load: Load,
) -> None:
    store = load.native.crm.store

    assert sorted(load.native_rows) == sorted(
        (talk["chat_id"], talk["talk_id"], message["id"])
        for talk in store.talks.all()
        for message in store.messages.of([talk["talk_id"]])
    )


def test_a_row_of_conversations_knows_its_account_though_its_shard_asked_no_crm(
    load: Load,
) -> None:
    number = load.large.crm.store.account["id"]

    assert {row for row in load.conversations if row[2] == load.large.scope_id} == {
        (id_, number, load.large.scope_id)
        for id_ in load.large.store.conversation_ids()
    }


def test_a_shard_that_fails_at_first_is_retried_alone(load: Load) -> None:
    failing = in_shard(FAILING, load.large)
    asked = Counter(
        (seen.conversation_id, seen.offset)
        for seen in load.requests
        if seen.conversation_id is not None
    )

    assert {
        task["rendered_map_index"]: task["try_number"]
        for task in load.loads()
        if task["state"] == "success"
    } == {
        **{f"large {number}/{SHARDS}": 1 for number in range(1, SHARDS + 1)},
        f"large {FAILING}/{SHARDS}": 2,
        "large search": 1,
        **{f"native {n}/{NATIVE_SHARDS}": 1 for n in range(1, NATIVE_SHARDS + 1)},
        "native search": 1,
        "small 1/1": 1,
        "lost 1/2": 1,
        "lost 2/2": 1,
    }
    assert asked[failing[0], 0] == 2
    assert {page for page, times in asked.items() if times > 1} <= {
        (id_, 0) for id_ in failing
    }


def test_an_account_that_cannot_be_is_named_and_not_tried_again(load: Load) -> None:
    failed = {
        task["rendered_map_index"]: (task["state"], task["try_number"])
        for task in load.loads()
        if task["state"] != "success"
    }

    assert load.run["state"] == "failed"
    assert failed == {
        "refused 1/1": ("failed", 1),
        "mistaken 1/1": ("failed", 1),
        # The CRM's answer may be another one the next time.
        "lost search": ("failed", 3),
    }


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("refused 1/1", "In the Variable kommo_accounts, 'refused' has 'crm_url'"),
        ("mistaken 1/1", "scope_id is a single UUID"),
        ("lost search", "GET /api/v4/account: Kommo answered 401"),
    ],
)
def test_a_task_that_failed_says_why_in_the_taps_own_last_line(
    load: Load, name: str, said: str
) -> None:
    (task,) = (t for t in load.loads() if t["rendered_map_index"] == name)

    assert any(
        error.startswith(said) for error in load.errors(task, task["try_number"])
    )


def test_each_shard_has_a_state_of_its_own(load: Load) -> None:
    assert states(load) == {
        *(f"kommo-large-{number}of{SHARDS}" for number in range(1, SHARDS + 1)),
        "kommo-large-search",
        *(f"kommo-native-{n}of{NATIVE_SHARDS}" for n in range(1, NATIVE_SHARDS + 1)),
        "kommo-native-search",
        "kommo-small-1of1",
        *("kommo-lost-1of2", "kommo-lost-2of2"),
    }


def test_no_more_tasks_run_at_once_than_the_pool_has_slots(load: Load) -> None:
    tries = [
        (moment(run["start_date"]), moment(run["end_date"]))
        for task in load.loads()
        for run in load.airflow.api(
            "GET", f"{load.path}/{task['task_id']}/{task['map_index']}/tries"
        )["task_instances"]
    ]
    at_once = [sum(start <= at < end for start, end in tries) for at, _ in tries]

    assert {task["pool"] for task in load.loads()} == {"kommo"}
    assert 1 < max(at_once) <= SLOTS < len(load.loads())


def test_all_tasks_of_one_address_keep_to_the_request_limit(load: Load) -> None:
    # Each of Kommo's two hosts counts by itself.
    for is_crm in (False, True):
        arrivals = [
            seen.at
            for seen in load.requests
            if seen.target.startswith(CRM_PATH) == is_crm
        ]
        assert arrivals
        assert all(
            sum(start <= at < start + 1 for at in arrivals) <= SLOTS
            for start in arrivals
        )


def test_airflow_shows_no_secret_and_keeps_none_in_plain_text(load: Load) -> None:
    entries = load.airflow.api("GET", f"{load.path}/~/xcomEntries")["xcom_entries"]
    seen = [json.dumps(load.tasks())]
    for entry in entries:
        path = f"{load.path}/{entry['task_id']}/xcomEntries/{entry['key']}"
        seen.append(json.dumps(load.airflow.api("GET", path)))
    files = [path for path in load.airflow.home.rglob("*") if path.is_file()]
    seen += [path.read_text(encoding="utf-8", errors="replace") for path in files]

    # Jobs are handed on, and Meltano's words are in the logs.
    assert {entry["task_id"] for entry in entries} == {
        *("list_searches", "list_readings", "list_loads")
    }
    assert sum("Incremental state has been updated" in text for text in seen) > SHARDS
    assert not [secret for secret in load.secrets for text in seen if secret in text]
    # All that Airflow shows of what a task was given.
    assert {json.dumps(task["rendered_fields"]) for task in load.tasks("search")} == {
        json.dumps({"accounts": [name], "shard": "1/1"})
        for name in ("large", "lost", "native")
    }


def test_the_dag_runs_once_at_a_time_and_retries_with_growing_pauses(
    load: Load,
) -> None:
    dag = load.airflow.api("GET", f"/dags/{DAG_ID}/details")
    tasks = load.airflow.api("GET", f"/dags/{DAG_ID}/tasks")["tasks"]

    assert (dag["catchup"], dag["max_active_runs"]) == (False, 1)
    assert {task["task_id"] for task in tasks} >= {"prepare", "search", "read", "load"}
    for task in tasks:
        assert task["retries"] > 0
        assert task["retry_exponential_backoff"] > 1
        assert task["execution_timeout"] is not None


def test_airflow_listens_on_loopback_only(load: Load) -> None:
    assert load.airflow.listens_on() == {"127.0.0.1"}


def test_with_another_number_of_shards_nothing_is_read_again(load: Load) -> None:
    large = {
        **accounts(load.large, load.small, load.small_ids)["large"],
        "shards": FEWER,
    }
    load.large.forget_requests()

    run = triggered(load.airflow, {"large": large})

    read = [seen for seen in load.large.requests if seen.conversation_id is not None]
    assert run["state"] == "success", load.airflow.logs()
    assert {id_ for id_ in states(load) if id_.startswith("kommo-large")} == {
        *(f"kommo-large-{number}of{FEWER}" for number in range(1, FEWER + 1)),
        "kommo-large-search",
    }
    # A conversation that was read has a visit at most.
    assert all(seen.offset == 0 for seen in read)
    assert sum("/talks?" in seen.target for seen in load.large.requests) == 0


def test_a_group_loads_all_its_accounts_and_a_retry_those_that_may_pass(
    load: Load,
) -> None:
    given = accounts(load.large, load.small, load.small_ids)
    (failing, *others) = load.small_ids
    load.small.answer = FailsAtFirst(failing)
    group = {
        "done": {**given["small"], "conversation_ids": others},
        "mistaken": given["mistaken"],
        "passing": {**given["small"], "conversation_ids": [failing]},
    }

    run = triggered(load.airflow, group, GROUPED)

    (task,) = (t for t in load.tasks(run=run) if t["task_id"] == "load")
    assert (task["state"], task["try_number"]) == ("failed", 2)
    assert task["rendered_map_index"] == "done to passing (3)"
    first, last = (load.errors(task, number, run) for number in (1, 2))
    assert any(error.startswith("2 of 3 accounts were not loaded:") for error in first)
    assert any(error.startswith("1 of 3 accounts were not loaded:") for error in last)
    # The retry had to do with nothing but the one that could pass.
    assert {line.partition(":")[0] for line in load.lines(task, 2, run)} & {*group} == {
        "passing"
    }
    assert {f"kommo-{name}-1of1" for name in ("done", "passing")} <= states(load)
    # The models are built once, of what was loaded; the run has failed all the same.
    (build,) = load.tasks("build", run=run)
    assert (build["state"], build["try_number"]) == ("success", 1)
    assert run["state"] == "failed"


def test_a_task_that_airflow_stops_leaves_no_process(load: Load) -> None:
    airflow = load.airflow
    small = accounts(load.large, load.small, load.small_ids)["small"]
    # Long enough to be stopped in the middle.
    load.small.faults = Faults(latency=20)
    start(airflow, {"small": small})
    airflow.wait_until(
        lambda: names_of(meltano_and_plugins(airflow)) >= {*PLUGINS},
        120,
        "a shard is being read",
    )

    stop_all_runs(airflow)

    airflow.wait_until(
        lambda: not meltano_and_plugins(airflow), 60, "the task's processes have ended"
    )


def states(load: Load) -> set[str]:
    """Return the ids of all states that there are."""
    with closing(sqlite3.connect(load.meltano / "meltano.db")) as database:
        found = database.execute("SELECT state_id FROM state").fetchall()
    return {state_id for (state_id,) in found}


def start(airflow: Airflow, only: dict[str, Any], dag_id: str = DAG_ID) -> str:
    """Begin a run with some accounts, and return where the API has it."""
    changed = {"key": VARIABLE, "value": json.dumps(only)}
    airflow.api("PATCH", f"/variables/{VARIABLE}", json=changed)
    airflow.api("PATCH", f"/dags/{dag_id}", json={"is_paused": False})
    begun = airflow.api("POST", f"/dags/{dag_id}/dagRuns", json={"logical_date": None})
    return f"/dags/{dag_id}/dagRuns/{begun['dag_run_id']}"


def triggered(
    airflow: Airflow, only: dict[str, Any], dag_id: str = DAG_ID
) -> dict[str, Any]:
    """Run a DAG once with some accounts."""
    path = start(airflow, only, dag_id)
    airflow.wait_until(
        lambda: airflow.api("GET", path)["state"] in {"success", "failed"},
        RUN_SECONDS,
        "the run has ended",
    )
    airflow.api("PATCH", f"/dags/{dag_id}", json={"is_paused": True})
    found: dict[str, Any] = airflow.api("GET", path)
    return found


def folder_of_dags(folder: Path) -> Path:
    """Make a folder with the project's DAG, and one in which accounts share a task."""
    dags = folder / "dags"
    dags.mkdir()
    text = (ROOT / "orchestrate" / "dags" / "kommo_chats.py").read_text("utf-8")
    (dags / "kommo_chats.py").write_text(text, encoding="utf-8")
    grouped = text.replace(
        'make_dag(target="target-postgres")',
        f'make_dag(dag_id="{GROUPED}", schedule=None, small_tasks=1,'
        " builds_models=True)",
    )
    (dags / "grouped.py").write_text(grouped, encoding="utf-8")
    return dags


def scheduled(airflow: Airflow) -> dict[str, Any]:
    """Switch the DAG on and wait for its first run, which its schedule makes."""

    def is_known() -> bool:
        return len(airflow.api("GET", "/dags")["dags"]) == 2

    def first_run() -> dict[str, Any]:
        runs = airflow.api("GET", f"/dags/{DAG_ID}/dagRuns")["dag_runs"]
        return min(runs, key=lambda run: str(run["queued_at"]), default={})

    def has_ended() -> bool:
        return first_run().get("state") in {"success", "failed"}

    airflow.wait_until(is_known, 60, "the DAG is known")
    airflow.api("PATCH", f"/dags/{DAG_ID}", json={"is_paused": False})
    airflow.wait_until(has_ended, RUN_SECONDS, "the run has ended")
    # If an hour has struck meanwhile, the next run has begun.
    stop_all_runs(airflow)
    return first_run()


def stop_all_runs(airflow: Airflow) -> None:
    """Let no run of the DAG go on, and no new one begin."""
    airflow.api("PATCH", f"/dags/{DAG_ID}", json={"is_paused": True})
    runs = f"/dags/{DAG_ID}/dagRuns"
    for run in airflow.api("GET", runs)["dag_runs"]:
        if run["state"] not in {"success", "failed"}:
            failed = {"state": "failed"}
            airflow.api("PATCH", f"{runs}/{run['dag_run_id']}", json=failed)


def native_crm() -> CrmStore:
    """Make the CRM of another account, without a channel of its own."""
    crm = CrmStore()
    crm.account["id"] += 2
    account = {"account_id": crm.account["id"]}
    for number in range(1, 7):
        # Each chat has two talks, which need not be of one shard.
        chat = (number + 1) // 2
        at = MOMENT + number * DAY
        native = {"origin": "waba", "contact_id": chat, **account}
        crm.open_talk(number, f"chat-{chat}", at, **native)
        for second in range(3):
            crm.add_message(number, at + second)
    for event in crm.events.all():
        event.update(account)
    return crm


def paths_of(sandbox: Sandbox) -> Counter[str]:
    """Count what was asked for, whatever part of it was meant."""
    return Counter(urlsplit(seen.target).path for seen in sandbox.requests)


def connections(
    large: Sandbox,
    small: Sandbox,
    native: Sandbox,
    postgres: PostgresServer,
    database: str,
) -> dict[str, Any]:
    return {
        "kommo": {
            "conn_type": "generic",
            "password": large.secret,
            "extra": {
                "large": crm_of(large),
                "lost": {**crm_of(small), "crm_access_token": "of-nobody"},
                "mistaken": {"api_url": small.url},
                "native": {
                    "crm_url": native.url,
                    "crm_access_token": native.crm_token,
                },
                "small": crm_of(small),
                "done": {"api_url": small.url},
                "passing": {"api_url": small.url},
            },
        },
        "kommo_warehouse": postgres.airflow_connection(database),
    }


def crm_of(sandbox: Sandbox) -> dict[str, Any]:
    return {
        "api_url": sandbox.url,
        "crm_url": sandbox.url,
        "crm_access_token": sandbox.crm_token,
        "crm_origins": [OWN_ORIGIN],
    }


def accounts(large: Sandbox, small: Sandbox, small_ids: list[str]) -> dict[str, Any]:
    return {
        "large": {"scope_id": large.scope_id, "shards": SHARDS},
        # The CRM refuses its token.
        "lost": {"scope_id": LOST_SCOPE, "shards": 2},
        # The tap refuses its settings, and the DAG those of the next one.
        "mistaken": {"scope_id": CHANNEL, "conversation_ids": small_ids},
        "native": {"native_channels": True, "shards": NATIVE_SHARDS},
        "refused": {"scope_id": small.scope_id, "crm_url": small.url},
        "small": {
            "scope_id": small.scope_id,
            "conversation_ids": small_ids,
        },
    }


def in_shard(number: int, sandbox: Sandbox) -> list[str]:
    return [
        id_
        for id_ in sandbox.store.conversation_ids()
        if zlib.crc32(id_.encode()) % SHARDS + 1 == number
    ]


def meltano_and_plugins(airflow: Airflow) -> list[psutil.Process]:
    ours = {"keeper.py", "starter.py", *PLUGINS}
    return [process for process in airflow.running() if ours & names_of([process])]


def names_of(processes: list[psutil.Process]) -> set[str]:
    """Return the names of the first words of the processes' commands."""
    found: set[str] = set()
    for process in processes:
        with suppress(psutil.Error):
            found.update(Path(word).name for word in process.cmdline()[:2])
    return found


def moment(text: str) -> datetime:
    # Python 3.10 does not know the Z.
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
