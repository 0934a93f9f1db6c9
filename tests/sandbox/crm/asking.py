"""Asking a sandbox's CRM, and filling it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

from sandbox import CRM_ROOT, CrmApi, Refusal, RequestParts
from tests.sandbox.requesting import TIMEOUT

if TYPE_CHECKING:
    from sandbox import CrmStore, Sandbox

AT = 1_750_000_000


def ask(
    sandbox: Sandbox, target: str, method: str = "GET", **headers: str
) -> requests.Response:
    """Ask for a target under ``/api/v4/``, or a URL. Brackets go out encoded."""
    url = target if target.startswith("http") else f"{sandbox.url}/api/v4/{target}"
    headers = {"Authorization": f"Bearer {sandbox.crm_token}", **headers}
    with requests.Session() as session:
        return session.request(method, url, headers=headers, timeout=TIMEOUT)


def asked(crm: CrmStore | CrmApi, target: str, **options: Any) -> tuple[int, Any]:
    """Ask for a target under ``/api/v4/`` without a server.

    Args:
        crm: What to ask. A store is served as usual.
        target: Path and query.
        **options: Other than usual attributes of the API, such as ``terms``.

    Returns:
        The status, and the content.
    """
    api = crm if isinstance(crm, CrmApi) else CrmApi(crm, **options)
    headers = {"Authorization": f"Bearer {api.token}"}
    request = api.check(RequestParts("GET", f"{CRM_ROOT}/{target}", headers, at=AT))
    answer = api.error(request) if isinstance(request, Refusal) else api.answer(request)
    return answer.status, answer.content


def rows(crm: CrmStore | CrmApi, target: str, **options: Any) -> list[Any]:
    """Ask without a server for a page of a list; 204 is an empty one."""
    status, content = asked(crm, target, **options)
    assert status in {200, 204}
    (listed,) = content["_embedded"].values()
    return list(listed)


def ids(crm: CrmStore | CrmApi, target: str, **options: Any) -> list[Any]:
    """Ask without a server for the ids of a page."""
    return [row["id"] for row in rows(crm, target, **options)]


def event_ids(response: requests.Response) -> list[str]:
    return [event["id"] for event in response.json()["_embedded"]["events"]]


def talk_ids(response: requests.Response) -> list[int]:
    return [talk["talk_id"] for talk in response.json()["_embedded"]["talks"]]


def with_events(crm: CrmStore, count: int) -> list[str]:
    """Add events a second apart; return their ids, newest first."""
    return [crm.events.add(AT + number) for number in range(count)][::-1]


def with_talks(crm: CrmStore, *ids: int, **fields: Any) -> None:
    for talk_id in ids:
        times = {"created_at": AT, "updated_at": AT}
        crm.talks.add(talk_id, f"chat {talk_id}", **{**times, **fields})


def problem_of(response: requests.Response) -> tuple[int, str]:
    """Return status and title of a refusal; check that it has the form of one."""
    assert response.headers["Content-Type"].startswith("application/problem+json")
    problem = response.json()
    assert set(problem) == {"title", "status", "detail"}
    assert problem["status"] == response.status_code
    assert problem["detail"]
    return response.status_code, problem["title"]
