"""Which parameters the CRM's endpoints take: all others are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sandbox.crm.asking import AT, asked, with_talks

if TYPE_CHECKING:
    from sandbox import CrmStore

FIFTY = "&".join(f"filter[id][]={n}" for n in range(50))


@pytest.mark.parametrize(
    "target",
    [
        "account?with=amojo_id,users_groups,datetime_settings",
        "users?with=amojo_id,group,role&page=1&limit=250",
        f"leads?{FIFTY}",
        "leads?filter[id]=1",
        "leads?filter[updated_at][from]=1&filter[updated_at][to]=2",
        "leads?order[updated_at]=asc",
        "leads?order[updated_at]=desc&with=loss_reason,source",
        "leads?order[id]=asc&order[created_at]=desc",
        "leads?with=only_deleted",
        "leads/pipelines",
        "talks?filter[only_in_work]=1&filter[entity_type]=lead",
        "talks/1",
        "talks/1/messages?page=1&limit=250",
        "talks/1/messages?filter[created_at][from]=1&filter[created_at][to]=2",
    ],
)
def test_what_the_documents_name_is_taken(crm: CrmStore, target: str) -> None:
    with_talks(crm, 1)
    assert asked(crm, target)[0] in {200, 204}


@pytest.mark.parametrize(
    "target",
    [
        "account?with=amojo_id,users",
        "account?page=1",
        "account?with=",
        "users?with=amojo_id&with=group",
        "users?filter[id][]=1",
        "users?limit=0",
        f"leads?{FIFTY}&filter[id][]=50",
        "leads?filter[id][]=one",
        "leads?filter[update_at][from]=1",
        "leads?filter[updated_at][from]=today",
        "leads?filter[updated_at][from][]=1",
        "leads?filter[updated_at][since]=1",
        "leads?order[updated_at]=down",
        "leads?order[price]=asc",
        "leads?with=source,money",
        "leads/pipelines?page=1",
        "events?filter[types][]=talk_created",
        "talks?filter[only_in_work]=yes",
        "talks?filter[created_at][from]=1",
        "talks/1?with=contacts",
        "talks/1/messages?order[created_at]=asc",
        "talks/1/messages?filter[created_at][from]=1.5",
        "talks/1/messages?page[]=1",
    ],
)
def test_what_the_documents_do_not_name_is_400(crm: CrmStore, target: str) -> None:
    with_talks(crm, 1)
    status, problem = asked(crm, target)
    assert (status, problem["title"]) == (400, "Bad Request")


@pytest.mark.parametrize("target", ["users", "leads", "talks/1/messages"])
def test_a_limit_beyond_the_largest_is_held_to_as_told(
    crm: CrmStore, target: str
) -> None:
    with_talks(crm, 1)
    for number in range(4):
        crm.users.add(number, "Ann")
        crm.leads.add(number, created_at=AT)
        crm.add_message(1, AT)
    name = target.rpartition("/")[2]
    status, page = asked(crm, f"{target}?limit=250", max_limit=3)
    assert (status, len(page["_embedded"][name])) == (200, 3)
    assert "page=2" in page["_links"]["next"]["href"]
    strict = asked(crm, f"{target}?limit=250", max_limit=3, strict_limit=True)
    assert strict[0] == 400
