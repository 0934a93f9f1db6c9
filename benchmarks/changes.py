"""What a run costs when little changed."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from benchmarks.arena import Arena
from benchmarks.hourly import Hours, hourly
from benchmarks.table import ALLOWED, Line, check
from benchmarks.workload import (
    Arrival,
    conversation_id,
    conversation_number,
    message_id,
    sent_ms,
    spread_lengths,
    spread_places,
)
from sandbox import OWN_ORIGIN
from tap_kommo_chats.state.known import Known, write_known
from tap_kommo_chats.times import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.arena import Run
    from benchmarks.table import Scale


_SHORT = 4.0
"""Messages of a conversation in the mean, where only requests are counted."""


def again(folder: Path, scale: Scale) -> Iterator[Line]:
    """A run after a run: nothing changed, then a little."""
    count = scale.conversations
    changed, new = count // 20, 3
    with Arena(folder, count) as arena:
        first = arena.tap().state()
        idle = arena.tap(first)
        idle_messages, second = idle.count_messages(), idle.state()
        arena.add(changed, new)
        busy = arena.tap(second)
        busy_messages = busy.count_messages()
    yield Line(
        f"{count:,} conversations, nothing changed: requests, messages",
        f"{idle.requests:,}, {idle_messages:,}",
        f"{count:,}, 0",
        (idle.requests, idle_messages) == (count, 0),
        f"{idle.seconds:.1f} s",
        exact=True,
    )
    yield Line(
        f"{changed:,} of {count:,} with {new} new messages each: requests, messages",
        f"{busy.requests:,}, {busy_messages:,}",
        f"{count:,}, {changed * new:,}",
        (busy.requests, busy_messages) == (count, changed * new),
        f"{busy.seconds:.1f} s",
        exact=True,
    )


def later(folder: Path, scale: Scale) -> Iterator[Line]:
    """Half of the conversations in the state, the others named only later."""
    count = scale.conversations
    known = count // 2
    expected = sum(spread_lengths(count)[known:])
    with Arena(folder, count) as arena:
        state = arena.tap(conversations=known).state()
        run = arena.tap(state)
    arrived = {
        message["message_id"]
        for message in run.messages()
        if conversation_number(message["conversation_id"]) >= known
    }
    yield Line(
        f"{known:,} in the state, {known:,} added later: old messages of these",
        f"{len(arrived):,}",
        f"{expected:,}",
        len(arrived) == expected,
        f"{run.seconds:.1f} s",
        exact=True,
    )


def daily(folder: Path, scale: Scale) -> Iterator[Line]:
    """A day after the last run, few of many conversations changed.

    They are short: what is measured are requests, and as many are made for long ones.
    Nothing happened on the day before the last run, because the look-back reads again
    what did.
    """
    count, changed, new = scale.daily, scale.daily // 100, 3
    since_ms = time.time_ns() // 1_000_000 - DAY_MS
    lengths = spread_lengths(count, _SHORT)
    arrivals = {
        number: Arrival(since_ms, lengths[number], new)
        for number in spread_places(changed, count)
    }
    expected = sorted(
        (conversation_id(number), message_id(number, arrival.after + place))
        for number, arrival in arrivals.items()
        for place in range(new)
    )
    state = _state_of(lengths, since_ms)
    hints = str(_write_hints(folder, lengths, arrivals))
    with Arena(folder, count, mean=_SHORT) as arena:
        arena.add(changed, new, since_ms)
        unaided = arena.tap(state)
        found = _arrived(unaided)
        yield Line(
            f"{count:,} conversations, {changed:,} changed since yesterday: requests "
            "without hints; new messages",
            f"{unaided.requests:,}; {len(found):,}",
            f"{count:,}; {len(expected):,}",
            unaided.requests == count and found == expected,
            f"{_at_limit(unaided.requests)}; {unaided.seconds:.1f} s",
            exact=True,
        )
        told = arena.tap(state, conversations=0, conversations_file=hints)
        found = _arrived(told)
        yield Line(
            "the same, with updated_at from a file: requests; new messages",
            f"{told.requests:,}; {len(found):,}",
            f"at most {changed:,}; {len(expected):,}",
            told.requests <= changed and found == expected,
            f"{_at_limit(told.requests)}; {told.seconds:.1f} s",
            exact=True,
        )
        asked = arena.tap(state, conversations=0, **arena.crm)
        found = _arrived(asked)
        yield Line(
            "the same, with the CRM: Chats API + CRM; new messages",
            f"{asked.requests:,} + {asked.crm_requests:,}; {len(found):,}",
            f"at most {changed:,} to the Chats API; {len(expected):,}",
            asked.requests <= changed and found == expected,
            f"{_at_limit(asked.requests, asked.crm_requests)}; {asked.seconds:.1f} s",
            exact=True,
        )


def idle(folder: Path, scale: Scale) -> Iterator[Line]:
    """Nothing happened in any of many conversations that a file lists."""
    count = scale.daily
    lengths = spread_lengths(count, _SHORT)
    read_ms = time.time_ns() // 1_000_000 - DAY_MS
    hints = str(_write_hints(folder, lengths, {}))
    with Arena(folder, count, mean=_SHORT) as arena:
        before = arena.tap(
            _state_of(lengths, read_ms), conversations=0, conversations_file=hints
        )
        run = arena.tap(before.state(), conversations=0, conversations_file=hints)
    records = run.count_records()
    yield Line(
        f"{count:,} conversations in a file, nothing changed: requests, records",
        f"{run.requests}, {records}",
        "0, 1",
        (run.requests, records) == (0, 1),
        exact=True,
    )
    yield Line(
        "the same: seconds, peak memory",
        f"{run.seconds:.1f}, {run.peak_mb:.0f} MB",
        "at most 3, 150 MB",
        run.seconds <= 3 and run.peak_mb <= 150,  # noqa: PLR2004 (the target)
    )


def hourly_runs(folder: Path, scale: Scale) -> Iterator[Line]:
    """Hourly runs for a day and more, of which each finds a few changes."""
    logging.disable(logging.CRITICAL)
    try:
        hours = hourly(folder, scale.hourly)
        again = hourly(folder, scale.hourly, forgets=True)
    finally:
        logging.disable(logging.NOTSET)
    check("messages missed", hours.missed, 0)
    check("messages missed", again.missed, 0)
    costs = [_costs(hours), _costs(again)]
    most = {"requests a change": 5, "messages written for each new or late one": 1.1}
    most["rows of conversations a change"] = 5
    for what, limit in most.items():
        found, other = (cost[what] for cost in costs)
        yield Line(
            f"{scale.hourly:,} conversations, {hours.runs} hourly runs, "
            f"{hours.changes} changes: {what}; with a state that forgets",
            f"{found:.2f}; {other:.2f}",
            f"at most {limit}",
            found <= limit,
            exact=True,
        )


def _costs(hours: Hours) -> dict[str, float]:
    rows = hours.costs.rows
    return {
        "requests a change": hours.costs.requests / hours.changes,
        "messages written for each new or late one": rows["chat_history"]
        / hours.messages,
        "rows of conversations a change": rows["conversations"] / hours.changes,
    }


def _state_of(lengths: list[int], read_ms: int) -> dict[str, Any]:
    """Make the state of a run that read all conversations and searched the CRM."""
    known = {
        conversation_id(number): write_known(_read_at(number, length, read_ms), DAY_MS)
        for number, length in enumerate(lengths)
    }
    bookmarks = {"conversations": known, "searched_until": {OWN_ORIGIN: read_ms}}
    return {"bookmarks": {"chat_history": bookmarks}}


def _read_at(number: int, length: int, read_ms: int) -> Known:
    """Say what is known of a conversation after a run that found nothing new."""
    newest_ms = sent_ms(number, length - 1)
    return Known(newest_ms, read_ms, newest_ms, newest_ms)


def _write_hints(
    folder: Path, lengths: list[int], arrivals: dict[int, Arrival]
) -> Path:
    """List all conversations, with the time of the newest message of each."""
    path = folder / "conversations.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("conversation_id,updated_at\n")
        for number, length in enumerate(lengths):
            arrival = arrivals.get(number)
            total = length + (arrival.count if arrival else 0)
            newest_ms = sent_ms(number, total - 1, arrival)
            file.write(f"{conversation_id(number)},{newest_ms}\n")
    return path


def _arrived(run: Run) -> list[tuple[str, str]]:
    """Return the keys of the messages that a tap wrote, each as often as it did."""
    return sorted(
        (each["conversation_id"], each["message_id"]) for each in run.messages()
    )


def _at_limit(*requests: int) -> str:
    """Say how long requests take that Kommo's hosts let in, each host by itself."""
    minutes = " + ".join(f"{each / ALLOWED / 60:,.1f}" for each in requests)
    return f"{minutes} min at {ALLOWED} a second"
