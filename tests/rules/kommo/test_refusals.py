"""The pace at servers that allow less than the setting, in simulated time."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_kommo_chats.kommo.limiter import RETRY_AFTER_AT_MOST, RequestPace
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
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("allowed", [4, 1])
@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("setting", [7, 0])
def test_three_quarters_of_a_lower_limit_are_used_and_few_requests_are_refused(
    setting: int, limit: str, allowed: int, way: str, workers: int
) -> None:
    server = at_a_distance(WAYS[way], LIMITS[limit](allowed))

    simulate(RequestPace(setting), server, workers=workers, seconds=240)

    possible = min(allowed, workers / WAYS[way].mean)
    sent, refused = server.counted(60, 240)
    assert sent - refused >= 0.75 * possible * 180
    assert refused <= 0.05 * sent
    # So many may be on their way before anything is known of the server.
    unaware = min(workers, setting or workers)
    sent, refused = server.counted(0, 60)
    assert sent - refused >= 0.6 * possible * 60
    assert refused <= 0.05 * sent + unaware


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

    for since, until in ((0, 60), (60, 540)):
        lent = sum(since <= at < until for at in server.lent)
        sent, refused = server.counted(since, until)
        print(limit, way, workers, (sent-refused)/(7*(until-since)-lent), refused/sent)
    assert 0


@pytest.mark.parametrize("setting", [7, 0])
def test_a_limit_that_is_lifted_is_found(setting: int) -> None:
    limit = AnySecond(1)
    server = at_a_distance(WAYS["50 to 300 ms"], limit)
    pace = RequestPace(setting)
    simulate(pace, server, workers=8, seconds=120)
