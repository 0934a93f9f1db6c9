"""What faults do to requests for talks and events."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from sandbox import CrmStore, Faults, Sandbox
from tests.sandbox.crm.asking import AT, ask, problem_of, with_events, with_talks
from tests.sandbox.requesting import get


@pytest.mark.parametrize(
    ("name", "status"),
    [("server_error", 502), ("html", 200), ("blocked", 403), ("too_many", 429)],
)
def test_faults_that_answer_strike_crm_requests_too(
    sandbox: Sandbox, name: str, status: int
) -> None:
    shares: dict[str, Any] = {name: 1}
    sandbox.faults = Faults(**shares)
    response = ask(sandbox, "events")
    assert response.status_code == status
    assert [(seen.status, seen.fault) for seen in sandbox.requests] == [(status, name)]


@pytest.mark.parametrize("name", ["reset_before", "reset_within", "truncated"])
@pytest.mark.parametrize("events", [0, 1])
def test_faults_of_the_connection_strike_crm_requests_too(
    sandbox: Sandbox, crm: CrmStore, name: str, events: int
) -> None:
    with_events(crm, events)
    shares: dict[str, Any] = {name: 1}
    sandbox.faults = Faults(**shares)
    with pytest.raises(requests.RequestException):
        ask(sandbox, "events")
    assert [(seen.status, seen.fault) for seen in sandbox.requests] == [(0, name)]


def test_half_a_crm_page_is_no_json(sandbox: Sandbox, crm: CrmStore) -> None:
    with_events(crm, 1)
    sandbox.faults = Faults(cut_json=1)
    response = ask(sandbox, "events")
    assert response.status_code == 200
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        response.json()


def test_an_oversized_talk_is_the_same_talk(sandbox: Sandbox, crm: CrmStore) -> None:
    with_talks(crm, 1, last="text")
    sandbox.faults = Faults(oversized=10_000)
    response = ask(sandbox, "talks/1")
    assert len(response.content) == 10_000
    assert response.json() == crm.talks.get(1)


def test_too_many_crm_requests_get_problem_json(sandbox: Sandbox) -> None:
    sandbox.faults = Faults(too_many=1, retry_after=2)
    response = ask(sandbox, "events")
    assert problem_of(response) == (429, "Too Many Requests")
    assert response.headers["Retry-After"] == "2"


@pytest.mark.parametrize(
    "target", ["events?filter[created_at]", "leads?filter[updated_at]"]
)
def test_crm_pages_meet_the_same_faults_whatever_the_times_asked_for(
    sandbox: Sandbox, crm: CrmStore, target: str
) -> None:
    with_events(crm, 1)
    crm.leads.add(1, created_at=AT)
    met = []
    for since in (AT - 1, AT - 2):
        sandbox.faults = Faults(server_error=0.5, seed=1)
        pages = f"{target}[from]={since}&page="
        met.append([ask(sandbox, f"{pages}{n}").status_code for n in range(1, 13)])
    assert met[0] == met[1]
    assert 502 in met[0]
    assert 200 in met[0] or 204 in met[0]


@pytest.mark.parametrize(
    ("only", "struck"),
    [
        ({"chat"}, [False, False, False]),
        ({"/api/v4/events"}, [True, False, False]),
        ({"/api/v4/talks"}, [False, True, True]),
        ({"/api/v4"}, [True, True, True]),
    ],
)
def test_only_may_name_paths_of_the_crm_api(
    sandbox: Sandbox, only: set[str], struck: list[bool]
) -> None:
    sandbox.faults = Faults(blocked=1, only=frozenset(only))
    targets = ("events", "talks", "talks/1")
    statuses = [ask(sandbox, target).status_code for target in targets]
    assert [status == 403 for status in statuses] == struck
    assert (get(sandbox).status_code == 403) == ("chat" in only)
