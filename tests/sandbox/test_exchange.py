"""What a fault does to an answer."""

from __future__ import annotations

import http.client
import json
import time
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from sandbox import Faults, Sandbox
from tests.sandbox.misbehaving import misbehaving, share, struck, torn, whole_page
from tests.sandbox.requesting import TIMEOUT, get, store_with


def test_cut_json_is_a_complete_answer_with_half_the_json() -> None:
    page = whole_page()
    with misbehaving(cut_json=1) as sandbox:
        response = get(sandbox)
        assert response.content == page[: len(page) // 2]
        assert response.headers["Content-Length"] == str(len(page) // 2)
        assert response.headers["Content-Type"].startswith("application/json")
        assert struck(sandbox) == [(200, "cut_json")]


@pytest.mark.parametrize(
    ("retry_after", "header"),
    [(None, None), (2.0, "2"), (0.25, "0.25"), (1e6, "1000000")],
)
def test_too_many_says_when_to_come_back_if_told_so(
    retry_after: float | None, header: str | None
) -> None:
    with misbehaving(too_many=1, retry_after=retry_after) as sandbox:
        response = get(sandbox)
        assert (response.status_code, response.headers.get("Retry-After")) == (
            429,
            header,
        )
        assert response.json()["error_code"] == 429
        assert struck(sandbox) == [(429, "too_many")]


def test_too_many_says_it_as_a_date_of_the_servers_clock() -> None:
    faults = Faults(
        too_many=1, retry_after=2.2, retry_after_as_date=True, clock_skew=-500
    )
    now = time.time()
    with Sandbox(store_with(1), faults=faults) as sandbox:
        sandbox.clock = lambda: now
        date = get(sandbox).headers["Retry-After"]
    assert date.endswith(" GMT")
    assert 2.2 <= parsedate_to_datetime(date).timestamp() - (now - 500) < 3.2


@pytest.mark.parametrize(
    ("name", "status"), [("server_error", 502), ("html", 200), ("blocked", 403)]
)
def test_html_comes_with_its_status(name: str, status: int) -> None:
    with Sandbox(store_with(60), faults=share(name, 1)) as sandbox:
        response = get(sandbox)
        assert response.status_code == status
        assert response.headers["Content-Type"].startswith("text/html")
        assert response.text.startswith("<!DOCTYPE html>")
        assert struck(sandbox) == [(status, name)]


def test_a_redirect_goes_to_the_url_given() -> None:
    with (
        Sandbox(store_with(1)) as other,
        misbehaving(redirect_to=other.url + "/elsewhere", html=1) as sandbox,
    ):
        connection = http.client.HTTPConnection(sandbox.url[7:], timeout=TIMEOUT)
        connection.request("GET", "/anything")
        response = connection.getresponse()
        assert response.status == 302
        assert response.headers["Location"] == other.url + "/elsewhere"
        connection.close()
        assert struck(sandbox) == [(302, "redirect_to")]


def test_an_oversized_page_is_the_same_page_in_so_many_bytes() -> None:
    with misbehaving(oversized=100_001) as sandbox:
        response = get(sandbox)
        assert len(response.content) == 100_001
        assert response.json() == json.loads(whole_page())
        assert struck(sandbox) == [(200, "oversized")]


def test_a_page_that_is_larger_than_oversized_stays_as_it_is() -> None:
    with misbehaving(oversized=10) as sandbox:
        assert get(sandbox).content == whole_page()


def test_half_an_oversized_page_is_no_json() -> None:
    with misbehaving(oversized=100_000, cut_json=1) as sandbox:
        response = get(sandbox)
    assert len(response.content) == 50_000
    with pytest.raises(ValueError, match="Expecting"):
        response.json()


def test_an_answer_waits_for_the_latency() -> None:
    with misbehaving(latency=0.2) as sandbox:
        begun = time.monotonic()
        assert get(sandbox).status_code == 200
        assert time.monotonic() - begun >= 0.2
        assert struck(sandbox) == [(200, None)]


@pytest.mark.parametrize(
    ("faults", "status"),
    [
        ({"blocked": 1}, 403),
        ({"reset_before": 1}, 0),
        ({"reset_within": 1}, 0),
        ({"redirect_to": "http://127.0.0.1:9/"}, 302),
    ],
)
def test_these_strike_a_wrongly_signed_request_too(
    faults: dict[str, Any], status: int
) -> None:
    with misbehaving(**faults) as sandbox:
        torn(sandbox, **{"X-Signature": "0" * 40, "Connection": "close"})
        (seen,) = sandbox.requests
        assert (seen.status, seen.fault) == (status, next(iter(faults)))
        assert seen.problem == "X-Signature does not fit the request."


@pytest.mark.parametrize(
    "faults",
    [
        {"truncated": 1},
        {"cut_json": 1},
        {"too_many": 1},
        {"server_error": 1},
        {"html": 1},
        {"oversized": 100_000},
        {"appear": 1, "vanish": 1},
    ],
)
def test_these_leave_a_wrongly_signed_request_refused(faults: dict[str, Any]) -> None:
    with misbehaving(**faults) as sandbox:
        before = sandbox.store.rows("chat")
        response = get(sandbox, **{"X-Signature": "0" * 40})
        assert response.json()["error_type"] == "FORBIDDEN"
        assert struck(sandbox) == [(403, None)]
        assert sandbox.store.rows("chat") == before


def test_a_wrongly_signed_request_waits_too() -> None:
    with misbehaving(latency=0.1) as sandbox:
        begun = time.monotonic()
        get(sandbox, **{"X-Signature": "0" * 40})
        assert time.monotonic() - begun >= 0.1


def test_more_requests_per_second_than_allowed_get_429() -> None:
    with misbehaving(requests_per_second=1, retry_after=1) as sandbox:
        for _ in range(100):
            response = get(sandbox)
            if response.status_code == 429:
                break
        assert response.headers["Retry-After"] == "1"
        assert struck(sandbox)[0] == (200, None)
        assert struck(sandbox)[-1] == (429, "requests_per_second")


def test_a_refused_request_does_not_count_against_the_limit() -> None:
    with misbehaving(requests_per_second=1) as sandbox:
        get(sandbox, limit=51)
        assert get(sandbox).status_code == 200
