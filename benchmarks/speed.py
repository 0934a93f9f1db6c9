"""How fast the tap is beside others, and how well it uses threads and the rate."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks.arena import Arena, Run
from benchmarks.table import ALLOWED, Line, check, rounds, seconds_of
from benchmarks.workload import plain_requests, spread_lengths
from sandbox import OWN_ORIGIN
from tap_kommo_chats.times import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.table import Scale


def fast(folder: Path, scale: Scale) -> Iterator[Line]:
    """No latency and no limit: what the program itself costs."""
    count = scale.conversations
    plain = sum(plain_requests(length) for length in spread_lengths(count))

    def checked(
        program: Callable[[], Run], count_in: Callable[[Run], int] | None
    ) -> Callable[[], Run]:
        def run() -> Run:
            done = program()
            if count_in is not None:
                check("messages", count_in(done), done.seen["messages"])
                if count_in is Run.count_lines:
                    check("requests", done.requests, plain)
            return done

        return run

    with Arena(folder, count) as arena:
        runs = rounds(
            scale.rounds,
            {
                "tap": checked(arena.tap, Run.count_messages),
                "bare 1": checked(lambda: arena.bare(1), Run.count_lines),
                "bare 8": checked(lambda: arena.bare(8), Run.count_lines),
                "template": checked(arena.template, Run.count_messages),
                # dlt's rows are in files of its own; it counts by its requests.
                "dlt": checked(arena.dlt, None),
            },
        )
    check("requests of dlt", runs["dlt"][0].requests, plain)
    tap = seconds_of(runs["tap"])
    best = min(seconds_of(runs["bare 1"]), seconds_of(runs["bare 8"]))
    template, dlt = seconds_of(runs["template"]), seconds_of(runs["dlt"])
    work = f"{count:,} conversations, {runs['tap'][0].seen['messages']:,} messages"
    yield Line(
        f"{work}: tap / bare loop",
        f"{tap / best:.2f}",
        "at most 2",
        tap <= 2 * best,
        f"{tap:.1f} / {best:.1f} s",
    )
    yield Line(
        "the same: template tap / tap",
        f"{template / tap:.2f}",
        "at least 2.5",
        template >= 2.5 * tap,
        f"{template:.1f} / {tap:.1f} s",
    )
    yield Line(
        "the same: dlt / tap",
        f"{dlt / tap:.2f}",
        "",
        met=True,
        seconds=f"{dlt:.1f} / {tap:.1f} s",
    )
    made = runs["tap"][0].requests
    yield Line(
        "the same: requests of the tap / plain paging",
        f"{made / plain:.3f}",
        "",
        met=True,
        seconds=f"{made:,} / {plain:,}",
    )


def latency(folder: Path, scale: Scale) -> Iterator[Line]:
    """100 ms latency: how well threads are kept busy."""
    threads = 32
    with Arena(folder, scale.conversations, latency=0.1) as arena:
        runs = rounds(
            scale.rounds,
            {
                "tap": lambda: arena.tap(max_concurrency=threads),
                "bare": lambda: arena.bare(threads),
            },
        )
    tap, bare = seconds_of(runs["tap"]), seconds_of(runs["bare"])
    yield Line(
        f"100 ms latency, {threads} threads: tap / bare loop",
        f"{tap / bare:.2f}",
        "at most 1.3",
        tap <= 1.3 * bare,
        f"{tap:.1f} / {bare:.1f} s",
    )


def growth(folder: Path, scale: Scale) -> Iterator[Line]:
    """Five times the conversations."""
    few, many = scale.conversations, 5 * scale.conversations
    with Arena(folder, few) as small, Arena(folder, many) as large:
        runs = rounds(scale.rounds, {"few": small.tap, "many": large.tap})
    less, more = seconds_of(runs["few"]), seconds_of(runs["many"])
    yield Line(
        f"{many:,} / {few:,} conversations of the same size: time",
        f"{more / less:.2f}",
        "at most 5.5",
        more <= 5.5 * less,
        f"{more:.1f} / {less:.1f} s",
    )


def limit(folder: Path, scale: Scale) -> Iterator[Line]:
    """Seven requests a second allowed, 300 ms latency."""
    allowed = ALLOWED
    with Arena(folder, scale.limited, length=20, latency=0.3, allowed=allowed) as arena:
        run = arena.tap(requests_per_second=allowed)
    check("messages", run.count_messages(), run.seen["messages"])
    # As many may come in any second, so in s seconds at most allowed * (s + 1).
    used = run.requests / (allowed * (run.seen["seconds"] + 1))
    most, refused = int(run.seen["most_in_a_second"]), int(run.seen["refused"])
    yield Line(
        f"{allowed} a second allowed, 300 ms latency: share of the allowed rate used",
        f"{used:.1%}",
        "at least 95%",
        used >= 0.95,  # noqa: PLR2004 (the target)
        f"{run.requests} requests in {run.seen['seconds']:.1f} s",
    )
    yield Line(
        "the same: most requests in a sliding second at the server, refused (429)",
        f"{most}, {refused}",
        f"at most {allowed}, 0",
        most <= allowed and refused == 0,
        exact=True,
    )


def search(folder: Path, scale: Scale) -> Iterator[Line]:
    """Many events to search, seven requests a second allowed, 300 ms latency."""
    each = 100
    conversations = scale.events // each
    since_ms = time.time_ns() // 1_000_000 - 3 * DAY_MS
    bookmarks = {"searched_until": {OWN_ORIGIN: since_ms}}
    state = {"bookmarks": {"conversations": bookmarks}}
    with Arena(folder, conversations, mean=1, latency=0.3) as arena:
        arena.add(conversations, each, since_ms)
        run = arena.tap(
            state,
            conversations=0,
            only="conversations",
            **arena.crm | {"requests_per_second": ALLOWED},
        )
    check("conversations found", run.count_records(), conversations)
    used = run.crm_requests / (ALLOWED * (run.seen["crm_seconds"] + 1))
    yield Line(
        f"{scale.events:,} events to search, {ALLOWED} a second allowed, 300 ms "
        "latency: share of the allowed rate used",
        f"{used:.1%}",
        "at least 90%",
        used >= 0.9,  # noqa: PLR2004 (the target)
        f"{run.crm_requests:,} requests in {run.seen['crm_seconds']:.0f} s",
    )
