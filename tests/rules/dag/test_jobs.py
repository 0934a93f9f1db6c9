"""Which tasks there are for the accounts."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_kommo_chats.handover import Way, way
from airflow_kommo_chats.jobs import SMALL_TASKS, Jobs, label, list_jobs

CRM = {
    "crm_url": "https://north.kommo.com",
    "crm_access_token": "token",
    "crm_origins": ["amo.ext.1"],
}
LARGE: dict[str, Any] = {"scope_id": "channel_account", "shards": 3}
NATIVE: dict[str, Any] = {"native_channels": True, "shards": 3}
TOKEN = {name: CRM[name] for name in ("crm_url", "crm_access_token")}


def jobs_of(account: Any, extra: Any = None, way: Way | None = Way.QUERY) -> Jobs:
    given = {"north": CRM if extra is None else extra}
    return list_jobs({"north": account}, given, way=way)


@pytest.mark.parametrize("way", Way)
@pytest.mark.parametrize(
    ("account", "extra"),
    [
        (LARGE, CRM),
        ({**LARGE, "native_channels": False}, CRM),
        ({**LARGE, "native_channels": True}, CRM),
        ({**LARGE, "native_channels": ["waba"]}, CRM),
        ({"channel_id": "channel", "shards": 3}, CRM),
        ({"channel_id": "channel", "shards": 3}, {**CRM, "crm_origins": '["x"]'}),
        (NATIVE, TOKEN),
        ({**NATIVE, "native_channels": '["waba"]'}, TOKEN),
        (NATIVE, {**TOKEN, "search_crm": True}),
    ],
)
def test_an_account_in_shards_is_searched_once_and_read_in_shards(
    account: Any, extra: Any, way: Way
) -> None:
    jobs = jobs_of(account, extra, way)

    assert jobs.searches == [{"accounts": ["north"], "shard": "1/1"}]
    assert [job["shard"] for job in jobs.readings] == ["1/3", "2/3", "3/3"]
    assert jobs.loads == []


def is_left_to_its_shards(jobs: Jobs) -> bool:
    return (jobs.searches, jobs.readings, len(jobs.loads)) == ([], [], 3)


@pytest.mark.parametrize("way", Way)
@pytest.mark.parametrize(
    ("account", "extra"),
    [
        (LARGE, {}),
        (NATIVE, {}),
        ({"shards": 3}, TOKEN),
        ({**NATIVE, "native_channels": False}, TOKEN),
        (LARGE, TOKEN),
        ({"shards": 3}, CRM),
        ({**NATIVE, "native_channels": 7}, TOKEN),
        (NATIVE, {**TOKEN, "search_crm": False}),
        (NATIVE, {**TOKEN, "search_crm": ["odd"]}),
    ],
    ids=[
        *("no CRM", "no CRM of native channels", "nothing to read", "none switched on"),
        *("no origins", "no scope", "no channels", "another searches", "odd"),
    ],
)
def test_shards_search_by_themselves_where_they_could_read_nothing_else(
    account: Any, extra: Any, way: Way
) -> None:
    assert is_left_to_its_shards(jobs_of(account, extra, way))


@pytest.mark.parametrize(
    ("account", "extra"),
    [
        ({**LARGE, "hash_fields": ["talks:chat_id"]}, CRM),
        ({**LARGE, "drop_fields": ["origin"]}, CRM),
        ({**NATIVE, "drop_fields": '["chat_events:talk_id"]'}, TOKEN),
        (LARGE, {**CRM, "conversations_sql_url": "sqlite:///list.db"}),
    ],
    ids=["hashed", "dropped", "dropped as a text", "a list of one's own"],
)
def test_what_keeps_the_warehouse_from_telling_what_was_found_is_nothing_to_a_file(
    account: Any, extra: Any
) -> None:
    assert is_left_to_its_shards(jobs_of(account, extra, Way.QUERY))
    assert len(jobs_of(account, extra, Way.FILE).readings) == 3


def test_a_file_of_ones_own_leaves_no_room_for_that_of_a_search() -> None:
    extra = {**CRM, "conversations_file": "list.txt"}

    assert is_left_to_its_shards(jobs_of(LARGE, extra, Way.FILE))
    assert len(jobs_of(LARGE, extra, Way.QUERY).readings) == 3


def test_masks_of_what_nobody_asks_the_warehouse_for_change_nothing() -> None:
    account = {**LARGE, "drop_fields": ["sender.phone", "leads:created_at"]}

    assert len(jobs_of(account).readings) == 3


def test_shards_search_by_themselves_where_nothing_can_be_handed_over() -> None:
    assert is_left_to_its_shards(jobs_of(LARGE, way=None))


@pytest.mark.parametrize(
    ("can_be_asked", "found_talks", "expected"),
    [
        (True, None, Way.QUERY),
        (True, "s3://bucket", Way.FILE),
        (False, "s3://bucket", Way.FILE),
        (False, None, None),
        (False, "", None),
    ],
)
def test_a_file_is_the_way_where_there_is_a_place_for_it(
    can_be_asked: bool,  # noqa: FBT001 (a parameter of the test)
    found_talks: str | None,
    expected: Way | None,
) -> None:
    assert way(can_be_asked=can_be_asked, found_talks=found_talks) is expected


def test_an_account_that_is_not_as_it_should_be_has_a_task_in_which_to_fail() -> None:
    odd: list[Any] = [None, [], {"shards": 0}, {"shards": "8"}, {"shards": True}]
    for account in odd:
        assert jobs_of(account).loads == [{"accounts": ["north"], "shard": "1/1"}]


@pytest.mark.parametrize("count", [0, 1, SMALL_TASKS, SMALL_TASKS + 1, 1000, 1024])
def test_any_number_of_small_accounts_makes_few_tasks_with_each_account_in_one(
    count: int,
) -> None:
    names = [f"account-{number}" for number in range(count)]
    jobs = list_jobs({name: {} for name in names}, {}, way=Way.QUERY)

    assert [name for job in jobs.loads for name in job["accounts"]] == names
    assert len(jobs.loads) <= SMALL_TASKS


def test_few_small_accounts_have_a_task_each() -> None:
    jobs = list_jobs({"a": {}, "b": {}}, {}, way=Way.QUERY)

    assert [job["accounts"] for job in jobs.loads] == [["a"], ["b"]]


def test_a_task_is_named_for_its_account_and_shard_or_for_its_group() -> None:
    assert label(["north"], "2/8") == "north 2/8"
    assert label(["a", "b", "c"], "1/1") == "a to c (3)"
