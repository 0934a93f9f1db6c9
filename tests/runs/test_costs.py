"""What runs cost that follow change, and that nothing is missed for it."""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from aiohttp import web
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sandbox import ConversationStore, Sandbox
from tap_kommo_chats.errors import IncompleteRunError
from tap_kommo_chats.state import checkpoint
from tap_kommo_chats.tap import TapKommoChats
from tests.support.account import DAY, HOUR, SECOND, START, message
from tests.support.marks import LONG
from tests.support.tap import Output, captured_output, config_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MINUTE = 60 * SECOND
NEWS, VISITS = 1, 3
"""How often a conversation is asked for when a source tells that something happened in
it, and after that."""

Key = tuple[str, str]
"""A conversation, and a message of it."""


def end_of_day(time_ms: int) -> int:
    return time_ms // DAY * DAY + DAY - 1


def as_date(time_ms: int) -> str:
    moment = datetime.fromtimestamp(0, tz=timezone.utc) + timedelta(
        milliseconds=time_ms
    )
    return moment.date().isoformat()


@dataclass(frozen=True)
class Hint:
    """How a list writes a time, and which one that is to its reader."""

    write: Callable[[int], str]
    read: Callable[[int], int]


HINTS = {
    "exact": Hint(str, lambda time_ms: time_ms),
    "dates only": Hint(as_date, end_of_day),
    "slow clock": Hint(
        lambda time_ms: str(time_ms - 10 * MINUTE),
        lambda time_ms: time_ms - 10 * MINUTE,
    ),
}


@dataclass(frozen=True)
class Listing:
    """A list as it was made at some time: when something last happened in each."""

    made_ms: int
    activities: Mapping[str, int]


@dataclass
class Sent:
    """A message: when it was sent, and since when it has which text."""

    sent_ms: int
    is_told: bool
    versions: list[tuple[int, str]]

    @property
    def arrived_ms(self) -> int:
        return self.versions[0][0]

    @property
    def is_late(self) -> bool:
        return self.sent_ms < self.arrived_ms

    def as_of(self, time_ms: int) -> str | None:
        texts = [text for since, text in self.versions if since <= time_ms]
        return texts[-1] if texts else None

    def later_than(self, time_ms: int) -> list[int]:
        return [since for since, _ in self.versions if since > time_ms]


@dataclass(frozen=True)
class Row:
    """What a warehouse holds of a message, and when the run began that wrote it."""

    text: str
    written_ms: int


@dataclass(frozen=True)
class Read:
    """What has to be in a state of a conversation.

    Attributes:
        read_ms: When it was read last.
        acted_ms: The latest time that a list gave for it by then.
        active_ms: When something last happened in it, as far as that was told.
        noticed_ms: When that was read.
        is_owed: Whether it failed since.
    """

    read_ms: int
    acted_ms: int
    active_ms: int
    noticed_ms: int
    is_owed: bool = False


