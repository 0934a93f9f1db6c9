"""The pace in simulated time: what reaches a server in any second."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tap_kommo_chats.kommo.pace import RETRY_AFTER_AT_MOST, RequestPace
from tests.support.traffic import CONNECTING, Server, simulate


def test_no_second_at_the_server_has_more_than_allowed() -> None:
    server = simulate(RequestPace(7), Server(), workers=8, requests=300)

    assert server.most_in_a_second() <= 7


def test_95_percent_of_what_is_allowed_is_used() -> None:
    server = simulate(RequestPace(7), Server(), workers=8, requests=700)

    assert len(server.sent) / max(server.arrived) >= 0.95 * 7


@given(
    rate=st.integers(1, 20),
    workers=st.integers(1, 40),
    ways=st.lists(
        st.tuples(st.floats(0.01, 0.4), st.floats(0.0, 0.5)), min_size=1, max_size=29
    ),
)
def test_however_long_requests_are_on_their_way_no_second_has_more_than_allowed(
    rate: int, workers: int, ways: list[tuple[float, float]]
) -> None:
    # The quickest answer has no delay in either direction, as a quickest one will.
    there, back = zip(*ways, strict=True)
    ways.append((min(there), min(back)))
    server = Server(
        there=lambda n: ways[n % len(ways)][0], back=lambda n: ways[n % len(ways)][1]
    )

    simulate(RequestPace(rate), server, workers=workers, requests=200)

    # Until enough answers are there, nobody knows how quick one can be.
    assert server.most_in_a_second(after=100) <= rate


def test_without_a_limit_nothing_waits() -> None:
    server = simulate(RequestPace(0), Server(), workers=8, requests=80)

    assert max(server.sent) < 80 / 8 * (0.32 + CONNECTING)


def test_a_server_that_asks_for_a_pause_gets_it_from_all_workers() -> None:
    server = Server(refuses=lambda n, _: n == 20, retry_after=20.0)

    simulate(RequestPace(7), server, workers=8, requests=100)

    told = server.arrived[20] + server.back(20)
    assert not [at for at in server.sent if told < at < told + 20]


def test_requests_that_hang_do_not_keep_others_waiting_for_ever() -> None:
    pace = RequestPace(7)
    for number in range(7):
        pace.send(0.1 * number, cold=True)

    assert pace.seconds_to_go(8.0) <= 0


def test_a_pause_longer_than_the_longest_is_cut() -> None:
    pace = RequestPace(7)

    pace.pause(1.0, 10 * RETRY_AFTER_AT_MOST)

    assert pace.seconds_to_go(1.0) == RETRY_AFTER_AT_MOST


def test_a_pause_that_is_no_refusal_leaves_the_pace_as_it_was() -> None:
    pace = RequestPace(7)
    sent = pace.send(0.0, cold=False)
    pace.pause(0.1, 2.0)
    pace.answer(sent, 0.1)

    server = simulate(pace, Server(), workers=8, seconds=20)

    assert server.sent[0] >= 2.1
    assert len([at for at in server.sent if at > 10]) >= 0.95 * 7 * 10


def test_a_refusal_without_a_limit_pauses_too() -> None:
    pace = RequestPace(0)

    pace.refuse(pace.send(0.0, cold=False), 1.0, 5.0)

    assert pace.seconds_to_go(1.0) == 5.0
