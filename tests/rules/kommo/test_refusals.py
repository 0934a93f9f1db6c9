"""The pace at servers that allow less than the setting, in simulated time."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_kommo_chats.kommo.pace import RequestPace
from tests.support.traffic import AnySecond, Bucket, EachSecond, Server, simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.traffic import Limit

LIMITS: dict[str, Callable[[int], Limit]] = {
    "any second": AnySecond,
    "any second, refused ones too": lambda most: AnySecond(most, strict=True),
    "each second": EachSecond,
    "bucket": lambda most: Bucket(most, at_once=2),
}


class Way(NamedTuple):
    """How long a request and its answer are on their way together, in seconds."""

    quickest: float
    slowest: float

    @property
    def mean(self) -> float:
        return (self.quickest + self.slowest) / 2


WAYS = {
    "50 ms": Way(0.05, 0.05),
    "300 ms": Way(0.3, 0.3),
    "50 to 300 ms": Way(0.05, 0.3),
}


def at_a_distance(
    way: Way,
    limit: Limit,
    neighbour: Iterator[float] | None = None,
    retry_after: float | None = None,
) -> Server:
    """Put a server that keeps to a limit somewhere; the same way for the same limit."""
    draw = random.Random(7)  # noqa: S311 (any will do)
    delays: list[tuple[float, float]] = []

    def delay(number: int) -> tuple[float, float]:
        while len(delays) <= number:
            both, share = draw.uniform(0, way.slowest - way.quickest), draw.random()
            delays.append((both * share, both * (1 - share)))
        return delays[number]

    return Server(
        there=lambda n: way.quickest / 2 + delay(n)[0],
        back=lambda n: way.quickest / 2 + delay(n)[1],
        refuses=lambda _, at: not limit.lets_in(at),
        retry_after=retry_after,
        neighbour=neighbour or iter(()),
    )


@pytest.mark.parametrize("workers", [1, 8, 32])
@pytest.mark.parametrize("way", ["50 ms", "50 to 300 ms"])
@pytest.mark.parametrize("allowed", [4, 1])
@pytest.mark.parametrize("limit", LIMITS)
def test_three_quarters_of_a_lower_limit_are_used_and_few_requests_are_refused(
    limit: str, allowed: int, way: str, workers: int
) -> None:
    server = at_a_distance(WAYS[way], LIMITS[limit](allowed))

    simulate(RequestPace(7), server, workers=workers, seconds=240)

    possible = min(allowed, workers / WAYS[way].mean)
    sent, refused = server.counted(60, 240)
    assert sent - refused >= 0.75 * possible * 180
    assert refused <= 0.05 * sent
    # So many may be on their way before anything is known of the server.
    unaware = min(workers, 7)
    sent, refused = server.counted(0, 60)
    assert sent - refused >= 0.6 * possible * 60
    assert refused <= 0.05 * sent + unaware


@pytest.mark.parametrize("workers", [8, 32])
@pytest.mark.parametrize("limit", LIMITS)
def test_with_no_limit_of_its_own_it_keeps_to_the_servers(
    limit: str, workers: int
) -> None:
    server = at_a_distance(WAYS["50 to 300 ms"], LIMITS[limit](7))

    simulate(RequestPace(0), server, workers=workers, seconds=240)

    sent, refused = server.counted(60, 240)
    assert sent - refused >= 0.7 * 7 * 180
    assert refused <= 0.06 * sent


def comes_and_goes(seconds: float) -> Iterator[float]:
    """Ask 3.5 times a second for so long, then not at all for as long, and so on."""
    at = 0.1
    while True:
        yield at
        at += 1 / 3.5
        if at % (2 * seconds) > seconds:
            at += seconds


@pytest.mark.parametrize("workers", [8, 32])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("limit", ["any second", "each second", "bucket"])
def test_three_quarters_of_what_a_neighbour_leaves_are_used(
    limit: str, way: str, workers: int
) -> None:
    neighbour = comes_and_goes(120)
    server = at_a_distance(WAYS[way], LIMITS[limit](7), neighbour)

    simulate(RequestPace(7), server, workers=workers, seconds=540)

    left = 7 * (540 - 60) - sum(60 <= at < 540 for at in server.lent)
    sent, refused = server.counted(60, 540)
    assert sent - refused >= 0.75 * left
    assert refused <= 0.05 * sent


@pytest.mark.parametrize("setting", [7, 20])
def test_a_limit_that_is_lifted_is_found_within_a_minute(setting: int) -> None:
    limit = AnySecond(2)
    server = at_a_distance(WAYS["50 ms"], limit)
    server.refuses = lambda _, at: at < 120 and not limit.lets_in(at)

    simulate(RequestPace(setting), server, workers=8, seconds=220)

    sent, refused = server.counted(180, 220)
    assert sent >= 0.9 * setting * 40
    assert not refused


def test_a_few_refusals_are_soon_forgotten() -> None:
    server = Server(refuses=lambda n, _: n in range(20, 24))

    simulate(RequestPace(7), server, workers=8, requests=400)

    last = sorted(server.sent)[-70:]
    assert 69 / (last[-1] - last[0]) >= 0.95 * 7


def test_from_the_first_refusal_on_requests_leave_evenly() -> None:
    server = Server(refuses=lambda n, _: n == 20)

    simulate(RequestPace(7), server, workers=8, requests=200)

    told = server.arrived[20] + server.back(20)
    after = [at for at in server.sent if at > told]
    assert min(later - at for at, later in pairwise(after)) >= 0.99 / 7


def test_requests_of_one_excess_that_are_refused_lower_the_rate_once() -> None:
    pace = RequestPace(0)
    several = [pace.send(0.1 * n, cold=False) for n in range(20)]
    for sent in several[::2]:
        pace.answer(sent, 2.0)
    for sent in several[1::2]:
        pace.refuse(sent, 2.0, None)
        pace.answer(sent, 2.0)

    # Every other one got through: five a second, and a little less is tried.
    pace.send(4.0, cold=False)
    assert 1 / 6 < pace.seconds_to_go(4.0) < 1 / 3


def test_a_server_that_lets_nothing_through_is_asked_ever_less() -> None:
    server = Server(refuses=lambda n, _: n is not None)

    simulate(RequestPace(7), server, workers=8, seconds=200)

    sent, _ = server.counted(0, 200)
    assert sent <= 7 + 200 / 16 + 5


@pytest.mark.parametrize(("setting", "least"), [(7, 0.5), (0, 5)])
def test_a_server_that_refuses_by_chance_is_not_asked_ever_less(
    setting: int, least: float
) -> None:
    server = Server(refuses=lambda n, _: n is not None and n % 10 == 9)

    simulate(RequestPace(setting), server, workers=8, seconds=900)

    sent, _ = server.counted(600, 900)
    assert sent >= 0.95 * 300 * least


@settings(max_examples=40)
@given(
    refused=st.lists(st.booleans(), max_size=40),
    retry_after=st.one_of(st.none(), st.floats(0, 10)),
    setting=st.sampled_from([0, 1, 7]),
    workers=st.integers(1, 12),
)
def test_whatever_was_refused_the_pace_recovers(
    refused: list[bool], retry_after: float | None, setting: int, workers: int
) -> None:
    server = Server(
        refuses=lambda n, _: n is not None and n < len(refused) and refused[n],
        retry_after=retry_after,
    )

    simulate(RequestPace(setting), server, workers=workers, requests=400)

    last = sorted(server.sent)[-70:]
    most = min(setting or 1000, workers / 0.32)
    assert 69 / (last[-1] - last[0]) >= 0.9 * most
