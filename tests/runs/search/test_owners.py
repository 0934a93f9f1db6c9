"""Whose talks are asked for, where events name no talk: many at once, none twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from aiohttp import web

from tests.support.account import DAY, Account, names

if TYPE_CHECKING:
    from sandbox import SeenRequest

TALKS = "/api/v4/talks?"


def asked_for(target: str) -> set[str]:
    pairs = parse_qsl(urlsplit(target).query)
    return {value for name, value in pairs if name.endswith("_id][]")}


def contacts_write(account: Account, count: int, **more: Any) -> list[str]:
    """Let contacts write, each in a talk of their own that no event names."""
    for number in range(1, count + 1):
        account.talk(number, f"c{number}", contact_id=1000 + number)
        account.event(contact_id=1000 + number, **more)
    return sorted(account.message(f"c{number}") for number in range(1, count + 1))


@pytest.fixture
def later(account: Account) -> dict[str, Any]:
    """The state of a first run, ten days later."""
    state = account.run().state
    account.now += 10 * DAY
    account.sandbox.forget_requests()
    return state


def test_the_talks_of_many_contacts_are_asked_for_at_once_and_none_twice(
    account: Account, later: dict[str, Any]
) -> None:
    new = contacts_write(account, 120)
    contacts_write(account, 120)
    account.crm.max_limit = 100

    second = account.run(later)

    assert set(new) <= set(names(second))
    targets = account.crm_requests(TALKS)
    assert len(targets) <= 5
    numbers = [number for target in targets for number in asked_for(target)]
    assert len(numbers) == len(set(numbers)) == 120


def test_the_talks_of_many_leads_and_customers_are_asked_for_by_kind(
    account: Account, later: dict[str, Any]
) -> None:
    for number, kind in enumerate(["lead", "customer"] * 10, start=1):
        account.talk(
            number, f"c{number}", entity_id=500 + number // 3, entity_type=kind
        )
        account.event(entity_id=500 + number // 3, entity_type=kind)
    new = sorted(account.message(f"c{number}") for number in range(1, 21))

    assert names(account.run(later)) == new
    assert len(account.crm_requests(TALKS)) == 2


def test_contacts_whose_talks_were_just_listed_are_asked_for_too_and_at_once(
    account: Account,
) -> None:
    contacts_write(account, 60)
    listed = account.crm.store.talks.all()
    account.talk(100, "older", contact_id=1001)
    older = account.message("older")
    account.sandbox.answer = lambda request: (
        web.json_response({"_embedded": {"talks": listed}})
        if request.target == f"{TALKS}limit=250"
        else None
    )

    output = account.run()

    assert older in names(output)
    assert len(account.crm_requests(TALKS)) == 3


def heeds_nothing(request: SeenRequest, account: Account) -> web.Response | None:
    if "contact_id" not in request.target:
        return None
    return web.json_response({"_embedded": {"talks": account.crm.store.talks.all()}})


def heeds_one(request: SeenRequest, account: Account) -> web.Response | None:
    """Take the last value only, as PHP does without brackets."""
    if "contact_id" not in request.target:
        return None
    pairs = parse_qsl(urlsplit(request.target).query)
    wanted = [value for name, value in pairs if "contact_id" in name][-1]
    talks = account.crm.store.talks.all()
    theirs = [talk for talk in talks if str(talk["contact_id"]) == wanted]
    return web.json_response({"_embedded": {"talks": theirs}})


def takes_one(request: SeenRequest, _account: Account) -> web.Response | None:
    if request.target.count("contact_id") < 2:
        return None
    return web.json_response({"title": "Bad Request"}, status=400)


def leaves_one_out(request: SeenRequest, account: Account) -> web.Response | None:
    if request.target.count("contact_id") < 2:
        return None
    talks = account.crm.store.talks.all()
    return web.json_response({"_embedded": {"talks": talks[1:]}})


@pytest.mark.parametrize("odd", [heeds_nothing, heeds_one, takes_one, leaves_one_out])
def test_what_asking_for_many_does_not_give_is_asked_for_alone(
    account: Account, later: dict[str, Any], odd: Any
) -> None:
    new = contacts_write(account, 8)
    account.sandbox.answer = lambda request: odd(request, account)

    assert names(account.run(later)) == new


@pytest.mark.parametrize("odd", [heeds_one, takes_one])
def test_a_filter_that_proves_useless_for_many_is_given_up(
    account: Account, later: dict[str, Any], odd: Any
) -> None:
    contacts_write(account, 120)
    account.sandbox.answer = lambda request: odd(request, account)

    account.run(later)

    many = [t for t in account.crm_requests(TALKS) if t.count("contact_id") > 1]
    # One may be tried with a smaller page.
    assert len(many) <= 2


def test_a_list_of_the_talks_of_many_that_is_cut_off_is_asked_for_in_parts(
    account: Account, later: dict[str, Any]
) -> None:
    talk_id = 0
    for contact in range(1, 9):
        for _ in range(100):
            talk_id += 1
            account.talk(talk_id, f"c{contact}-{talk_id}", contact_id=contact)
        account.event(contact_id=contact)

    def cut_off(request: SeenRequest) -> web.Response | None:
        if not request.target.startswith(TALKS):
            return None
        wanted = asked_for(request.target)
        talks = account.crm.store.talks.all()
        theirs = [talk for talk in talks if str(talk["contact_id"]) in wanted]
        begin = 250 if "page=2" in request.target else 0
        rows = theirs[:250][begin:]
        return web.json_response({"_embedded": {"talks": rows}})

    account.sandbox.answer = cut_off

    account.run(later)

    assert len(account.asked()) == 800


def test_a_contact_without_talks_is_asked_for_once_and_told(
    account: Account, later: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    account.event(contact_id=77)
    account.event(contact_id=77)
    new = contacts_write(account, 2)

    assert names(account.run(later)) == new
    assert "2 chat event(s) lead to no conversation" in caplog.text
    assert len(account.crm_requests(TALKS)) == 2
