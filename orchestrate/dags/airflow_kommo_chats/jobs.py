"""Which tasks there are for the accounts: searches, readings of shards, whole loads.

All of it is pure.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_kommo_chats.accounts import OF_A_CHANNEL, as_read, settings_of, shards_of
from airflow_kommo_chats.channels import channels_of
from airflow_kommo_chats.handover import Way
from airflow_kommo_chats.mistakes import MistakeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Airflow maps 1,024 tasks at most by default. So accounts that are not shared by
# several tasks share one, as soon as there are more.
SMALL_TASKS = 100

WHOLE = "1/1"


@dataclass(frozen=True)
class Jobs:
    """The tasks of one run, as their arguments: no setting and no secret is in them.

    Attributes:
        searches: An account each, whose CRM is searched once for all of its shards.
        readings: A shard of such an account each.
        loads: Whole accounts each, or a shard of one that is not searched.
    """

    searches: list[dict[str, Any]]
    readings: list[dict[str, Any]]
    loads: list[dict[str, Any]]


def list_jobs(
    accounts: Mapping[str, Any],
    extra: Mapping[str, Any],
    *,
    way: Way | None,
    small_tasks: int = SMALL_TASKS,
) -> Jobs:
    """List the tasks of a run.

    One account that is not as it should be fails in its own task, not in this one.

    Args:
        accounts: The Variable.
        extra: The extra of the connection.
        way: How what a search found reaches the shards; None where it cannot.
        small_tasks: How many tasks the accounts without shards have at most.
    """
    jobs = Jobs([], [], [])
    small = []
    for name, account in accounts.items():
        shards = 1
        with suppress(MistakeError):
            shards = shards_of(account)
        if shards == 1:
            small.append(name)
            continue
        parts = [
            {"accounts": [name], "shard": f"{number}/{shards}"}
            for number in range(1, shards + 1)
        ]
        if is_searched_once(name, account, extra, way):
            jobs.searches.append({"accounts": [name], "shard": WHOLE})
            jobs.readings.extend(parts)
        else:
            jobs.loads.extend(parts)
    at_once = math.ceil(len(small) / small_tasks)
    jobs.loads.extend(
        {"accounts": small[begin : begin + at_once], "shard": WHOLE}
        for begin in range(0, len(small), at_once or 1)
    )
    return jobs


def is_searched_once(
    name: str, account: object, extra: Mapping[str, Any], way: Way | None
) -> bool:
    """Tell whether the CRM of a shared account is searched by a task of its own.

    That is so where there is something that shards can read of what it finds: a channel
    of one's own, or talks of native channels. One whose settings the tap will refuse is
    left to its shards, which tell why.

    Args:
        name: The account's name.
        account: What the Variable says of it.
        extra: The extra of the connection.
        way: How what a search found reaches the shards; None where it cannot.
    """
    try:
        settings = settings_of(name, account, extra)
        channels = channels_of(settings)
    except MistakeError:
        return False
    if settings.keys() & OF_A_CHANNEL:
        can_be_read = channels.own and settings.keys() & {"scope_id", "channel_id"}
    else:
        can_be_read = channels.native
    return (
        bool(can_be_read)
        and {"crm_url", "crm_access_token"} <= settings.keys()
        # Else nobody but the operator knows who searches.
        and as_read(settings.get("search_crm", True)) is True
        and _can_be_told(settings, way)
    )


def _can_be_told(settings: Mapping[str, Any], way: Way | None) -> bool:
    """Tell whether the tap has room for the list of what a search found."""
    if way is Way.FILE:
        return "conversations_file" not in settings
    return (
        way is Way.QUERY
        and "conversations_sql_url" not in settings
        and not any(map(_hides_what_is_asked_for, _masked(settings)))
    )


def _masked(settings: Mapping[str, Any]) -> Iterator[str]:
    for name in ("drop_fields", "hash_fields"):
        fields = as_read(settings.get(name))
        yield from map(str, fields if isinstance(fields, list) else ())


def _hides_what_is_asked_for(field: str) -> bool:
    stream, _, path = f"*:{field}".rpartition(":")
    is_ours = stream in {"*", "*:talks", "*:chat_events", "*:accounts"}
    return is_ours and path in {
        *("chat_id", "origin", "contact_id", "amojo_id", "created_at", "type"),
        "talk_id",
    }


def shards_in(shard: str) -> int:
    """Tell of how many shards one is, such as 8 of `2/8`."""
    return int(shard.partition("/")[2])


def label(accounts: list[str], shard: str) -> str:
    """Name a task for an operator: `north 2/8`, or the first and last of a group.

    Args:
        accounts: The names of its accounts.
        shard: Which part of them.
    """
    if len(accounts) == 1:
        return f"{accounts[0]} {shard}"
    return f"{accounts[0]} to {accounts[-1]} ({len(accounts)})"
