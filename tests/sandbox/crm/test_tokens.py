"""The sandbox's long-lived token, and what it is good for."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from sandbox import CRM_TOKEN, CrmStore, Sandbox, long_lived_token
from tests.sandbox.crm.asking import AT, ask, asked, problem_of, with_talks

EVERYWHERE = [
    "account",
    "users",
    "leads",
    "leads/pipelines",
    "events",
    "talks",
    "talks/1",
]


def read(token: str) -> tuple[Any, Any]:
    """Read header and payload as anyone can, without a key."""
    header, payload, signature = token.split(".")
    assert signature
    both = [
        json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        for part in (header, payload)
    ]
    return both[0], both[1]


def test_the_token_is_a_jwt_that_says_scopes_end_and_account() -> None:
    header, claims = read(CRM_TOKEN)
    assert header["typ"] == "JWT"
    assert claims["scopes"] == ["crm", "list_external_messages"]
    assert claims["exp"] > 4_000_000_000
    assert claims["account_id"] == CrmStore().account["id"]
    assert "=" not in CRM_TOKEN


def test_a_token_says_what_it_was_made_with() -> None:
    token = long_lived_token(scopes=["crm"], expires_at=AT, account_id=7)
    _, claims = read(token)
    assert (claims["scopes"], claims["exp"], claims["account_id"]) == (["crm"], AT, 7)


@pytest.mark.parametrize(("ends_in", "status"), [(1, 200), (0, 401), (-1, 401)])
def test_a_token_is_good_until_it_expires(
    crm: CrmStore, ends_in: int, status: int
) -> None:
    token = long_lived_token(expires_at=AT + ends_in)
    assert asked(crm, "account", token=token)[0] == status


def test_a_token_expires_by_the_servers_clock(sandbox: Sandbox) -> None:
    sandbox.crm.token = long_lived_token(expires_at=AT)
    sandbox.clock = lambda: AT - 1
    assert ask(sandbox, "account").status_code == 200
    sandbox.clock = lambda: AT + 1
    assert problem_of(ask(sandbox, "account")) == (401, "Unauthorized")


def test_without_the_scope_of_messages_they_alone_are_403(crm: CrmStore) -> None:
    with_talks(crm, 1)
    token = long_lived_token(scopes=["crm"])
    status, problem = asked(crm, "talks/1/messages", token=token)
    assert (status, problem["detail"]) == (403, "Invalid scope")
    assert {asked(crm, target, token=token)[0] for target in EVERYWHERE} == {200, 204}


def test_without_the_scope_of_the_crm_all_else_is_403(crm: CrmStore) -> None:
    with_talks(crm, 1)
    token = long_lived_token(scopes=["list_external_messages"])
    assert {asked(crm, target, token=token)[0] for target in EVERYWHERE} == {403}
    assert asked(crm, "talks/1/messages", token=token)[0] == 204


@pytest.mark.parametrize(
    "token", ["opaque", "a.b.c", "a.bm90IGpzb24.c", "..", "a.W10.c"]
)
def test_a_token_that_is_no_jwt_is_good_for_all(crm: CrmStore, token: str) -> None:
    with_talks(crm, 1)
    targets = [*EVERYWHERE, "talks/1/messages"]
    assert {asked(crm, each, token=token)[0] for each in targets} == {200, 204}
