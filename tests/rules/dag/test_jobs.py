"""Which tasks there are for the accounts."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_kommo_chats.jobs import SMALL_TASKS, Jobs, label, list_jobs

CRM = {
    "crm_url": "https://north.kommo.com",
    "crm_access_token": "token",
    "crm_origins": ["amo.ext.1"],
}
LARGE: dict[str, Any] = {"scope_id": "channel_account", "shards": 3}


def jobs_of(account: Any, extra: Any = None, *, can_hand_over: bool = True) -> Jobs:
    return list_jobs(
        {"north": account},
        {"north": CRM if extra is None else extra},
        can_hand_over=can_hand_over,
    )


def test_an_account_in_shards_is_searched_once_and_read_in_shards() -> None:
    jobs = jobs_of(LARGE)

    assert jobs.searches == [{"accounts": ["north"], "shard": "1/1"}]
    assert [job["shard"] for job in jobs.readings] == ["1/3", "2/3", "3/3"]
    assert jobs.loads == []


@pytest.mark.parametrize(
    ("account", "extra"),
    [
        (LARGE, {}),
        ({**LARGE, "native_channels": True}, CRM),
        ({"channel_id": "channel", "shards": 3}, CRM),
        ({**LARGE, "hash_fields": ["talks:chat_id"]}, CRM),
        ({**LARGE, "drop_fields": ["origin"]}, CRM),
        (LARGE, {**CRM, "conversations_sql_url": "sqlite:///list.db"}),
    ],
    ids=["no CRM", "native", "no scope", "hashed", "dropped", "a list of one's own"],
)
def test_shards_search_by_themselves_where_a_search_cannot_be_handed_over(
    account: Any, extra: Any
) -> None:
    jobs = jobs_of(account, extra)

    assert (jobs.searches, jobs.readings, len(jobs.loads)) == ([], [], 3)


def test_shards_search_by_themselves_where_the_warehouse_cannot_be_asked() -> None:
    jobs = jobs_of(LARGE, can_hand_over=False)

    assert (jobs.searches, jobs.readings, len(jobs.loads)) == ([], [], 3)


def test_an_account_that_is_not_as_it_should_be_has_a_task_in_which_to_fail() -> None:
    odd: list[Any] = [None, [], {"shards": 0}, {"shards": "8"}, {"shards": True}]
    for account in odd:
        assert jobs_of(account).loads == [{"accounts": ["north"], "shard": "1/1"}]


@pytest.mark.parametrize("count", [0, 1, SMALL_TASKS, SMALL_TASKS + 1, 1000, 1024])
def test_any_number_of_small_accounts_makes_few_tasks_with_each_account_in_one(
    count: int,
) -> None:
    names = [f"account-{number}" for number in range(count)]
    jobs = list_jobs({name: {} for name in names}, {}, can_hand_over=True)

    assert [name for job in jobs.loads for name in job["accounts"]] == names
    assert len(jobs.loads) <= SMALL_TASKS


def test_few_small_accounts_have_a_task_each() -> None:
    jobs = list_jobs({"a": {}, "b": {}}, {}, can_hand_over=True)

    assert [job["accounts"] for job in jobs.loads] == [["a"], ["b"]]


def test_a_task_is_named_for_its_account_and_shard_or_for_its_group() -> None:
    assert label(["north"], "2/8") == "north 2/8"
    assert label(["a", "b", "c"], "1/1") == "a to c (3)"
