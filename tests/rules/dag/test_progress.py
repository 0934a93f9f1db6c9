"""What becomes of the accounts of a task, over its tries."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from airflow_kommo_chats.progress import Progress

ACCOUNTS = ["north", "south", "west"]


@dataclass
class Kept:
    values: dict[str, Any] = field(default_factory=dict)

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def set(self, key: str, value: Any) -> None:
        self.values[key] = value


def a_try(number: int, memory: Kept | None, max_tries: int = 2) -> Progress:
    """Begin a try of a task that has two retries."""
    return Progress.of(
        {
            "ti": SimpleNamespace(try_number=number, max_tries=max_tries),
            "task": SimpleNamespace(retries=2),
            "task_state_store": memory,
        }
    )


def first_try(memory: Kept | None) -> Progress:
    """North is loaded, south is refused, and west fails."""
    progress = a_try(1, memory)
    progress.done("north")
    progress.refused("south", "scope_id is missing")
    progress.failed("west", "no answer")
    return progress


def test_a_retry_runs_only_those_that_may_pass() -> None:
    memory = Kept()
    first_try(memory)

    assert a_try(2, memory).left(ACCOUNTS) == ["west"]


def test_a_try_that_leaves_one_that_may_pass_says_so_and_names_all() -> None:
    progress = first_try(Kept())

    assert progress.may_pass
    assert progress.told(ACCOUNTS) == (
        "2 of 3 accounts were not loaded: south: scope_id is missing; west: no answer"
    )


def test_a_task_with_nothing_but_refused_accounts_left_is_not_tried_again() -> None:
    memory = Kept()
    first_try(memory)
    retry = a_try(2, memory)
    retry.done("west")

    assert not retry.may_pass
    assert retry.bad == {"south": "scope_id is missing"}


def test_a_task_that_was_cleared_by_hand_runs_all_again_and_is_no_retry() -> None:
    memory = Kept()
    first_try(memory)
    # Airflow then allows as many tries as at first, from the next number on.
    cleared = a_try(2, memory, max_tries=3)

    assert cleared.left(ACCOUNTS) == ACCOUNTS
    assert not cleared.is_retry
    assert a_try(3, memory, max_tries=3).left(ACCOUNTS) == ACCOUNTS


def test_an_airflow_that_remembers_nothing_runs_all_again() -> None:
    first_try(None)

    assert a_try(2, None).left(ACCOUNTS) == ACCOUNTS


def test_one_account_alone_is_told_in_the_taps_words() -> None:
    progress = a_try(1, None)
    progress.failed("north", "no answer")

    assert progress.told(["north"]) == "no answer"
