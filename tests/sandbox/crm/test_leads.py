"""Leads and pipelines, as the CRM serves them."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox import CrmStore, Sandbox, Terms
from tests.sandbox.crm.asking import AT, ask, asked, ids, rows


def with_leads(crm: CrmStore, *ids: int) -> None:
    """Add leads, each updated the later the lower its id."""
    for lead_id in ids:
        crm.leads.add(lead_id, created_at=AT, updated_at=AT + 100 - lead_id)


def test_a_lead_has_the_documented_form(crm: CrmStore) -> None:
    crm.leads.add(
        7,
        created_at=AT,
        updated_at=AT + 9,
        tags=["vip"],
        price=350,
        loss_reason_id=5_501,
        source_id=19_350_112,
    )
    (lead,) = rows(crm, "leads?with=loss_reason,source")
    assert isinstance(lead.pop("account_id"), int)
    embedded = lead.pop("_embedded")
    assert [tag["name"] for tag in embedded["tags"]] == ["vip"]
    assert embedded["loss_reason"] == [{"id": 5_501, "name": "Too expensive"}]
    assert embedded["source"] == {"id": 19_350_112, "name": "Website"}
    assert lead == {
        "id": 7,
        "name": "Lead #7",
        "price": 350,
        "responsible_user_id": 9_120_044,
        "group_id": 0,
        "status_id": 60_012,
        "pipeline_id": 6_001,
        "loss_reason_id": 5_501,
        "source_id": 19_350_112,
        "created_by": 0,
        "updated_by": 0,
        "created_at": AT,
        "updated_at": AT + 9,
        "closed_at": None,
        "closest_task_at": None,
        "is_deleted": False,
        "custom_fields_values": None,
        "score": None,
    }


@pytest.mark.parametrize(
    ("asked_for", "source_id", "embedded"),
    [
        ("", False, set()),
        ("?with=source_id", True, set()),
        ("?with=source", True, {"source"}),
        ("?with=loss_reason", False, {"loss_reason"}),
    ],
)
def test_a_lead_has_what_with_asks_for(
    crm: CrmStore, asked_for: str, source_id: object, embedded: set[str]
) -> None:
    with_leads(crm, 1)
    (lead,) = rows(crm, f"leads{asked_for}")
    assert ("source_id" in lead) is source_id
    assert set(lead["_embedded"]) - {"tags", "companies"} == embedded


def test_a_lead_without_reason_or_source_has_none_embedded(crm: CrmStore) -> None:
    with_leads(crm, 1)
    (lead,) = rows(crm, "leads?with=loss_reason,source")
    assert (lead["_embedded"]["loss_reason"], lead["_embedded"]["source"]) == ([], None)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("filter[id][]=3&filter[id][]=1&filter[id][]=9", [3, 1]),
        ("filter[id]=2", [2]),
        (f"filter[updated_at][from]={AT + 98}", [2, 1]),
        (f"filter[updated_at][to]={AT + 98}", [3, 2]),
        (f"filter[updated_at][from]={AT + 98}&filter[id][]=1", [1]),
        ("order[updated_at]=asc", [3, 2, 1]),
        ("order[updated_at]=desc", [1, 2, 3]),
        ("order[id]=asc", [1, 2, 3]),
        ("", [3, 2, 1]),
    ],
)
def test_leads_are_filtered_and_ordered(
    crm: CrmStore, query: str, expected: list[int]
) -> None:
    with_leads(crm, 2, 3, 1)
    assert ids(crm, f"leads?{query}") == expected


def test_leads_of_one_time_keep_an_order(crm: CrmStore) -> None:
    for lead_id in (2, 3, 1):
        crm.leads.add(lead_id, created_at=AT)
    assert ids(crm, "leads?order[updated_at]=asc") == [3, 2, 1]


def test_next_goes_through_all_leads_of_a_filter(
    sandbox: Sandbox, crm: CrmStore
) -> None:
    with_leads(crm, *range(1, 8))
    query = f"filter[updated_at][from]={AT + 95}&order[updated_at]=asc&limit=2"
    target, seen = f"leads?{query}", []
    while target:
        page = ask(sandbox, target).json()
        seen += [lead["id"] for lead in page["_embedded"]["leads"]]
        target = page["_links"].get("next", {}).get("href")
    assert seen == [5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    "filters", ["filter[id][]=1", f"filter[updated_at][from]={AT + 999}"]
)
def test_filters_on_leads_may_be_refused_or_ignored(
    crm: CrmStore, filters: str
) -> None:
    with_leads(crm, 1, 2)
    ignored, refused = Terms(lead_filters="ignored"), Terms(lead_filters="refused")
    assert ids(crm, f"leads?{filters}", terms=ignored) == [2, 1]
    status, problem = asked(crm, f"leads?{filters}", terms=refused)
    assert (status, problem["title"]) == (400, "Bad Request")
    for terms in (ignored, refused):
        assert ids(crm, "leads?order[updated_at]=desc", terms=terms) == [1, 2]


def test_deleted_leads_are_given_only_when_asked_for(crm: CrmStore) -> None:
    with_leads(crm, 1, 2)
    crm.leads.update(1, is_deleted=True)
    assert ids(crm, "leads") == [2]
    assert ids(crm, "leads?filter[id][]=1") == []
    assert rows(crm, "leads?with=only_deleted") == [
        {"id": 1, "updated_at": AT + 99, "is_deleted": True}
    ]


def test_deleted_leads_may_be_among_the_others(crm: CrmStore) -> None:
    with_leads(crm, 1, 2)
    crm.leads.update(1, is_deleted=True)
    terms = Terms(deleted_leads_listed=True)
    deleted = [lead["is_deleted"] for lead in rows(crm, "leads", terms=terms)]
    assert deleted == [False, True]


def test_pipelines_come_in_one_answer_with_their_statuses(
    sandbox: Sandbox, crm: CrmStore
) -> None:
    crm.pipelines.add(1, "Sales", {11: "Incoming", 12: "New"})
    crm.pipelines.add(2, "Service", {21: "Incoming"})
    response = ask(sandbox, "leads/pipelines")
    assert response.headers["Content-Type"].startswith("application/hal+json")
    content = response.json()
    assert content["_total_items"] == 2
    assert "next" not in content["_links"]

    def told(pipeline: Any) -> tuple[Any, ...]:
        statuses = pipeline["_embedded"]["statuses"]
        assert {status["pipeline_id"] for status in statuses} == {pipeline["id"]}
        return (
            pipeline["name"],
            pipeline["is_main"],
            [(status["id"], status["type"]) for status in statuses],
        )

    assert [told(each) for each in content["_embedded"]["pipelines"]] == [
        ("Sales", True, [(11, 1), (12, 0), (142, 0), (143, 0)]),
        ("Service", False, [(21, 1), (142, 0), (143, 0)]),
    ]
    for pipeline in content["_embedded"]["pipelines"]:
        sorts = [status["sort"] for status in pipeline["_embedded"]["statuses"]]
        assert sorts == sorted(set(sorts))


def test_without_a_pipeline_it_is_204(crm: CrmStore) -> None:
    assert asked(crm, "leads/pipelines")[0] == 204
