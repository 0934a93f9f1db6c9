"""The account, its users and its pipelines: written when they differ."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from sandbox import ACCOUNT_ID, AMOJO_ID, CRM_ROOT, Refusal, Terms
from tap_kommo_chats.errors import IncompleteRunError, RunError
from tests.support.account import DAY, Account, names
from tests.support.tap import failing_run

if TYPE_CHECKING:
    from tests.support.tap import Output

FEW = ("accounts", "users", "pipelines")


@pytest.fixture(autouse=True)
def filled(account: Account) -> None:
    crm = account.crm.store
    crm.users.add(1, "Ana", amojo_id="u-1", is_admin=True)
    crm.users.add(2, "Bo", group_id=412_105, role_id=71_001)
    crm.pipelines.add(6, "Sales", {60: "New", 61: "Offer"})


def counts(output: Output) -> dict[str, int]:
    return {stream: len(output.records_of(stream)) for stream in FEW}


def test_a_first_run_writes_all_of_them(account: Account) -> None:
    output = account.run()

    assert counts(output) == {"accounts": 1, "users": 2, "pipelines": 4}
    (told,) = output.records_of("accounts")
    assert told["account_id"] == ACCOUNT_ID
    assert told["amojo_id"] == AMOJO_ID
    assert told["timezone"] == "America/Sao_Paulo"


def test_users_carry_what_joins_them_to_messages_and_teams(account: Account) -> None:
    ana, bo = account.run().records_of("users")

    assert (ana["user_id"], ana["amojo_id"], ana["is_admin"]) == (1, "u-1", True)
    assert (bo["amojo_id"], bo["is_admin"]) == (None, False)
    assert (bo["group_name"], bo["role_name"]) == ("Support", "Agent")
    assert {ana["account_id"], bo["account_id"]} == {ACCOUNT_ID}


def test_pipelines_have_a_row_per_status_with_both_ends(account: Account) -> None:
    rows = account.run().records_of("pipelines")

    assert [row["status_id"] for row in rows] == [60, 61, 142, 143]
    assert {row["pipeline_name"] for row in rows} == {"Sales"}


def test_what_did_not_change_is_not_written_again(account: Account) -> None:
    first = account.run()
    account.now += 30 * DAY

    second = account.run(first.state)

    assert counts(second) == dict.fromkeys(FEW, 0)


def test_only_what_changed_is_written_again(account: Account) -> None:
    first = account.run()
    account.now += DAY
    account.crm.store.users.update(2, name="Bob")

    second = account.run(first.state)

    assert [row["name"] for row in second.records_of("users")] == ["Bob"]
    assert counts(second) == {"accounts": 0, "users": 1, "pipelines": 0}


def test_a_user_who_was_removed_is_not_written_again(account: Account) -> None:
    first = account.run()
    account.crm.store.users.remove(1)

    assert account.run(first.state).records_of("users") == []


def test_they_can_be_selected_without_anything_else(account: Account) -> None:
    account.talk(1, "a")

    output = account.run_some(FEW)

    assert counts(output) == {"accounts": 1, "users": 2, "pipelines": 4}
    asked = {target.partition("?")[0] for target in account.crm_requests()}
    assert asked == {
        f"{CRM_ROOT}/account",
        f"{CRM_ROOT}/users",
        f"{CRM_ROOT}/leads/pipelines",
    }


def test_what_is_masked_is_not_compared(account: Account) -> None:
    first = account.run(drop_fields=["users:email"])
    account.crm.store.users.update(1, email="new@example.com")

    second = account.run(first.state, drop_fields=["users:email"])

    assert "email" not in first.records_of("users")[0]
    assert second.records_of("users") == []


def test_each_shard_writes_its_own_part(account: Account) -> None:
    halves = [account.run(shard=f"{number}/2") for number in (1, 2)]

    for stream in FEW:
        whole = account.run().records_of(stream)
        parts = [row for half in halves for row in half.records_of(stream)]
        assert sorted(map(str, parts)) == sorted(map(str, whole))


def test_without_an_administrator_users_are_left_out_with_a_warning(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    account.talk(1, "a")
    name = account.message("a")
    account.crm.terms = Terms(administrator=False)

    output = account.run()

    assert names(output) == [name]
    assert counts(output) == {"accounts": 1, "users": 0, "pipelines": 4}
    (line,) = [r for r in caplog.records if "users are left out" in r.getMessage()]
    assert line.levelno == logging.WARNING
    assert "as an administrator" in line.getMessage()


@pytest.mark.parametrize(
    ("stream", "path", "status"),
    [
        ("users", "users", 402),
        ("pipelines", "leads/pipelines", 402),
        ("pipelines", "leads/pipelines", 403),
        ("pipelines", "leads/pipelines", 404),
        ("leads", "leads", 402),
        ("leads", "leads", 403),
        ("accounts", "account", 403),
        ("accounts", "account", 404),
    ],
)
def test_a_refusal_stops_its_stream_and_fails_the_run_at_its_end(
    account: Account,
    caplog: pytest.LogCaptureFixture,
    stream: str,
    path: str,
    status: int,
) -> None:
    account.talk(1, "a", entity_id=9)
    account.crm.store.leads.add(9, created_at=5)
    name = account.message("a")
    refusal = Refusal(status, "no")
    account.crm.terms = Terms(refused={f"{CRM_ROOT}/{path}": refusal})

    with account.clock():
        failed = failing_run(account.config(), caplog)

    assert isinstance(failed.error, IncompleteRunError)
    assert f"{stream} could not be read" in str(failed.error)
    assert names(failed.output) == [name]
    assert failed.output.records_of(stream) == []
    assert failed.output.records_of("talks")


def test_a_token_that_opens_nothing_stops_the_run(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    account.crm.token = "other"  # noqa: S105 (made up here)
    config = account.config(crm_access_token="wrong")  # noqa: S106 (made up here)

    failed = failing_run(config, caplog)

    assert isinstance(failed.error, RunError)
    assert "crm_access_token is expired" in str(failed.error)


@pytest.mark.parametrize("odd", [None, 7, [], {"id": None}, {"name": "no number"}])
def test_what_has_no_number_is_left_out(account: Account, odd: Any) -> None:
    account.sandbox.answer = lambda seen: (
        web.json_response({"_embedded": {"users": [odd, {"id": 5}]}})
        if seen.target.startswith(f"{CRM_ROOT}/users")
        else None
    )

    assert [row["user_id"] for row in account.run().records_of("users")] == [5]
