"""The sandbox over real sockets: both APIs on one port."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from sandbox import ConversationStore, Faults, Sandbox, SeenRequest
from tests.sandbox.crm.asking import AT, ask
from tests.sandbox.misbehaving import misbehaving, struck, torn
from tests.sandbox.requesting import TIMEOUT, get, path_of, row


def test_requests_are_remembered_until_forgotten(sandbox: Sandbox) -> None:
    before = time.monotonic()
    get(sandbox, offset=49, limit=7)
    (seen,) = sandbox.requests
    assert before <= seen.at <= time.monotonic()
    assert seen == SeenRequest(
        at=seen.at,
        method="GET",
        target=path_of(sandbox, "chat") + "?offset=49&limit=7",
        conversation_id="chat",
        offset=49,
        limit=7,
        status=200,
        problem=None,
    )
    sandbox.forget_requests()
    assert sandbox.requests == ()


def test_answer_may_replace_an_answer_or_leave_it(sandbox: Sandbox) -> None:
    def slow_down(seen: SeenRequest) -> web.Response | None:
        assert seen.status == 200
        return web.Response(status=429) if seen.offset else None

    sandbox.answer = slow_down
    assert get(sandbox, offset=1).status_code == 429
    assert get(sandbox).status_code == 200
    assert [seen.status for seen in sandbox.requests] == [429, 200]


def test_a_sandbox_that_is_given_no_crm_has_an_empty_one() -> None:
    with Sandbox(ConversationStore()) as sandbox:
        assert ask(sandbox, "events").status_code == 204
        sandbox.crm.store.events.add(AT)
        assert ask(sandbox, "events").status_code == 200


def test_answer_may_replace_the_answer_to_a_crm_request(sandbox: Sandbox) -> None:
    def answer(seen: SeenRequest) -> web.Response | None:
        return web.Response(status=418) if "/talks/" in seen.target else None

    sandbox.answer = answer
    assert ask(sandbox, "talks/1").status_code == 418
    assert ask(sandbox, "talks").status_code == 204


def test_requests_of_the_two_apis_are_counted_apart(sandbox: Sandbox) -> None:
    sandbox.faults = Faults(requests_per_second=1)
    assert get(sandbox).status_code == 200
    assert ask(sandbox, "events").status_code == 204
    # Some of so many come within the second of the first.
    assert 429 in {ask(sandbox, "talks").status_code for _ in range(20)}
    assert sandbox.requests[-1].fault == "requests_per_second"


def test_a_skewed_clock_is_what_dates_are_held_against() -> None:
    with misbehaving(clock_skew=1000) as sandbox:
        assert get(sandbox).status_code == 403
        sandbox.clock = lambda: time.time() - 1000
        assert get(sandbox).status_code == 200


@pytest.mark.parametrize(
    "faults",
    [{}, {"html": 1}, {"trickle": 1, "trickle_seconds": 0}, {"redirect_to": "/"}],
)
def test_an_answer_is_dated_by_the_skewed_clock(faults: dict[str, Any]) -> None:
    with misbehaving(clock_skew=3600, **faults) as sandbox:
        sandbox.clock = lambda: 1_700_000_000
        head, _, _ = torn(sandbox, Connection="close")
    assert b"Date: Tue, 14 Nov 2023 23:13:20 GMT\r\n" in head + b"\r\n"


def test_the_pages_struck_do_not_depend_on_the_order_of_requests() -> None:
    pages = [(chat, offset) for chat in "abc" for offset in range(0, 40, 2)] * 2
    faults = Faults(
        seed=2, html=0.2, too_many=0.2, cut_json=0.2, trickle=0.2, trickle_seconds=0
    )

    def outcome(order: list[tuple[str, int]]) -> Counter[tuple[object, ...]]:
        with Sandbox(ConversationStore(), faults=faults) as sandbox:
            for chat in "abc":
                sandbox.store.add(chat, row(1))
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda page: get(sandbox, *page), order))
            return Counter(
                (seen.conversation_id, seen.offset, seen.fault)
                for seen in sandbox.requests
            )

    first = outcome(pages)
    assert outcome(pages[::-1]) == first
    faulty = {seen[2] for seen in first}
    assert faulty == {None, "html", "too_many", "cut_json", "trickle"}


def test_setting_the_faults_starts_to_count_anew() -> None:
    with misbehaving(seed=1, html=0.5) as sandbox:
        first = [get(sandbox).headers["Content-Type"] for _ in range(8)]
        sandbox.faults = replace(sandbox.faults)
        assert [get(sandbox).headers["Content-Type"] for _ in range(8)] == first
        assert len(set(first)) == 2
        sandbox.faults = Faults()
        assert {get(sandbox).text[:2] for _ in range(8)} == {'{"'}


def test_what_answer_returns_is_answered_without_a_fault() -> None:
    with misbehaving(reset_before=1, trickle=1, trickle_seconds=TIMEOUT) as sandbox:
        sandbox.answer = lambda _: web.Response(body=b"\xff raw")
        assert get(sandbox).content == b"\xff raw"
        assert struck(sandbox) == [(200, None)]
