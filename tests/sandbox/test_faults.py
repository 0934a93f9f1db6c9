"""When a fault strikes."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from sandbox import Faults, Strike, strike
from sandbox.faults import FaultRun
from sandbox.options import from_json, to_json
from tests.sandbox.misbehaving import share

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
    run = FaultRun(replace(EVERYTHING, latency=1, only=frozenset({"other"})))
    assert run.strike(frozenset({"chat"}), ("chat", 0)) == Strike()
    assert run.strike(frozenset(), (None, 0)) == Strike()
    assert run.strike(frozenset({"other"}), ("other", 0)) != Strike()


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
    assert from_json(Faults, to_json(faults), "fault") == faults
    assert from_json(Faults, b"{}", "fault") == Faults()


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
        from_json(Faults, text, "fault")


def test_no_second_lets_more_requests_through_than_the_limit() -> None:
    run = FaultRun(Faults(requests_per_second=2))
    arrivals = (0.0, 0.5, 0.9, 0.99, 1.0, 1.4, 1.5, 9.0)
    refused = [at for at in arrivals if run.is_one_too_many(frozenset({"chat"}), at)]
    assert refused == [0.9, 0.99, 1.4]
