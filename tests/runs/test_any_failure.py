"""Whatever conversations answer, over many runs: nothing is lost, nobody is stopped."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from typing import TYPE_CHECKING, Any
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from sandbox.chats.store import ConversationStore
from sandbox.faults import Faults
from sandbox.server import Sandbox
from tap_kommo_chats.kommo import host
from tap_kommo_chats.run import verdicts
from tap_kommo_chats.state import checkpoint
from tests.support.account import DAY, HOUR, SECOND, WEEK, Account
from tests.support.marks import LONG
from tests.support.refusals import answers

if TYPE_CHECKING:
    from tap_kommo_chats.errors import TapError

OK = 200
NO_ANSWER = 0
REFUSALS = frozenset({400, 403, 404})
AS_BEFORE = None
CHANGES = st.sampled_from(
    (*[AS_BEFORE] * 6, *[OK] * 3, *sorted(REFUSALS), 204, 502, NO_ANSWER)
)


class Failures(RuleBasedStateMachine):
    """Conversations answer in whatever way, while messages come and time passes.

    Some are listed, so that each run asks for them, and the others found by events.
    Runs are cut short, too. What stops a run does so after a few conversations.
    """

    chats = tuple("abcd")
    listed = tuple("ab")

    def __init__(self) -> None:  # noqa: D107
        super().__init__()
        self.patches = contextlib.ExitStack()
        for module, name, value in (
            (checkpoint, "OFTEN_SECONDS", 0.0),
            (host, "LONGEST_WAIT", 0.0),
            (host, "ATTEMPTS", 2),
            (verdicts, "REFUSED_AT_MOST", 2),
            (verdicts, "IN_A_ROW_AT_MOST", 2),
            (verdicts, "FAILED_AT_MOST", 3),
            (verdicts, "WITNESSES_AT_MOST", 2),
        ):
            self.patches.enter_context(mock.patch.object(module, name, value))
        sandbox = self.patches.enter_context(Sandbox(ConversationStore()))
        self.account = Account(sandbox)
        self.modes = dict.fromkeys(self.chats, OK)
        self.state: dict[str, Any] = {}
        self.loaded: set[str] = set()
        # By conversation, when something happened: a message, or an answer.
        self.sent: dict[str, list[tuple[int, str]]] = defaultdict(list)
        self.answers: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for number, chat in enumerate(self.chats, start=1):
            self.account.talk(number, chat)

    def teardown(self) -> None:
        try:
            self.all_is_well_again()
        finally:
            self.patches.close()

    # What happens

    @rule(
        hours=st.sampled_from([1, 20, 4 * 24, 8 * 24]),
        arrivals=st.sets(st.sampled_from(chats)),
        changes=st.tuples(*[CHANGES] * len(chats)),
        part=st.just(1.0) | st.floats(0, 1),
    )
    def a_run_ends_or_is_cut_short(
        self,
        hours: int,
        arrivals: set[str],
        changes: tuple[int | None, ...],
        part: float,
    ) -> None:
        self.account.now += hours * HOUR
        for chat in sorted(arrivals):
            self.messages_arrive(chat, 1)
        for chat, change in zip(self.chats, changes, strict=True):
            if change is not AS_BEFORE:
                self.modes[chat] = change
        self.run(part)

    @rule(chat=st.sampled_from(chats), count=st.sampled_from([1, 60]))
    def messages_arrive(self, chat: str, count: int) -> None:
        for _ in range(count):
            name = self.account.message(chat)
            self.sent[chat].append((self.account.now, name))
        self.account.event(talk_id=self.chats.index(chat) + 1)

    # What holds

    @rule()
    def nobody_stops_the_others(self) -> None:
        for _ in self.chats:
            self.account.now += HOUR
            self.run()

        well = [chat for chat in self.chats if self.modes[chat] == OK]
        self.assert_loaded(well)

    @rule()
    def a_week_of_refusals_is_the_end_of_them(self) -> None:
        self.nobody_stops_the_others()
        # What was given up is not asked for, and so is no witness for the others.
        given_up = self.troubles("given_up")
        well = [c for c in self.chats if self.modes[c] == OK and c not in given_up]
        others = set(self.modes.values()) - {OK} - REFUSALS
        if others or not any(self.sent[chat] for chat in well):
            return

        for _ in range(8):
            self.account.now += DAY
            error = self.run()

        assert error is None

    @rule()
    def all_is_well_again(self) -> None:
        self.modes = dict.fromkeys(self.chats, OK)
        self.account.now += HOUR

        error = self.run()

        assert error is None
        self.assert_loaded(self.chats)

    @invariant()
    def what_was_given_up_was_only_ever_refused_for_a_week(self) -> None:
        for chat, given_up_ms in self.troubles("given_up").items():
            refused_ms = given_up_ms
            for at_ms, status in reversed(self.answers[chat]):
                if at_ms <= given_up_ms:
                    if status not in REFUSALS:
                        break
                    refused_ms = at_ms
            assert given_up_ms - refused_ms >= WEEK

    def troubles(self, kind: str) -> dict[str, int]:
        bookmarks = self.state.get("bookmarks", {}).get("chat_history", {})
        found: dict[str, int] = bookmarks.get("troubles", {}).get(kind, {})
        return found

    def assert_loaded(self, chats: tuple[str, ...] | list[str]) -> None:
        settled = {**self.troubles("given_up"), **self.troubles("gone")}
        for chat in chats:
            for at_ms, name in self.sent[chat]:
                is_settled = at_ms // SECOND < settled.get(chat, 0) // SECOND
                assert name in self.loaded or is_settled

    def run(self, part: float = 1.0) -> TapError | None:
        # An event of the second in which a run starts may be its next one's.
        self.account.now += SECOND
        sandbox = self.account.sandbox
        silent = [chat for chat in self.chats if self.modes[chat] == NO_ANSWER]
        sandbox.faults = Faults(reset_before=1.0, only=frozenset(silent))
        sandbox.answer = answers(
            {chat: mode for chat, mode in self.modes.items() if mode not in {OK, 0}}
        )
        sandbox.forget_requests()
        output, error = self.account.try_run(
            self.state, conversation_ids=list(self.listed)
        )
        lines = output.messages
        for line in lines[: round(part * len(lines))]:
            if line["type"] == "STATE":
                self.state = line["value"]
            elif line["type"] == "RECORD" and line["stream"] == "chat_history":
                self.loaded.add(line["record"]["message_id"])
        for seen in sandbox.requests:
            # What a run that was cut short left in the state may be any part of it.
            if seen.conversation_id and (part == 1.0 or seen.status in REFUSALS):
                answer = (self.account.now, seen.status)
                self.answers[seen.conversation_id].append(answer)
        return error


Failures.TestCase.settings = settings(
    max_examples=20, stateful_step_count=20, deadline=None
)
TestFailures = Failures.TestCase


@LONG
def test_the_same_more_often() -> None:
    more = settings(max_examples=60, stateful_step_count=20, deadline=None)
    run_state_machine_as_test(Failures, settings=more)
