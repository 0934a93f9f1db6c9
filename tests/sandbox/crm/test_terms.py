"""What the CRM refuses on which terms."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox import CrmApi, CrmStore, Faults, Refusal, Sandbox, Terms, long_lived_token
from sandbox.options import from_json, to_json
from tests.sandbox.crm.asking import AT, ask, asked, ids, problem_of, with_talks
from tests.sandbox.crm.asking import rows as rows_of

ENDPOINTS = {
    "/api/v4/account": "account",
    "/api/v4/users": "users",
    "/api/v4/leads": "leads",
    "/api/v4/leads/pipelines": "leads/pipelines",
    "/api/v4/events": "events",
    "/api/v4/talks": "talks",
    "/api/v4/talks/{id}": "talks/1",
    "/api/v4/talks/{id}/messages": "talks/1/messages",
}


def refused(crm: CrmStore, terms: Terms) -> set[str]:
    """Ask every endpoint, and for a second talk; return what was refused."""
    targets = {*ENDPOINTS.values(), "talks/2", "talks/2/messages"}
    return {each for each in targets if asked(crm, each, terms=terms)[0] >= 400}


@pytest.fixture(autouse=True)
def two_talks(crm: CrmStore) -> None:
    with_talks(crm, 1, 2)


@pytest.mark.parametrize("endpoint", ["users", "leads/pipelines", "talks/1/messages"])
def test_an_endpoint_can_be_refused_alone(crm: CrmStore, endpoint: str) -> None:
    refusal = Refusal(402, "The plan has no such thing.")
    terms = Terms(refused={f"/api/v4/{endpoint}": refusal})
    assert refused(crm, terms) == {endpoint}
    status, problem = asked(crm, endpoint, terms=terms)
    assert (status, problem["detail"]) == (402, "The plan has no such thing.")


def test_what_stands_below_a_refused_path_is_refused_too(crm: CrmStore) -> None:
    terms = Terms(refused={"/api/v4/talks/1": Refusal(404, "Gone.")})
    assert refused(crm, terms) == {"talks/1", "talks/1/messages"}


def test_an_endpoint_can_be_refused_for_all_ids(crm: CrmStore) -> None:
    terms = Terms(refused={"/api/v4/talks/{id}/messages": Refusal(403, "No.")})
    assert refused(crm, terms) == {"talks/1/messages", "talks/2/messages"}


def test_the_longest_path_that_is_refused_decides(crm: CrmStore) -> None:
    terms = Terms(
        refused={
            "/api/v4/talks": Refusal(403, "None of them."),
            "/api/v4/talks/1": Refusal(404, "Gone."),
        }
    )
    assert asked(crm, "talks/1", terms=terms)[0] == 404
    assert asked(crm, "talks/2", terms=terms)[0] == 403


def test_without_the_addon_the_messages_alone_are_402(crm: CrmStore) -> None:
    terms = Terms(addon=False)
    assert refused(crm, terms) == {"talks/1/messages", "talks/2/messages"}
    assert asked(crm, "talks/1/messages", terms=terms)[0] == 402


def test_users_are_for_administrators_only(crm: CrmStore) -> None:
    terms = Terms(administrator=False)
    assert refused(crm, terms) == {"users"}
    assert asked(crm, "users", terms=terms)[0] == 403


def test_the_talks_of_a_forbidden_contact_are_not_listed_and_else_403(
    crm: CrmStore,
) -> None:
    crm.talks.update(1, contact_id=70)
    crm.events.add(AT, talk_id=1)
    terms = Terms(forbidden_contacts=frozenset({70}))
    assert refused(crm, terms) == {"talks/1", "talks/1/messages"}
    assert asked(crm, "talks/1", terms=terms)[0] == 403
    listed = rows_of(crm, "talks", terms=terms)
    assert [talk["talk_id"] for talk in listed] == [2]
    assert len(ids(crm, "events", terms=terms)) == 1


def test_of_a_forbidden_talk_only_the_messages_are_403(crm: CrmStore) -> None:
    terms = Terms(forbidden_talks=frozenset({1}))
    assert refused(crm, terms) == {"talks/1/messages"}
    assert asked(crm, "talks/1/messages", terms=terms)[0] == 403
    assert len(rows_of(crm, "talks", terms=terms)) == 2


def test_terms_change_at_any_time(sandbox: Sandbox) -> None:
    assert ask(sandbox, "talks/1/messages").status_code == 204
    sandbox.crm.terms = Terms(addon=False)
    assert problem_of(ask(sandbox, "talks/1/messages")) == (402, "Payment Required")
    sandbox.crm.terms = Terms()
    assert ask(sandbox, "talks/1/messages").status_code == 204


def test_the_token_is_looked_at_before_the_terms(crm: CrmStore) -> None:
    api = CrmApi(crm, terms=Terms(addon=False))
    api.token = long_lived_token(scopes=[])
    assert asked(api, "talks/1/messages")[0] == 403
    api.token = long_lived_token(expires_at=AT)
    assert asked(api, "talks/1/messages")[0] == 401


@pytest.mark.parametrize(("endpoint", "target"), ENDPOINTS.items())
def test_faults_may_be_meant_for_an_endpoint(
    sandbox: Sandbox, endpoint: str, target: str
) -> None:
    sandbox.faults = Faults(too_many=1, retry_after=2, only=frozenset({endpoint}))
    response = ask(sandbox, target)
    assert problem_of(response) == (429, "Too Many Requests")
    assert response.headers["Retry-After"] == "2"


def test_faults_meant_for_an_endpoint_strike_no_other(sandbox: Sandbox) -> None:
    messages = "/api/v4/talks/{id}/messages"
    sandbox.faults = Faults(blocked=1, only=frozenset({messages}))
    struck = [
        each for each in ENDPOINTS.values() if ask(sandbox, each).status_code > 399
    ]
    assert struck == ["talks/1/messages"]


def test_json_reads_as_the_terms_it_was_written_from() -> None:
    terms = Terms(
        refused={"/api/v4/users": Refusal(403, "No.")},
        administrator=False,
        forbidden_talks=frozenset({2, 1}),
        lead_filters="ignored",
    )
    assert from_json(Terms, to_json(terms), "term") == terms
    assert from_json(Terms, "{}", "term") == Terms()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"lead_filters": "maybe"}, "lead_filters"),
        ({"message_order": "random"}, "message_order"),
    ],
)
def test_a_term_of_no_known_value_is_an_error(
    values: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Terms(**values)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"adon": false}', "'adon'.*: refused, addon, "),
        ('{"message_order": "random"}', "no terms: .*message_order"),
        ('{"forbidden_talks": 1}', "no terms: .*forbidden_talks"),
        ('{"refused": {"/api/v4": 403}}', "no terms: .*refused"),
    ],
)
def test_json_that_says_no_terms_is_an_error(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        from_json(Terms, text, "term")
