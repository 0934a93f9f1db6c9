"""One run after another: only what changed, and nothing missed."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from aiohttp import web
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from sandbox import ConversationStore, Faults, Sandbox
from tap_kommo_chats.errors import StateError
from tap_kommo_chats.state import checkpoint
from tap_kommo_chats.tap import TapKommoChats
from tests.support.states import known, known_of, state_of
from tests.support.tap import (
    Output,
    captured_output,
    config_for,
    failing_run,
    run,
    wait_for_nothing,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox import PageRequest, SeenRequest

HOUR = 60 * 60 * 1000
DAY = 24 * HOUR


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def message(name: str, sent_ms: int, text: str = "") -> dict[str, Any]:
    return {
        "timestamp": sent_ms // 1000,
        "msec_timestamp": sent_ms,
        "sender": {"id": "s"},
        "message": {"id": name, "type": "text", "text": text},
    }


def fill(sandbox: Sandbox, ids: list[str], count: int, newest_ms: int) -> None:
    """Give each conversation so many messages, a minute apart."""
    for conversation_id in ids:
        for number in range(count):
            sent_ms = newest_ms - 60_000 * (count - 1 - number)
            sandbox.store.add(
                conversation_id, message(f"{conversation_id}-{number}", sent_ms)
            )


def names(output: Output) -> list[str]:
    return sorted(record["message_id"] for record in output.records)


def test_an_idle_conversation_emits_nothing_and_costs_one_request(
    sandbox: Sandbox,
) -> None:
    ids = [f"c{n}" for n in range(20)]
    fill(sandbox, ids, 120, now_ms() - 30 * DAY)
    first = run(config_for(sandbox))
    sandbox.forget_requests()

    second = run(config_for(sandbox), first.state)

    assert len(first.records) == 20 * 120
    assert second.records == []
    assert len(sandbox.requests) == 20


def test_new_messages_are_all_that_a_later_run_emits(sandbox: Sandbox) -> None:
    ids = [f"c{n}" for n in range(20)]
    fill(sandbox, ids, 120, now_ms() - 30 * DAY)
    first = run(config_for(sandbox))
    for number in range(3):
        sandbox.store.add("c7", message(f"new{number}", now_ms()))
    sandbox.forget_requests()

    second = run(config_for(sandbox), first.state)

    assert names(second) == ["new0", "new1", "new2"]
    assert len(sandbox.requests) == 20


def test_a_conversation_added_later_is_read_whole(sandbox: Sandbox) -> None:
    old = [f"old{n}" for n in range(5)]
    new = [f"new{n}" for n in range(5)]
    fill(sandbox, old + new, 60, now_ms() - 300 * DAY)
    first = run(config_for(sandbox, old))

    second = run(config_for(sandbox, old + new), first.state)

    assert Counter(key[0] for key in second.keys) == dict.fromkeys(new, 60)


def test_a_conversation_no_longer_listed_keeps_its_bookmark(sandbox: Sandbox) -> None:
    fill(sandbox, ["a", "b"], 3, now_ms() - 30 * DAY)
    first = run(config_for(sandbox, ["a", "b"]))
    second = run(config_for(sandbox, ["a"]), first.state)

    third = run(config_for(sandbox, ["a", "b"]), second.state)

    assert third.records == []


def test_without_a_state_everything_is_read_again(sandbox: Sandbox) -> None:
    fill(sandbox, ["a"], 60, now_ms() - 30 * DAY)
    run(config_for(sandbox))

    assert len(run(config_for(sandbox), {}).records) == 60


def test_full_table_replication_reads_everything_again(sandbox: Sandbox) -> None:
    fill(sandbox, ["a"], 60, now_ms() - 30 * DAY)
    state = run(config_for(sandbox)).state
    catalog = TapKommoChats(config=config_for(sandbox)).catalog_dict
    for entry in catalog["streams"]:
        entry["replication_method"] = "FULL_TABLE"
        for metadata in entry["metadata"]:
            metadata["metadata"].pop("forced-replication-method", None)

    with captured_output() as collected:
        TapKommoChats(
            config=config_for(sandbox), state=state, catalog=catalog
        ).sync_all()

    assert len(collected[0].records) == 60


@pytest.mark.parametrize("timestamp", [0, -1])
def test_a_new_message_of_a_broken_clock_is_carried(
    sandbox: Sandbox, timestamp: int
) -> None:
    fill(sandbox, ["a"], 3, now_ms() - 30 * DAY)
    state = run(config_for(sandbox)).state
    broken = {"timestamp": timestamp, "message": {"id": "broken", "text": ""}}
    sandbox.store.put_raw("a", [broken, *sandbox.store.rows("a")])

    assert names(run(config_for(sandbox), state)) == ["broken"]


def test_a_late_message_inside_the_look_back_is_found(sandbox: Sandbox) -> None:
    fill(sandbox, ["a"], 60, now_ms() - HOUR)
    state = run(config_for(sandbox)).state
    sandbox.store.add("a", message("late", now_ms() - 23 * HOUR))

    assert "late" in names(run(config_for(sandbox), state))


def test_what_was_written_is_not_written_again_within_the_look_back(
    sandbox: Sandbox,
) -> None:
    fill(sandbox, ["a"], 60, now_ms() - HOUR)
    state = run(config_for(sandbox)).state
    sandbox.store.add("a", message("new", now_ms() - 1000))
    sandbox.forget_requests()

    second = run(config_for(sandbox), state)
    third = run(config_for(sandbox), second.state)

    assert names(second) == ["new"]
    assert names(third) == []
    # The second page has what was sent within the look-back too.
    assert len(sandbox.requests) == 4


def test_a_late_message_outside_the_look_back_is_not(sandbox: Sandbox) -> None:
    fill(sandbox, ["a"], 60, now_ms() - HOUR)
    state = run(config_for(sandbox)).state
    sandbox.store.add("a", message("late", now_ms() - 25 * HOUR))

    assert "late" not in names(run(config_for(sandbox), state))
    wider = {**config_for(sandbox), "lookback_days": 2}
    assert "late" in names(run(wider, state))


def test_an_edit_inside_the_look_back_is_found(sandbox: Sandbox) -> None:
    fill(sandbox, ["a"], 60, now_ms() - HOUR)
    state = run(config_for(sandbox)).state
    sandbox.store.edit("a", "a-30", text="edited")

    records = run(config_for(sandbox), state).records

    assert [r["message"]["text"] for r in records if r["message_id"] == "a-30"] == [
        "edited"
    ]


def test_without_look_back_nothing_is_read_twice(sandbox: Sandbox) -> None:
    fill(sandbox, ["a"], 60, now_ms() - HOUR)
    config = {**config_for(sandbox), "lookback_days": 0}
    state = run(config).state
    sandbox.store.add("a", message("new", now_ms()))

    assert names(run(config, state)) == ["new"]


def test_messages_before_the_start_date_stay_out_of_later_runs(
    sandbox: Sandbox,
) -> None:
    fill(sandbox, ["a"], 60, now_ms() - HOUR)
    config = {**config_for(sandbox), "start_date": "2100-01-01T00:00:00Z"}

    state = run(config).state

    assert run(config, state).records == []


def test_the_state_says_of_each_conversation_how_far_it_was_read_and_no_more(
    sandbox: Sandbox,
) -> None:
    newest_ms = now_ms() - HOUR
    fill(sandbox, ["a"], 60, newest_ms)
    sandbox.store.add_conversation("empty")

    state = run(config_for(sandbox)).state

    part = state["bookmarks"]["chat_history"]
    assert set(part) == {"version", "conversations", "made_of"}
    assert set(part["conversations"]) == {"a", "empty"}
    read, empty = known_of(state, "a"), known_of(state, "empty")
    assert read is not None
    assert empty is not None
    assert (read.newest_ms, empty.newest_ms) == (newest_ms, 0)


def test_the_state_says_when_each_conversation_was_read_last(sandbox: Sandbox) -> None:
    fill(sandbox, ["a", "b"], 1, now_ms() - HOUR)
    long_ago = now_ms() - 9 * DAY
    state = state_of({id_: known(long_ago - DAY, long_ago) for id_ in ("a", "b")})
    before = now_ms()

    state = run(config_for(sandbox, ["a"]), state).state

    read, not_read = known_of(state, "a"), known_of(state, "b")
    assert read is not None
    assert not_read is not None
    assert read.read_ms >= before // 1000 * 1000
    assert not_read.read_ms <= long_ago


def test_a_damaged_state_stops_the_run_before_any_request(sandbox: Sandbox) -> None:
    state = {"bookmarks": {"chat_history": {"conversations": {"a": "yesterday"}}}}

    with pytest.raises(StateError, match="'a'"):
        run(config_for(sandbox, ["a"]), state)

    assert not sandbox.requests


def test_records_of_one_conversation_keep_their_order(sandbox: Sandbox) -> None:
    ids = [f"c{n}" for n in range(30)]
    fill(sandbox, ids, 120, now_ms() - 30 * DAY)

    keys = run(config_for(sandbox)).keys

    for conversation_id in ids:
        assert [key[1] for key in keys if key[0] == conversation_id] == [
            f"{conversation_id}-{number}" for number in range(119, -1, -1)
        ]


def test_a_failed_conversation_is_asked_again_and_the_others_are_done(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    ids = [f"c{n}" for n in range(10)]
    fill(sandbox, ids, 5, now_ms() - 30 * DAY)
    sandbox.answer = lambda seen: (
        web.Response(status=400) if seen.conversation_id == "c4" else None
    )

    failed = failing_run(config_for(sandbox), caplog)
    sandbox.answer = None
    second = run(config_for(sandbox), failed.output.state)

    assert {key[0] for key in failed.output.keys} == set(ids) - {"c4"}
    assert {key[0] for key in second.keys} == {"c4"}


def test_a_late_message_of_a_failed_conversation_is_found_days_later(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    then = now_ms() - 9 * DAY
    fill(sandbox, ["a", "b"], 5, then)
    state = state_of({id_: known(then, then) for id_ in ("a", "b")})
    sandbox.answer = lambda seen: (
        web.Response(status=400) if seen.conversation_id == "b" else None
    )
    state = failing_run(config_for(sandbox), caplog, state).output.state
    sandbox.answer = None
    for conversation_id in ("a", "b"):
        late = message(f"late-{conversation_id}", then - HOUR)
        sandbox.store.add(conversation_id, late)

    later = run(config_for(sandbox), state)

    assert "late-b" in names(later)
    assert "late-a" not in names(later)
    assert "owed" not in later.state["bookmarks"]["chat_history"]


def test_nothing_is_left_running_after_a_failure(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    fill(sandbox, [f"c{n}" for n in range(30)], 5, now_ms())
    sandbox.answer = lambda seen: (
        web.Response(status=403, content_type="text/html")
        if seen.conversation_id == "c5"
        else None
    )

    failing_run(config_for(sandbox), caplog)

    assert [thread for thread in threading.enumerate() if thread.name == "reader"] == []


def test_a_run_keeps_to_the_limit_at_the_server(sandbox: Sandbox) -> None:
    fill(sandbox, [f"c{n}" for n in range(40)], 1, now_ms())

    run({**config_for(sandbox), "requests_per_second": 20})

    times = [seen.at for seen in sandbox.requests]
    assert len(times) == 40
    assert all(
        sum(first <= other < first + 1 for other in times) <= 20 for first in times
    )


def test_a_server_that_says_retry_after_is_not_asked_before(sandbox: Sandbox) -> None:
    fill(sandbox, [f"c{n}" for n in range(8)], 1, now_ms())

    def refuse_the_third(_seen: SeenRequest) -> web.StreamResponse | None:
        if len(sandbox.requests) == 2:
            return web.Response(status=429, headers={"Retry-After": "3"})
        return None

    sandbox.answer = refuse_the_third

    run({**config_for(sandbox), "max_concurrency": 1})

    refused, then = (seen.at for seen in sandbox.requests[2:4])
    assert then - refused >= 3


def test_a_run_that_fails_does_not_sit_out_a_pause(
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    wait_for_nothing(monkeypatch)

    def answer(seen: SeenRequest) -> web.StreamResponse:
        if seen.conversation_id == "a":
            return web.Response(status=429, headers={"Retry-After": "30"})
        if seen.conversation_id == "c":
            return web.Response(status=403, content_type="text/html")
        return web.Response(status=204)

    sandbox.answer = answer
    # Both have been asked for when the first is told to wait.
    sandbox.faults = Faults(latency=0.5, only=frozenset({"a", "c"}))
    started = time.monotonic()

    failing_run({**config_for(sandbox, ["b", "a", "c"]), "max_concurrency": 2}, caplog)

    assert time.monotonic() - started < 30


class Runs(RuleBasedStateMachine):
    """Messages arrive, late ones too, are edited and vanish, while runs happen.

    Some runs are cut short: what their target received up to some line is loaded, and
    the last STATE among it is where the next run starts. After a run to the end, what
    is loaded equals what the server holds.
    """

    ids = ("a", "b", "c", "d")

    def __init__(self) -> None:  # noqa: D107
        super().__init__()
        self.sandbox = Sandbox(ConversationStore())
        self.sandbox.__enter__()
        self.listed: set[str] = set()
        self.loaded: dict[tuple[str, str], str] = {}
        self.state: dict[str, Any] = {}
        self.named = 0
        self.often = mock.patch.object(checkpoint, "OFTEN_SECONDS", 0.0)
        self.often.start()

    def teardown(self) -> None:
        try:
            if self.listed:
                self.run_to_the_end()
        finally:
            self.often.stop()
            self.sandbox.__exit__(None, None, None)

    def add(self, conversation_id: str, age_ms: int) -> None:
        self.named += 1
        self.sandbox.store.add(
            conversation_id, message(f"m{self.named}", now_ms() - age_ms)
        )

    def recent(self, conversation_id: str) -> list[str]:
        since = now_ms() - 20 * HOUR
        return [
            row["message"]["id"]
            for row in self.sandbox.store.rows(conversation_id)
            if row["msec_timestamp"] > since
        ]

    @initialize(lengths=st.tuples(*[st.integers(0, 130)] * len(ids)))
    def old_messages(self, lengths: tuple[int, ...]) -> None:
        for conversation_id, length in zip(self.ids, lengths, strict=True):
            for number in range(length):
                self.add(conversation_id, 30 * DAY + number * 60_000)

    @rule(conversation_id=st.sampled_from(ids))
    def a_conversation_is_listed(self, conversation_id: str) -> None:
        self.listed.add(conversation_id)

    @rule(conversation_id=st.sampled_from(ids), count=st.sampled_from([1, 3, 49, 60]))
    def messages_arrive(self, conversation_id: str, count: int) -> None:
        for _ in range(count):
            self.add(conversation_id, 0)

    @rule(conversation_id=st.sampled_from(ids), hours=st.integers(1, 20))
    def a_message_arrives_late(self, conversation_id: str, hours: int) -> None:
        self.add(conversation_id, hours * HOUR)

    @rule(conversation_id=st.sampled_from(ids), place=st.floats(0, 0.99))
    def a_recent_message_is_edited(self, conversation_id: str, place: float) -> None:
        if recent := self.recent(conversation_id):
            self.named += 1
            self.sandbox.store.edit(
                conversation_id,
                recent[int(place * len(recent))],
                text=f"edit {self.named}",
            )

    @rule(
        conversation_id=st.sampled_from(ids),
        place=st.floats(0, 0.99),
        count=st.sampled_from([1, 2, 30]),
    )
    def messages_vanish(self, conversation_id: str, place: float, count: int) -> None:
        names = self.sandbox.store.message_ids(conversation_id)
        first = int(place * len(names))
        for name in names[first : first + count]:
            self.sandbox.store.remove(conversation_id, name)

    @precondition(lambda self: self.listed)
    @rule(part=st.floats(0, 1))
    def a_run_is_cut_short(self, part: float) -> None:
        lines = self.output().messages
        self.load(lines[: round(part * len(lines))])

    @precondition(lambda self: self.listed)
    @rule(changes=st.lists(st.sampled_from(["arrive", "vanish", None]), max_size=8))
    def things_change_during_a_run(self, changes: list[str | None]) -> None:
        coming = iter(changes)

        def change(asked: PageRequest) -> None:
            kind = next(coming, None)
            if kind == "arrive":
                self.add(asked.conversation_id, 0)
            elif kind == "vanish" and self.sandbox.store.size(asked.conversation_id):
                names = self.sandbox.store.message_ids(asked.conversation_id)
                self.sandbox.store.remove(asked.conversation_id, names[0])

        self.load(self.output(change).messages)

    @precondition(lambda self: self.listed)
    @rule()
    def run_to_the_end(self) -> None:
        self.load(self.output().messages)

        for conversation_id in self.listed:
            for row in self.sandbox.store.rows(conversation_id):
                name, text = row["message"]["id"], row["message"]["text"]
                assert self.loaded.get((conversation_id, name)) == text

    def output(self, change: Callable[[PageRequest], None] | None = None) -> Output:
        self.sandbox.chats.before_page = change
        config = {**config_for(self.sandbox, sorted(self.listed)), "max_concurrency": 3}
        try:
            return run(config, self.state)
        finally:
            self.sandbox.chats.before_page = None

    def load(self, messages: list[dict[str, Any]]) -> None:
        for line in messages:
            if line["type"] == "STATE":
                self.state = line["value"]
            elif line["type"] == "RECORD" and line["stream"] == "chat_history":
                record = line["record"]
                key = (record["conversation_id"], record["message_id"])
                self.loaded[key] = record["message"]["text"]


TestRuns = Runs.TestCase
TestRuns.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
