"""The account and its users, as the CRM serves them."""

from __future__ import annotations

import pytest

from sandbox import AMOJO_ID, SCOPE_ID, CrmStore, Sandbox
from tests.sandbox.crm.asking import AT, ask, asked, ids, rows, with_talks

ALL_OF_IT = "account?with=amojo_id,users_groups,datetime_settings"


def test_the_amojo_id_of_the_account_ends_the_scope(sandbox: Sandbox) -> None:
    response = ask(sandbox, ALL_OF_IT)
    assert response.headers["Content-Type"].startswith("application/hal+json")
    account = response.json()
    assert account["amojo_id"] == AMOJO_ID
    assert sandbox.scope_id == SCOPE_ID == f"{SCOPE_ID.split('_')[0]}_{AMOJO_ID}"


def test_the_account_has_what_the_documents_name(crm: CrmStore) -> None:
    _, account = asked(crm, ALL_OF_IT)
    assert account["_embedded"]["datetime_settings"]["timezone"] == "America/Sao_Paulo"
    groups = account["_embedded"]["users_groups"]
    assert {group["id"] for group in groups} == {0, 412_105}
    assert account["name"]
    assert account["subdomain"]


def test_the_account_is_that_of_talks_and_events(crm: CrmStore) -> None:
    with_talks(crm, 1)
    crm.events.add(AT)
    numbers = {each["account_id"] for each in (*rows(crm, "talks"), *crm.events.all())}
    assert numbers == {asked(crm, "account")[1]["id"]}


@pytest.mark.parametrize(
    ("asked_for", "amojo_id", "embedded"),
    [
        ("", False, set()),
        ("?with=amojo_id", True, set()),
        ("?with=users_groups", False, {"users_groups"}),
        ("?with=datetime_settings,amojo_id", True, {"datetime_settings"}),
    ],
)
def test_the_account_has_what_with_asks_for(
    crm: CrmStore, asked_for: str, amojo_id: object, embedded: set[str]
) -> None:
    _, account = asked(crm, f"account{asked_for}")
    assert ("amojo_id" in account) is amojo_id
    assert set(account["_embedded"]) == embedded


def test_another_account_may_take_its_place(crm: CrmStore) -> None:
    crm.account = {**crm.account, "amojo_id": "other"}
    assert asked(crm, ALL_OF_IT)[1]["amojo_id"] == "other"


def test_a_user_has_the_documented_form(crm: CrmStore) -> None:
    crm.users.add(
        7, "Ann", amojo_id="a", is_admin=True, group_id=412_105, role_id=71_001
    )
    (user,) = rows(crm, "users?with=amojo_id,group,role")
    rights = user.pop("rights")
    assert (rights["is_admin"], rights["is_active"]) == (True, True)
    assert (rights["group_id"], rights["role_id"]) == (412_105, 71_001)
    assert user == {
        "id": 7,
        "name": "Ann",
        "email": "user7@example.com",
        "lang": "en",
        "amojo_id": "a",
        "_embedded": {
            "groups": [{"id": 412_105, "name": "Support"}],
            "roles": [{"id": 71_001, "name": "Agent"}],
        },
    }


def test_a_user_may_have_no_amojo_id_and_no_role(crm: CrmStore) -> None:
    crm.users.add(7, "Ann")
    (user,) = rows(crm, "users?with=amojo_id,group,role")
    assert user["amojo_id"] is None
    assert user["_embedded"]["roles"] == []


@pytest.mark.parametrize(
    ("asked_for", "amojo_id", "embedded"),
    [
        ("", False, set()),
        ("?with=amojo_id", True, set()),
        ("?with=group,role", False, {"groups", "roles"}),
    ],
)
def test_a_user_has_what_with_asks_for(
    crm: CrmStore, asked_for: str, amojo_id: object, embedded: set[str]
) -> None:
    crm.users.add(7, "Ann", amojo_id="a")
    (user,) = rows(crm, f"users{asked_for}")
    assert ("amojo_id" in user) is amojo_id
    assert set(user["_embedded"]) == embedded


def test_users_are_listed_by_id_in_pages(crm: CrmStore) -> None:
    for user_id in (3, 1, 2):
        crm.users.add(user_id, "Ann")
    assert ids(crm, "users?limit=2") == [1, 2]
    assert ids(crm, "users?limit=2&page=2") == [3]
    assert asked(crm, "users?limit=2&page=3")[0] == 204


def test_a_removed_user_is_not_listed(crm: CrmStore) -> None:
    crm.users.add(1, "Ann")
    crm.users.add(2, "Bo")
    crm.users.remove(1)
    assert ids(crm, "users") == [2]
    with pytest.raises(KeyError):
        crm.users.remove(1)


def test_a_user_that_was_handed_out_does_not_change(crm: CrmStore) -> None:
    crm.users.add(1, "Ann")
    (before,) = crm.users.all()
    crm.users.update(1, name="Anna")
    assert (before["name"], crm.users.all()[0]["name"]) == ("Ann", "Anna")
