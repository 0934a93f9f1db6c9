"""Leads: those that talks name, and those that changed since."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandbox import ACCOUNT_ID, CRM_ROOT, Refusal, Terms
from tests.support.account import DAY, HOUR, Account
from tests.support.tap import failing_run

if TYPE_CHECKING:
    from tests.support.tap import Output

LEADS = f"{CRM_ROOT}/leads?"
ONE_LEAD = f"{CRM_ROOT}/leads/"
FILTERS = pytest.mark.parametrize("filters", ["heeded", "ignored", "refused"])


def lead_ids(output: Output) -> list[int]:
    return sorted(row["lead_id"] for row in output.records_of("leads"))


def lead(account: Account, number: int, age_ms: int = 0, **fields: Any) -> None:
    at = (account.now - age_ms) // 1000
    account.crm.store.leads.add(number, created_at=at, **fields)


def move(account: Account, number: int, status_id: int = 142) -> None:
    account.crm.store.move_lead(number, status_id, account.now // 1000)


def heed(account: Account, filters: Any) -> None:
    account.crm.terms = Terms(lead_filters=filters)


@FILTERS
def test_a_first_run_writes_the_leads_that_talks_name(
    account: Account, filters: str
) -> None:
    heed(account, filters)
    for number in (1, 2, 3):
        lead(account, number, 90 * DAY)
    account.talk(1, "a", entity_id=1)
    account.talk(2, "b", entity_id=2)

    assert lead_ids(account.run()) == [1, 2]


def test_a_lead_is_written_with_what_belongs_to_it(account: Account) -> None:
    fields = [{"field_id": 1, "values": [{"value": "x"}]}]
    lead(
        account,
        1,
        name="Sofa",
        price=700,
        tags=["vip"],
        source_id=19_350_112,
        loss_reason_id=5_502,
        custom_fields_values=fields,
    )
    account.talk(1, "a", entity_id=1)

    (row,) = account.run().records_of("leads")

    assert (row["account_id"], row["name"], row["price"]) == (ACCOUNT_ID, "Sofa", 700)
    assert (row["source"], row["loss_reason"]) == ("Website", "No answer")
    assert [tag["name"] for tag in row["tags"]] == ["vip"]
    assert row["custom_fields_values"] == fields


@FILTERS
def test_a_lead_that_moved_is_written_though_nothing_happened_in_its_talk(
    account: Account, filters: str
) -> None:
    heed(account, filters)
    for number in (1, 2):
        lead(account, number, 90 * DAY)
        account.talk(number, f"c{number}", entity_id=number)
    first = account.run()
    account.now += 10 * DAY
    move(account, 2)

    second = account.run(first.state)

    assert [row["status_id"] for row in second.records_of("leads")] == [142]
    assert lead_ids(second) == [2]


@FILTERS
def test_a_lead_of_a_new_talk_is_written_however_old_it_is(
    account: Account, filters: str
) -> None:
    heed(account, filters)
    lead(account, 1, 90 * DAY)
    first = account.run()
    account.now += 10 * DAY
    account.talk(1, "a", entity_id=1)
    account.event(talk_id=1)

    assert lead_ids(account.run(first.state)) == [1]


def test_a_lead_is_not_written_twice_for_nothing(account: Account) -> None:
    lead(account, 1)
    account.talk(1, "a", entity_id=1)
    first = account.run()
    account.now += HOUR
    account.event(talk_id=1)

    second = account.run(first.state)

    assert lead_ids(first) == [1]
    assert second.records_of("talks")
    assert lead_ids(second) == []


def test_a_lead_that_changed_just_before_the_last_run_is_not_written_again(
    account: Account,
) -> None:
    lead(account, 1)
    account.talk(1, "a", entity_id=1)
    first = account.run()
    account.now += 30 * DAY

    second = account.run(first.state)
    third = account.run(second.state)

    assert [lead_ids(each) for each in (first, second, third)] == [[1], [], []]
    assert third.state["bookmarks"]["leads"]["rows"] == {}


def test_a_lead_that_is_gone_is_left_out(account: Account) -> None:
    lead(account, 1)
    lead(account, 2, is_deleted=True)
    for number in (1, 2, 3):
        account.talk(number, f"c{number}", entity_id=number)

    assert lead_ids(account.run()) == [1]


def test_fifty_leads_are_asked_for_at_once(account: Account) -> None:
    for number in range(1, 121):
        lead(account, number)
        account.talk(number, f"c{number}", entity_id=number)

    output = account.run()

    assert len(lead_ids(output)) == 120
    assert len(account.crm_requests(LEADS)) == 3
    assert account.crm_requests(ONE_LEAD) == [f"{CRM_ROOT}/leads/pipelines"]


@pytest.mark.parametrize("filters", ["ignored", "refused"])
def test_without_filters_many_leads_are_found_by_going_through_all(
    account: Account, filters: str
) -> None:
    heed(account, filters)
    for number in range(1, 301):
        lead(account, number, number * HOUR)
        account.talk(number, f"c{number}", entity_id=number)

    output = account.run()

    assert len(lead_ids(output)) == 300
    assert len(account.crm_requests(ONE_LEAD)) <= 51
    assert len(account.crm_requests(LEADS)) <= 5


def test_a_run_in_which_no_lead_changed_asks_once(account: Account) -> None:
    for number in range(1, 121):
        lead(account, number, 90 * DAY)
        account.talk(number, f"c{number}", entity_id=number)
    first = account.run()
    account.now += 10 * DAY
    account.sandbox.forget_requests()

    second = account.run(first.state)

    assert lead_ids(second) == []
    assert len(account.crm_requests(LEADS)) == 1


@pytest.mark.parametrize("filters", ["ignored", "refused"])
def test_without_filters_changed_leads_are_read_down_to_the_last_run(
    account: Account, filters: str
) -> None:
    heed(account, filters)
    for number in range(1, 1001):
        lead(account, number, 90 * DAY)
    account.talk(1, "a", entity_id=1)
    first = account.run()
    account.now += 10 * DAY
    for number in (5, 900):
        move(account, number)
    account.sandbox.forget_requests()

    second = account.run(first.state)

    assert lead_ids(second) == [5, 900]
    # The filter may be refused twice, with a large page and a smaller one.
    assert len(account.crm_requests(LEADS)) <= 4


@pytest.fixture
def refused(account: Account, caplog: pytest.LogCaptureFixture) -> Any:
    """The state of a run that was refused the leads, ten days ago."""
    lead(account, 1, 90 * DAY)
    account.talk(1, "a", entity_id=1)
    account.event(talk_id=1)
    account.crm.terms = Terms(refused={f"{CRM_ROOT}/leads": Refusal(402, "no")})
    with account.clock():
        state = failing_run(account.config(), caplog).output.state
    account.now += 10 * DAY
    account.sandbox.forget_requests()
    return state


def test_a_refused_stream_gets_what_it_missed_by_the_second_run_after(
    account: Account, refused: Any
) -> None:
    account.crm.terms = Terms()

    first = account.run(refused)
    second = account.run(first.state)

    assert lead_ids(first) + lead_ids(second) == [1]


def test_a_stream_that_stays_refused_costs_no_search_from_the_beginning(
    account: Account, refused: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with account.clock():
        failing_run(account.config(), caplog, refused)

    (search,) = account.crm_requests(f"{CRM_ROOT}/events?")
    assert "filter%5Bcreated_at%5D%5Bfrom%5D" in search
    assert account.crm_requests(f"{CRM_ROOT}/talks?") == []


def test_each_lead_is_one_shards(account: Account) -> None:
    for number in range(1, 21):
        lead(account, number)
        account.talk(number, f"c{number}", entity_id=number)

    halves = [lead_ids(account.run(shard=f"{number}/2")) for number in (1, 2)]

    assert all(halves)
    assert sorted(halves[0] + halves[1]) == list(range(1, 21))