class Costs(RuleBasedStateMachine):
    """Messages arrive, late ones too, and are edited, while runs happen at any gaps.

    The lists are stale at times, have dates only, or are of a slow clock. Some runs are
    cut short, some fail at a conversation, and some go on from an older state or none.
    """

    ids = ("a", "b", "c")

    def __init__(self) -> None:  # noqa: D107
        super().__init__()
        self.close = contextlib.ExitStack()
        self.sandbox = self.close.enter_context(Sandbox(ConversationStore()))
        self.folder = Path(self.close.enter_context(tempfile.TemporaryDirectory()))
        self.close.enter_context(mock.patch.object(checkpoint, "OFTEN_SECONDS", 0.0))
        self.now = START + 777
        self.hint = HINTS["exact"]
        self.lookback_days = 1
        self.there: dict[Key, Sent] = {}
        self.listings: list[Listing] = []
        self.named = 0
        self.loaded: dict[Key, Row] = {}
        self.state: dict[str, Any] = {}
        self.read: dict[str, Read] = {}
        self.older: list[tuple[dict[str, Any], dict[str, Read]]] = [({}, {})]
        self.asked: Counter[str] = Counter()
        self.may_ask: Counter[str] = Counter()

    def teardown(self) -> None:
        try:
            if self.there:
                self.make_list()
                self.complete_run(self.listings[-1])
                self.now += 4 * DAY
                self.complete_run(self.listings[-1])
        finally:
            self.close.close()

    @property
    def lookback_ms(self) -> int:
        return self.lookback_days * DAY

    @property
    def last_visit_ms(self) -> int:
        """How long after something happened a conversation is visited last."""
        return max(self.lookback_ms, HOUR)

    # What happens

    @initialize(
        hint=st.sampled_from(sorted(HINTS)),
        lookback_days=st.sampled_from([0, 1, 2]),
        old=st.lists(st.sampled_from(ids), max_size=4),
    )
    def old_conversations(self, hint: str, lookback_days: int, old: list[str]) -> None:
        self.hint = HINTS[hint]
        self.lookback_days = lookback_days
        self.now -= 30 * DAY
        for conversation_id in old:
            self.messages_arrive(conversation_id, 1, 5)
        self.now = START + 777

    def add(self, conversation_id: str, sent_ms: int, *, is_told: bool) -> None:
        self.now += SECOND
        self.named += 1
        name = f"m{self.named}"
        self.sandbox.store.add(conversation_id, message(name, sent_ms))
        self.there[conversation_id, name] = Sent(sent_ms, is_told, [(self.now, name)])

    @rule(
        conversation_id=st.sampled_from(ids),
        count=st.sampled_from([1, 2, 55]),
        minutes=st.integers(0, 90),
    )
    def messages_arrive(self, conversation_id: str, count: int, minutes: int) -> None:
        self.now += minutes * MINUTE
        self.may_ask[conversation_id] += NEWS + VISITS
        for _ in range(count):
            self.add(conversation_id, self.now + SECOND, is_told=True)

    @precondition(lambda self: self.lookback_days)
    @rule(
        conversation_id=st.sampled_from(ids),
        part=st.floats(0.01, 0.99),
        minutes=st.integers(0, 90),
        is_told=st.booleans(),
    )
    def a_message_arrives_late(
        self,
        conversation_id: str,
        part: float,
        minutes: int,
        is_told: bool,  # noqa: FBT001 (hypothesis names it)
    ) -> None:
        self.now += minutes * MINUTE
        self.may_ask[conversation_id] += is_told * NEWS + VISITS
        late_ms = round(part * self.lookback_ms)
        self.add(conversation_id, self.now - late_ms, is_told=is_told)

    @precondition(lambda self: self.lookback_days)
    @rule(place=st.floats(0, 0.99), minutes=st.integers(0, 90))
    def a_message_is_edited(self, place: float, minutes: int) -> None:
        self.now += minutes * MINUTE + SECOND
        since = self.now - self.lookback_ms + SECOND
        recent = [key for key, sent in self.there.items() if sent.sent_ms > since]
        if recent:
            conversation_id, name = key = recent[int(place * len(recent))]
            self.named += 1
            text = f"edit {self.named}"
            self.sandbox.store.edit(conversation_id, name, text=text)
            self.there[key].versions.append((self.now, text))
            self.may_ask[conversation_id] += VISITS

    @rule()
    def make_list(self) -> None:
        self.now += SECOND
        activities: dict[str, int] = {}
        for (conversation_id, _), sent in self.there.items():
            if sent.is_told:
                known_ms = activities.get(conversation_id, 0)
                activities[conversation_id] = max(known_ms, sent.arrived_ms)
        self.listings.append(Listing(self.now, activities))

    def old_list(self, age: int) -> Listing:
        """Make a list that is not up to date, as far as there is one."""
        return self.listings[-1 - min(age, len(self.listings) - 1)]

    # Runs

    @rule(
        gap=st.sampled_from([15 * MINUTE, HOUR, DAY]),
        times=st.integers(1, 5),
        lists=st.lists(st.booleans(), min_size=5, max_size=5),
    )
    def runs_at_equal_gaps(self, gap: int, times: int, lists: list[bool]) -> None:
        for number in range(times):
            self.now += gap
            if lists[number] or not self.listings:
                self.make_list()
            self.complete_run(self.listings[-1])

    @rule(minutes=st.integers(1, 3 * 24 * 60), age=st.sampled_from([0, 0, 1, 3]))
    def a_run_at_any_time(self, minutes: int, age: int) -> None:
        self.now += minutes * MINUTE
        self.make_list()
        self.complete_run(self.old_list(age))

    @rule(part=st.floats(0, 1))
    def a_run_is_cut_short(self, part: float) -> None:
        self.make_list()
        listing = self.listings[-1]
        lines = self.output(listing).messages
        before = self.known()
        self.load(lines[: round(part * len(lines))])
        for conversation_id, written in self.known().items():
            if written != before.get(conversation_id):
                self.note_read(conversation_id, listing)
                self.assert_is_current(conversation_id)
        self.remember()
        self.count_anew()

    @rule(conversation_id=st.sampled_from(ids))
    def a_run_fails_at_a_conversation(self, conversation_id: str) -> None:
        self.make_list()
        self.sandbox.answer = lambda request: (
            web.Response(status=404)
            if request.conversation_id == conversation_id
            else None
        )
        self.complete_run(self.listings[-1], failing=conversation_id)
        self.sandbox.answer = None
        self.count_anew()

    @rule()
    def the_state_is_lost(self) -> None:
        self.state, self.read = {}, {}
        self.count_anew()

    @rule(back=st.integers(1, 5))
    def the_state_is_an_older_one(self, back: int) -> None:
        state, read = self.older[-min(back, len(self.older))]
        self.state, self.read = state, dict(read)
        self.count_anew()

    @precondition(lambda self: self.there)
    @rule()
    def a_second_run_at_once_costs_nothing(self) -> None:
        self.make_list()
        self.complete_run(self.listings[-1])

        output = self.output(self.listings[-1])

        assert self.sandbox.requests == ()
        assert output.records == output.records_of("conversations") == []
        assert len(output.records_of("runs")) == 1

    def complete_run(self, listing: Listing, failing: str | None = None) -> None:
        self.now += SECOND
        before = dict(self.read)
        loaded = dict(self.loaded)
        output = self.output(listing, is_failing=failing is not None)
        asked = Counter(
            request.conversation_id or ""
            for request in self.sandbox.requests
            if not request.offset
        )
        self.load(output.messages)

        for conversation_id in asked.keys() - {failing}:
            self.note_read(conversation_id, listing)
            self.note_change(conversation_id, loaded)
            self.assert_is_current(conversation_id)
        if failing in asked and failing in before:
            self.read[failing] = replace(before[failing], is_owed=True)
        for conversation_id in listing.activities.keys() - {failing}:
            self.assert_holds_what_was_told(conversation_id, listing, before)
            self.assert_visits_were_made(conversation_id)
        self.assert_rows_say_something(output, listing, asked, before, failing)
        self.assert_nothing_was_written_again(output, before, loaded)
        self.asked += asked
        assert not asked or max(asked.values()) == 1
        for conversation_id, times in self.asked.items():
            assert times <= self.may_ask[conversation_id]
        self.remember()

    def output(self, listing: Listing, *, is_failing: bool = False) -> Output:
        path = self.folder / "chats.csv"
        lines = ["conversation_id,updated_at"]
        for conversation_id, activity_ms in listing.activities.items():
            lines.append(f"{conversation_id},{self.hint.write(activity_ms)}")
        path.write_text("\n".join(lines), encoding="utf-8")
        config = config_for(self.sandbox, ["unused"])
        del config["conversation_ids"]
        config["conversations_file"] = str(path)
        config["lookback_days"] = self.lookback_days
        self.sandbox.forget_requests()
        clock = mock.patch.object(
            TapKommoChats,
            "initialized_at",
            new_callable=mock.PropertyMock,
            return_value=self.now,
        )
        accepted = (IncompleteRunError,) if is_failing else ()
        with clock, captured_output() as collected, contextlib.suppress(*accepted):
            TapKommoChats(config=config, state=deepcopy(self.state)).sync_all()
        return collected[0]

    # What is known after runs

    def known(self) -> dict[str, str]:
        part = self.state.get("bookmarks", {}).get("chat_history", {})
        return dict(part.get("conversations", {}))

    def load(self, messages: Sequence[dict[str, Any]]) -> None:
        for line in messages:
            if line["type"] == "STATE":
                self.state = line["value"]
            elif line["type"] == "RECORD" and line["stream"] == "chat_history":
                record = line["record"]
                key = record["conversation_id"], record["message_id"]
                self.loaded[key] = Row(record["message"]["text"], self.now)

    def of(self, conversation_id: str) -> dict[Key, Sent]:
        return {key: s for key, s in self.there.items() if key[0] == conversation_id}

    def note_read(self, conversation_id: str, listing: Listing) -> None:
        before = self.read.get(conversation_id)
        told_ms = listing.activities[conversation_id]
        hint_ms = self.hint.read(told_ms)
        newest_ms = max(sent.sent_ms for sent in self.of(conversation_id).values())
        active_ms = max(newest_ms, min(hint_ms, told_ms))
        after = Read(self.now, hint_ms, active_ms, self.now)
        if before is not None:
            after = replace(after, acted_ms=max(before.acted_ms, hint_ms))
            if before.active_ms >= active_ms:
                after = replace(
                    after, active_ms=before.active_ms, noticed_ms=before.noticed_ms
                )
        self.read[conversation_id] = after

    def note_change(self, conversation_id: str, loaded: Mapping[Key, Row]) -> None:
        """Count visits anew from a reading that met what was late or edited."""
        before = {key: row for key, row in loaded.items() if key[0] == conversation_id}
        newest_ms = max((self.there[key].sent_ms for key in before), default=0)
        for key, sent in self.of(conversation_id).items():
            is_late = key not in before and sent.sent_ms <= newest_ms
            is_edited = key in before and before[key].text != self.loaded[key].text
            if is_late or is_edited:
                read = self.read[conversation_id]
                self.read[conversation_id] = replace(
                    read, active_ms=self.now, noticed_ms=self.now
                )

    def remember(self) -> None:
        self.older.append((self.state, dict(self.read)))

    def count_anew(self) -> None:
        """Allow what a state costs that is not the one that was left."""
        self.asked.clear()
        for conversation_id in self.ids:
            read = self.read.get(conversation_id)
            since = 0 if read is None else read.read_ms - self.lookback_ms - DAY
            changes = sum(
                len(sent.later_than(since))
                for sent in self.of(conversation_id).values()
            )
            self.may_ask[conversation_id] = (NEWS + VISITS) * (1 + changes)

    # What is promised

    def assert_is_current(self, conversation_id: str) -> None:
        for key, sent in self.of(conversation_id).items():
            assert self.loaded[key].text == sent.as_of(self.now)

    def assert_holds_what_was_told(
        self, conversation_id: str, listing: Listing, before: Mapping[str, Read]
    ) -> None:
        read = before.get(conversation_id)
        hint_ms = self.hint.read(listing.activities[conversation_id])
        if read is None or read.is_owed or hint_ms > read.acted_ms:
            for key, sent in self.of(conversation_id).items():
                if sent.is_told and sent.arrived_ms <= listing.made_ms:
                    assert key in self.loaded

    def assert_visits_were_made(self, conversation_id: str) -> None:
        read = self.read[conversation_id]
        if read.noticed_ms + self.last_visit_ms <= self.now:
            until_ms = read.active_ms + self.last_visit_ms
            for key, sent in self.of(conversation_id).items():
                texts = [text for _, text in sent.versions]
                text = sent.as_of(until_ms)
                if text is not None:
                    then = texts.index(text)
                    assert self.loaded[key].text in texts[then:]

    # What it may cost

    def assert_rows_say_something(
        self,
        output: Output,
        listing: Listing,
        asked: Counter[str],
        before: Mapping[str, Read],
        failing: str | None,
    ) -> None:
        written = {conversation_id for conversation_id, _ in output.keys}
        for row in output.records_of("conversations"):
            conversation_id = row["conversation_id"]
            read = before.get(conversation_id)
            assert conversation_id in asked
            assert (
                conversation_id == failing
                or conversation_id in written
                or read is None
                or read.is_owed
                or self.hint.read(listing.activities[conversation_id]) > read.acted_ms
            )

    def assert_nothing_was_written_again(
        self,
        output: Output,
        before: Mapping[str, Read],
        loaded: Mapping[Key, Row],
    ) -> None:
        for record in output.records:
            conversation_id, _ = key = record["conversation_id"], record["message_id"]
            read, row = before.get(conversation_id), loaded.get(key)
            if row is None or row.text != record["message"]["text"] or read is None:
                continue
            if row.written_ms > read.read_ms:
                # The state does not know of it.
                continue
            assert self.there[key].sent_ms > read.read_ms - self.lookback_ms - SECOND
            assert any(
                sent.is_late or since != sent.arrived_ms
                for sent in self.of(conversation_id).values()
                for since in sent.later_than(read.read_ms)
            )


Costs.TestCase.settings = settings(
    max_examples=20, stateful_step_count=25, deadline=None
)
TestCosts = Costs.TestCase


@LONG
def test_the_same_more_often() -> None:
    more = settings(max_examples=60, stateful_step_count=25, deadline=None)
    run_state_machine_as_test(Costs, settings=more)
