"""How the sandbox misbehaves on command, on real sockets."""

from __future__ import annotations

import gc
import http.client
import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from sandbox import ConversationStore, Faults, Sandbox, Strike, strike
from sandbox.faults import FaultRun, faults_from_json, faults_to_json
from tests.sandbox.requesting import (
    TIMEOUT,
    control,
    get,
    headers_for,
    ids,
    path_of,
    row,
    store_with,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
ANSWERS = (
    "reset_before",
    "reset_within",
    "blocked",
    "truncated",
    "cut_json",
    "too_many",
    "server_error",
    "html",
)
EVERYTHING = Faults(
    seed=3,
    jitter=1.0,
    trickle=0.3,
    appear=0.3,
    vanish=0.3,
    **dict.fromkeys(ANSWERS, 0.1),  # type: ignore[arg-type] # all of these are shares
)
PAGES = [
    (f"chat {n % 7}", 50 * (n // 7), attempt) for n in range(70) for attempt in (0, 1)
]


@contextmanager
def misbehaving(
    store: ConversationStore | None = None, **faults: Any
) -> Iterator[Sandbox]:
    with Sandbox(store or store_with(60), faults=Faults(**faults)) as sandbox:
        yield sandbox


def share(name: str, value: float, seed: int = 0) -> Faults:
    values: dict[str, Any] = {name: value, "seed": seed}
    return Faults(**values)


def connected(sandbox: Sandbox) -> socket.socket:
    host, _, port = sandbox.url.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), TIMEOUT)


def request_for(
    sandbox: Sandbox, chat: str = "chat", offset: int = 0, **changes: str
) -> bytes:
    path = path_of(sandbox, chat)
    headers = {"Host": "sandbox", **headers_for(sandbox, path, **changes)}
    lines = [f"GET {path}?offset={offset}&limit=50 HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "", "")).encode()


def read_to_the_end(connection: socket.socket) -> tuple[bytes, str]:
    """Return what came in, and whether it ended with ``FIN`` or ``RST``."""
    received = b""
    while True:
        try:
            part = connection.recv(65_536)
        except ConnectionResetError:
            return received, "RST"
        if not part:
            return received, "FIN"
        received += part


def torn(sandbox: Sandbox, **asked: Any) -> tuple[bytes, bytes, str]:
    """Ask for a page; return headers, body and how the connection ended."""
    with connected(sandbox) as connection:
        connection.sendall(request_for(sandbox, **asked))
        received, end = read_to_the_end(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    return head, body, end


def promised(head: bytes) -> int:
    """Return the Content-Length of headers."""
    (length,) = (
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    return length


def whole_page() -> bytes:
    with Sandbox(store_with(60)) as sandbox:
        return get(sandbox).content


def struck(sandbox: Sandbox) -> list[tuple[int, str | None]]:
    return [(seen.status, seen.fault) for seen in sandbox.requests]


# When a fault strikes.


def test_by_default_nothing_strikes() -> None:
    assert {strike(Faults(), *page) for page in PAGES} == {Strike()}


def test_the_same_seed_gives_the_same_strikes_in_any_order() -> None:
    shuffled = random.Random(1).sample(PAGES, len(PAGES))  # noqa: S311 - any order
    in_order = {page: strike(EVERYTHING, *page) for page in PAGES}
    assert {page: strike(EVERYTHING, *page) for page in shuffled} == in_order


def test_strikes_stay_the_same_from_one_version_to_the_next() -> None:
    faults = Faults(seed=7, server_error=0.2, html=0.2)
    assert [strike(faults, "chat", 0, attempt).fault for attempt in range(12)] == [
        *(None, "server_error", "html"),
        *(None,) * 8,
        "server_error",
    ]


def test_another_seed_gives_other_strikes() -> None:
    other = replace(EVERYTHING, seed=4)
    assert [strike(EVERYTHING, *page) for page in PAGES] != [
        strike(other, *page) for page in PAGES
    ]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_conversation_offset_and_attempt_each_meet_decisions_of_their_own(
    place: int,
) -> None:
    pages: list[list[Any]] = [["chat", 0, 0] for _ in range(40)]
    for number, page in enumerate(pages):
        page[place] = f"chat {number}" if place == 0 else number
    assert {strike(Faults(html=0.5), *page).fault for page in pages} == {None, "html"}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_share_is_met(name: str) -> None:
    faults = share(name, 0.05, seed=1)
    faulty = [strike(faults, "chat", offset, 0).fault for offset in range(10_000)]
    assert 0.04 < faulty.count(name) / 10_000 < 0.06
    assert set(faulty) == {None, name}


@pytest.mark.parametrize(
    ("name", "field", "idle"),
    [
        ("trickle", "trickle", False),
        ("appear", "appears", None),
        ("vanish", "vanishes", None),
    ],
)
def test_a_share_that_spoils_no_answer_is_met(
    name: str, field: str, idle: object
) -> None:
    faults = share(name, 0.05, seed=1)
    strikes = [strike(faults, "chat", offset, 0) for offset in range(10_000)]
    faulty = sum(getattr(each, field) is not idle for each in strikes)
    assert 0.04 < faulty / 10_000 < 0.06


def test_shares_of_answers_exclude_each_other_and_are_all_met() -> None:
    faulty = Counter(strike(EVERYTHING, "chat", n, 0).fault for n in range(10_000))
    assert set(faulty) == {None, *ANSWERS}
    assert all(900 < faulty[name] < 1100 for name in ANSWERS)


def test_a_share_of_one_strikes_every_request() -> None:
    faults = Faults(reset_within=1, trickle=1, appear=1, vanish=1)
    for page in PAGES:
        each = strike(faults, *page)
        assert (each.fault, each.trickle) == ("reset_within", True)
        assert each.appears is not None
        assert each.vanishes is not None


def test_a_burst_gives_the_error_to_as_many_requests_in_a_row() -> None:
    single = Faults(server_error=0.1, html=0.3)
    burst = replace(single, server_error_burst=3)
    drawn = [strike(single, "chat", 0, n).fault for n in range(200)]
    expected = [
        "server_error" if "server_error" in drawn[max(0, n - 2) : n + 1] else drawn[n]
        for n in range(200)
    ]
    assert [strike(burst, "chat", 0, n).fault for n in range(200)] == expected
    assert expected != drawn


def test_a_wait_lies_between_latency_and_latency_plus_jitter() -> None:
    faults = Faults(latency=2, jitter=3)
    waits = [strike(faults, *page).wait for page in PAGES]
    assert min(waits) >= 2
    assert max(waits) < 5
    assert max(waits) - min(waits) > 2


def test_the_messages_that_appear_have_different_ids() -> None:
    appearing = [strike(Faults(appear=1), *page).appears for page in PAGES]
    assert len(set(appearing)) == len(PAGES)


def test_only_the_conversations_named_are_struck() -> None:
    faults = replace(EVERYTHING, latency=1, only=frozenset({"other"}))
    assert strike(faults, "chat", 0, 0) == strike(faults, None, 0, 0) == Strike()
    assert strike(faults, "other", 0, 0) != Strike()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"html": 1.1}, "html has to be 0 to 1, not 1.1"),
        ({"html": -0.1}, "html"),
        ({"html": float("nan")}, "html"),
        ({"html": 0.6, "blocked": 0.5}, "add up to more than 1"),
        ({"latency": -1}, "latency has to be at least 0, not -1"),
        ({"jitter": float("inf")}, "jitter"),
        ({"server_error_burst": 0}, "server_error_burst has to be at least 1"),
        ({"requests_per_second": 0}, "requests_per_second"),
        ({"oversized": -1}, "oversized"),
    ],
)
def test_a_value_out_of_bounds_is_an_error(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Faults(**values)


def test_shares_may_add_up_to_one() -> None:
    Faults(**dict.fromkeys(ANSWERS, 0.125))  # type: ignore[arg-type] # are shares
    Faults(html=0.7, blocked=0.2, too_many=0.1)


def test_json_reads_as_the_faults_it_was_written_from() -> None:
    faults = replace(EVERYTHING, retry_after=1.5, only=frozenset({"b", "a"}))
    assert faults_from_json(faults_to_json(faults)) == faults
    assert faults_from_json(b"{}") == Faults()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"server_eror": 1}', "'server_eror'.*: seed, latency, .*, only"),
        ('{"html": "1"}', "html"),
        ('{"html": true}', "html"),
        ('{"html": 2}', "html has to be 0 to 1"),
        ('{"only": "chat"}', "only"),
        ("[]", "no faults"),
        ("{", "no faults"),
    ],
)
def test_json_that_is_not_right_is_an_error(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        faults_from_json(text)


def test_no_second_lets_more_requests_through_than_the_limit() -> None:
    run = FaultRun(Faults(requests_per_second=2))
    arrivals = (0.0, 0.5, 0.9, 0.99, 1.0, 1.4, 1.5, 9.0)
    refused = [at for at in arrivals if run.is_one_too_many("chat", at)]
    assert refused == [0.9, 0.99, 1.4]


# What a fault does to an answer.


def test_reset_before_resets_with_no_byte_sent() -> None:
    with misbehaving(reset_before=1) as sandbox:
        assert torn(sandbox) == (b"", b"", "RST")
        assert struck(sandbox) == [(0, "reset_before")]


def test_reset_within_resets_after_the_headers_and_half_the_body() -> None:
    page = whole_page()
    with misbehaving(reset_within=1) as sandbox:
        head, body, end = torn(sandbox)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert (promised(head), body, end) == (len(page), page[: len(page) // 2], "RST")
        assert struck(sandbox) == [(0, "reset_within")]


def test_truncated_closes_properly_after_half_the_body() -> None:
    page = whole_page()
    with misbehaving(truncated=1) as sandbox:
        head, body, end = torn(sandbox)
        assert (promised(head), body, end) == (len(page), page[: len(page) // 2], "FIN")
        assert struck(sandbox) == [(0, "truncated")]


def test_cut_json_is_a_complete_answer_with_half_the_json() -> None:
    page = whole_page()
    with misbehaving(cut_json=1) as sandbox:
        response = get(sandbox)
        assert response.content == page[: len(page) // 2]
        assert response.headers["Content-Length"] == str(len(page) // 2)
        assert response.headers["Content-Type"].startswith("application/json")
        assert struck(sandbox) == [(200, "cut_json")]


@pytest.mark.parametrize("name", ["reset_within", "truncated", "cut_json"])
def test_where_there_is_no_message_an_empty_list_is_spoiled(name: str) -> None:
    with Sandbox(store_with(60), faults=share(name, 1)) as sandbox:
        with connected(sandbox) as connection:
            connection.sendall(request_for(sandbox, offset=60))
            received = b""
            while not received.endswith(b'\r\n\r\n{"messa'):
                received += connection.recv(65_536)
        assert received.startswith(b"HTTP/1.1 200 ")


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
    with Sandbox(store_with(1), clock=lambda: now, faults=faults) as sandbox:
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


def test_a_trickled_body_arrives_whole_and_slowly() -> None:
    with misbehaving(store_with(1), trickle=1, trickle_seconds=0.002) as sandbox:
        begun = time.monotonic()
        response = get(sandbox)
        assert time.monotonic() - begun >= (len(response.content) - 1) * 0.002
        assert response.json() == {"messages": [row(0)]}
        assert struck(sandbox) == [(200, "trickle")]


def test_headers_come_at_once_before_a_trickled_body() -> None:
    with misbehaving(trickle=1, trickle_seconds=TIMEOUT) as sandbox:
        with connected(sandbox) as connection:
            connection.sendall(request_for(sandbox))
            received = b""
            while not received.endswith(b"\r\n\r\n{"):
                received += connection.recv(65_536)
        assert promised(received) == len(whole_page())


def test_headers_trickle_if_told_so() -> None:
    with (
        misbehaving(
            trickle=1, trickle_seconds=TIMEOUT, trickle_headers=True
        ) as sandbox,
        connected(sandbox) as connection,
    ):
        connection.sendall(request_for(sandbox))
        # The next byte is ten seconds away.
        assert connection.recv(65_536) == b"H"


def test_trickled_headers_are_those_of_any_answer() -> None:
    with Sandbox(store_with(1)) as plain:
        expected = get(plain).headers
    with misbehaving(
        store_with(1), trickle=1, trickle_seconds=0, trickle_headers=True
    ) as sandbox:
        headers = get(sandbox).headers
    assert set(headers) == set(expected) - {"Server"}
    assert headers["Content-Type"] == expected["Content-Type"]
    assert headers["Content-Length"] == expected["Content-Length"]


@pytest.mark.parametrize(
    "faults",
    [
        {},
        {"trickle": 1, "trickle_seconds": 0},
        {"trickle": 1, "trickle_seconds": 0, "trickle_headers": True},
        {"cut_json": 1},
        {"too_many": 1},
    ],
)
def test_a_complete_answer_leaves_the_connection_open(faults: dict[str, Any]) -> None:
    with misbehaving(store_with(1), **faults) as sandbox:
        connection = http.client.HTTPConnection(sandbox.url[7:], timeout=TIMEOUT)
        path = path_of(sandbox, "chat")
        used = set()
        for _ in range(3):
            connection.request(
                "GET", path + "?offset=0&limit=50", headers=headers_for(sandbox, path)
            )
            used.add(connection.sock.getsockname())
            connection.getresponse().read()
        connection.close()
    assert len(used) == 1


def test_a_trickled_answer_closes_the_connection_if_asked_to() -> None:
    with misbehaving(store_with(1), trickle=1, trickle_seconds=0) as sandbox:
        head, body, end = torn(sandbox, Connection="close")
    assert b"\r\nConnection: close" in head
    assert (len(body), end) == (promised(head), "FIN")


def test_an_answer_waits_for_the_latency() -> None:
    with misbehaving(latency=0.2) as sandbox:
        begun = time.monotonic()
        assert get(sandbox).status_code == 200
        assert time.monotonic() - begun >= 0.2
        assert struck(sandbox) == [(200, None)]


def test_hundreds_of_requests_wait_at_once() -> None:
    # One after the other, they would take minutes.
    with misbehaving(latency=0.5) as sandbox, ExitStack() as stack:
        connections = [stack.enter_context(connected(sandbox)) for _ in range(300)]
        for connection in connections:
            connection.sendall(request_for(sandbox))
        for connection in connections:
            assert connection.recv(12) == b"HTTP/1.1 200"
        assert len(sandbox.requests) == 300


# Faults and the rest of the sandbox.


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


def test_a_skewed_clock_is_what_dates_are_held_against() -> None:
    with misbehaving(clock_skew=1000) as sandbox:
        assert get(sandbox).status_code == 403
    slow = Sandbox(
        store_with(1),
        clock=lambda: time.time() - 1000,
        faults=Faults(clock_skew=1000),
    )
    with slow as sandbox:
        assert get(sandbox).status_code == 200


@pytest.mark.parametrize(
    "faults",
    [{}, {"html": 1}, {"trickle": 1, "trickle_seconds": 0}, {"redirect_to": "/"}],
)
def test_an_answer_is_dated_by_the_skewed_clock(faults: dict[str, Any]) -> None:
    with Sandbox(
        store_with(1),
        clock=lambda: 1_700_000_000,
        faults=Faults(clock_skew=3600, **faults),
    ) as sandbox:
        head, _, _ = torn(sandbox, Connection="close")
    assert b"Date: Tue, 14 Nov 2023 23:13:20 GMT\r\n" in head + b"\r\n"


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


def test_a_message_appears_at_the_top_before_the_page_is_taken() -> None:
    with misbehaving(store_with(2), seed=5, appear=1) as sandbox:
        expected = [strike(sandbox.faults, "chat", 0, n).appears for n in (0, 1)]
        assert ids(get(sandbox)) == [expected[0], "m1", "m0"]
        assert ids(get(sandbox)) == [expected[1], expected[0], "m1", "m0"]
        assert struck(sandbox) == [(200, "appear")] * 2


def test_a_message_appears_in_an_empty_but_in_no_unknown_conversation() -> None:
    store = ConversationStore()
    store.add_conversation("empty")
    with misbehaving(store, appear=1) as sandbox:
        assert get(sandbox, "empty").status_code == 200
        assert get(sandbox, "unknown").status_code == 204
        assert struck(sandbox) == [(200, "appear"), (204, None)]
    assert store.conversation_ids() == ["empty"]


def test_a_message_vanishes_before_the_page_is_taken() -> None:
    with misbehaving(store_with(3), vanish=1) as sandbox:
        assert [len(ids(get(sandbox))) for _ in range(2)] == [2, 1]
        assert [get(sandbox).status_code for _ in range(2)] == [204, 204]
        assert struck(sandbox) == [
            (200, "vanish"),
            (200, "vanish"),
            (204, "vanish"),
            (204, None),
        ]


def test_messages_vanish_from_everywhere() -> None:
    gone = set()
    for seed in range(40):
        with_rows = store_with(3)
        place = strike(Faults(seed=seed, vanish=1), "chat", 0, 0).vanishes
        assert place is not None
        with_rows.remove_at("chat", place)
        gone |= {"m0", "m1", "m2"} - set(with_rows.message_ids("chat"))
    assert gone == {"m0", "m1", "m2"}


def test_what_vanishes_was_there_before_what_appears() -> None:
    for seed in range(5):
        with misbehaving(store_with(1), seed=seed, appear=1, vanish=1) as sandbox:
            expected = strike(sandbox.faults, "chat", 0, 0).appears
            assert ids(get(sandbox)) == [expected]
            assert struck(sandbox) == [(200, "vanish")]


def test_messages_appear_and_vanish_whatever_the_answer() -> None:
    with misbehaving(store_with(0), appear=1, server_error=1) as sandbox:
        sandbox.store.add("chat", row(1))
        assert get(sandbox).status_code == 502
        assert struck(sandbox) == [(502, "server_error")]
        assert sandbox.store.size("chat") == 2


def test_only_requests_for_the_conversations_named_are_faulty() -> None:
    store = store_with(1)
    store.add("other", row(1))
    with misbehaving(
        store,
        html=1,
        clock_skew=10_000,
        redirect_to="/",
        oversized=10_000,
        requests_per_second=1,
        only=frozenset({"other"}),
    ) as sandbox:
        assert [len(get(sandbox).content) < 10_000 for _ in range(3)] == [True] * 3
        torn(sandbox, chat="other", Connection="close")
        assert struck(sandbox) == [(200, None)] * 3 + [(302, "redirect_to")]


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
    with Sandbox(
        store_with(1),
        faults=Faults(reset_before=1, trickle=1, trickle_seconds=TIMEOUT),
        answer=lambda _: web.Response(body=b"\xff raw"),
    ) as sandbox:
        assert get(sandbox).content == b"\xff raw"
        assert struck(sandbox) == [(200, None)]


def test_before_page_sees_a_page_only_if_one_is_taken() -> None:
    pages: list[object] = []
    for name, taken in (("reset_before", 0), ("html", 0), ("truncated", 1)):
        with Sandbox(
            store_with(1),
            before_page=pages.append,
            faults=share(name, 1),
        ) as sandbox:
            torn(sandbox, Connection="close")
        assert len(pages) == taken


def test_faults_are_set_and_shown_over_http(sandbox: Sandbox) -> None:
    put = control(sandbox, "PUT", "/faults", {"html": 1, "only": [*"hgfedcba"]})
    assert put.status_code == 200
    assert sandbox.faults == Faults(html=1, only=frozenset("abcdefgh"))
    shown = control(sandbox, "GET", "/faults").json()
    assert shown == put.json()
    assert (shown["html"], shown["only"], shown["seed"]) == (1, [*"abcdefgh"], 0)
    assert control(sandbox, "PUT", "/faults", shown).json() == shown


def test_unknown_faults_over_http_are_refused_and_change_nothing() -> None:
    with misbehaving(html=1) as sandbox:
        response = control(sandbox, "PUT", "/faults", {"htlm": 1})
        assert response.status_code == 400
        assert "trickle_seconds" in response.json()["error_description"]
        assert sandbox.faults == Faults(html=1)


def test_control_requests_meet_no_fault() -> None:
    with misbehaving(reset_before=1, latency=TIMEOUT) as sandbox:
        assert control(sandbox, "GET", "/requests").json()["total"] == 0


def test_a_client_that_leaves_a_trickling_answer_leaves_no_trace_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with (
        misbehaving(trickle=1, trickle_seconds=0.001) as sandbox,
        connected(sandbox) as connection,
    ):
        connection.sendall(request_for(sandbox))
        connection.recv(1)
    # By now the sandbox has sent all, or noticed.
    assert caplog.records == []


def test_the_sandbox_stops_with_a_request_waiting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    arrived = threading.Event()

    def clock() -> float:
        arrived.set()
        return time.time()

    sandbox = Sandbox(store_with(1), clock=clock, faults=Faults(latency=600))
    with ExitStack() as stack:
        with sandbox:
            connection = stack.enter_context(connected(sandbox))
            connection.sendall(request_for(sandbox))
            assert arrived.wait(TIMEOUT)
        assert read_to_the_end(connection)[0] == b""
    # A task left behind is told of when it is collected.
    gc.collect()
    assert caplog.records == []


def test_the_sandbox_stops_with_a_request_waiting_whose_client_has_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    arrived = threading.Event()

    def clock() -> float:
        arrived.set()
        return time.time()

    with Sandbox(store_with(1), clock=clock, faults=Faults(latency=600)) as sandbox:
        with connected(sandbox) as connection:
            connection.sendall(request_for(sandbox))
            assert arrived.wait(TIMEOUT)
        # By the time this is answered, the sandbox knows that the client has left.
        control(sandbox, "GET", "/requests")
    gc.collect()
    assert caplog.records == []


def test_the_sandbox_stops_with_an_answer_trickling(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with ExitStack() as stack:
        with misbehaving(
            trickle=1, trickle_headers=True, trickle_seconds=600
        ) as sandbox:
            connection = stack.enter_context(connected(sandbox))
            connection.sendall(request_for(sandbox))
            assert connection.recv(1) == b"H"
        assert read_to_the_end(connection)[0] == b""
    gc.collect()
    assert caplog.records == []


def test_torn_connections_leave_no_trace_on_standard_error() -> None:
    shares = dict.fromkeys(("reset_before", "reset_within", "truncated"), 0.3)
    faults = {**shares, "trickle": 0.2, "trickle_seconds": 0.0001, "latency": 0.01}
    command = [
        sys.executable,
        *("-W", "always::ResourceWarning", "-m", "sandbox", "--port", "0"),
    ]
    command += ["--conversations", "9", "--messages", "1"]
    # Told so, Python warns of everything left open.
    with subprocess.Popen(
        [*command, "--faults", json.dumps(faults)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline().rstrip("\n") for _ in range(5)]
            settings = dict(line.split("=", 1) for line in lines[:4])
            chats = json.loads(settings["TAP_KOMMO_CHATS_CONVERSATION_IDS"])
            host, _, port = settings["TAP_KOMMO_CHATS_API_URL"][7:].rpartition(":")
            # Only to sign for the one that runs elsewhere.
            signer = Sandbox(ConversationStore())
            ends = set()
            for number in range(60):
                with socket.create_connection((host, int(port)), TIMEOUT) as connection:
                    request = request_for(signer, chats[number % 9], Connection="close")
                    connection.sendall(request)
                    # Every third client leaves at once.
                    if number % 3:
                        ends.add(read_to_the_end(connection)[1])
            process.send_signal(signal.SIGTERM)
            rest, errors = process.communicate(timeout=TIMEOUT)
        finally:
            process.kill()
    assert (process.returncode, rest, errors) == (0, "", "")
    assert ends == {"FIN", "RST"}
