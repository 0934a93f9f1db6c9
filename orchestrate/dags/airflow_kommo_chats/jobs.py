"""Which tasks there are for the accounts: searches, readings of shards, whole loads.

All of it is pure.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_kommo_chats.accounts import settings_of, shards_of
from airflow_kommo_chats.mistakes import MistakeError

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    can_hand_over: bool,
    small_tasks: int = SMALL_TASKS,
) -> Jobs:
    """List the tasks of a run.

    One account that is not as it should be fails in its own task, not in this one.

    Args:
        accounts: The Variable.
        extra: The extra of the connection.
        can_hand_over: Whether the warehouse can be asked for what a search found.
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
        if can_hand_over and is_searched_once(name, account, extra):
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


def is_searched_once(name: str, account: object, extra: Mapping[str, Any]) -> bool:
    """Tell whether the CRM of a shared account is searched by a task of its own.

    That is so where shards can read without the CRM: those of a channel of one's own
    can, whose account is told by the scope. Talks of native channels are read through
    the CRM itself.
    """
    try:
        settings = settings_of(name, account, extra)
    except MistakeError:
        return False
    needed = {"crm_url", "crm_access_token", "crm_origins", "scope_id"}
    fields = [*settings.get("drop_fields", []), *settings.get("hash_fields", [])]
    return (
        needed <= settings.keys()
        and settings.get("native_channels") in {None, False, "false"}
        # The list of conversations has to be what the tap reads of the warehouse.
        and "conversations_sql_url" not in settings
        and not any(_hides_what_is_handed_over(str(field)) for field in fields)
    )


def _hides_what_is_handed_over(field: str) -> bool:
    stream, _, path = f"*:{field}".rpartition(":")
    is_ours = stream in {"*", "*:talks", "*:chat_events", "*:accounts"}
    return is_ours and path in {
        *("chat_id", "origin", "contact_id", "amojo_id", "created_at", "type"),
        "talk_id",
    }


def label(accounts: list[str], shard: str) -> str:
    """Name a task for an operator: `north 2/8`, or the first and last of a group.

    Args:
        accounts: The names of its accounts.
        shard: Which part of them.
    """
    if len(accounts) == 1:
        return f"{accounts[0]} {shard}"
    return f"{accounts[0]} to {accounts[-1]} ({len(accounts)})"
