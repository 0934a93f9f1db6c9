"""The DAG: which tasks there are, and what waits for what."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Connection, TriggerRule, task
from airflow.sdk.definitions._internal.abstractoperator import DEFAULT_RETRY_DELAY

from airflow_kommo_chats import accounts as of_accounts
from airflow_kommo_chats.given import accounts
from airflow_kommo_chats.handover import way
from airflow_kommo_chats.jobs import SMALL_TASKS, list_jobs
from airflow_kommo_chats.loads import Load, Read, Search
from airflow_kommo_chats.operators import Build, PrepareTarget
from airflow_kommo_chats.targets import TARGETS

_RETRYING = {
    # The next run waits for them, and it asks again for what failed.
    "retries": 2,
    # Pauses of 5 to 10 and 10 to 20 minutes: they grow from Airflow's setting
    # `default_task_retry_delay`.
    "retry_exponential_backoff": 2,
    "max_retry_delay": timedelta(hours=1),
    # 20,000 requests of one task. The first load of a large account may take longer:
    # the retry goes on from the last state that the target passed on.
    "execution_timeout": timedelta(hours=6),
}


def make_dag(  # noqa: PLR0913 (each is a choice of its own)
    target: str = "target-postgres",
    *,
    dag_id: str = "kommo_chats",
    schedule: str | None = "@hourly",
    small_tasks: int = SMALL_TASKS,
    builds_models: bool = False,
    found_talks: str | None = None,
) -> DAG:
    """Make the DAG.

    Args:
        target: A loader of `meltano.yml`: target-postgres, target-snowflake,
            target-bigquery or target-duckdb.
        dag_id: Its name.
        schedule: When it runs; None for by hand only.
        small_tasks: How many tasks the accounts without shards have at most. More of
            them share tasks.
        builds_models: Whether dbt makes the analysts' tables once all is loaded.
        found_talks: A folder, or the beginning of a URL such as s3://bucket/kommo, that
            all workers reach. There the search of an account with shards keeps what it
            finds, and its shards read it. Without it PostgreSQL is asked for that, and
            with other loaders each shard searches by itself.

    Returns:
        The DAG, to be kept in a variable of a file in Airflow's folder of DAGs.
    """
    if target not in TARGETS:
        message = f"{target!r} is none of {', '.join(TARGETS)}"
        raise ValueError(message)
    with DAG(
        dag_id=dag_id,
        description="Load the chats of every Kommo account, with Meltano",
        doc_md=make_dag.__doc__,
        schedule=schedule,
        start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
        # A missed hour needs no run of its own: the next run brings what it would have.
        catchup=False,
        # Two runs would read the same messages and use up each other's requests.
        max_active_runs=1,
        default_args=_RETRYING,
    ) as dag:
        tasks = _add_loads(target, small_tasks, found_talks)
        if builds_models:
            _add_build(target, *tasks)
    return dag


def _add_loads(
    target: str, small_tasks: int, found_talks: str | None
) -> tuple[Any, list[Any], Any]:
    """Add what loads; return the first task, those that load, and the last."""

    def listed(kind: str) -> Any:  # noqa: ANN401 (Airflow's)
        return task(task_id=f"list_{kind}")(_jobs)(
            kind, target, small_tasks, found_talks
        )

    def mapped(operator: type[Load], kind: str, **more: Any) -> Any:  # noqa: ANN401 (Airflow's)
        return operator.partial(
            task_id=operator.__name__.lower(),
            target=target,
            found_talks=found_talks,
            pool=of_accounts.POOL,
            # Where only one process may write, a task takes the pool for itself.
            pool_slots=1 if TARGETS[target].is_shared else of_accounts.SLOTS,
            map_index_template="{{ task.label }}",
            **more,
        ).expand_kwargs(listed(kind))

    prepare = PrepareTarget(task_id="prepare", target=target, found_talks=found_talks)
    # Its retries are soon over: the shards of other accounts wait for them.
    search = mapped(Search, "searches", retry_delay=DEFAULT_RETRY_DELAY / 5)
    # The shards of an account whose search failed read what was found before.
    searched = EmptyOperator(task_id="searched", trigger_rule=TriggerRule.ALL_DONE)
    read = mapped(Read, "readings")
    load = mapped(Load, "loads")
    # A run has failed when any of its tasks has, also one that others do not wait for.
    done = EmptyOperator(task_id="done", trigger_rule=TriggerRule.NONE_FAILED)
    prepare >> [search, read, load]
    search >> searched >> read
    loads = [search, read, load]
    loads >> done
    return prepare, loads, done


def _add_build(target: str, prepare: Any, loads: list[Any], done: Any) -> None:  # noqa: ANN401 (Airflow's)
    """Add what makes the models, of whatever was loaded."""
    loaded = EmptyOperator(task_id="loaded", trigger_rule=TriggerRule.ALL_DONE)
    build = Build(task_id="build", target=target)
    loads >> loaded >> build >> done
    prepare >> build


def _jobs(
    kind: str, target: str, small_tasks: int, found_talks: str | None
) -> list[dict[str, Any]]:
    """List the tasks of one kind."""
    jobs = list_jobs(
        accounts(),
        Connection.get(of_accounts.CONNECTION).extra_dejson,
        way=way(can_be_asked=TARGETS[target].url is not None, found_talks=found_talks),
        small_tasks=small_tasks,
    )
    found: list[dict[str, Any]] = getattr(jobs, kind)
    return found
