"""Whatever happens to a search, to its file and to the shards, no message is missed."""

from __future__ import annotations

import contextlib
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from unittest import mock

from aiohttp import web
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from sandbox import OWN_ORIGIN, ConversationStore, Sandbox, Terms
from tap_kommo_chats.errors import TapError
from tap_kommo_chats.kommo import host
from tap_kommo_chats.state import checkpoint
from tap_kommo_chats.tap import TapKommoChats
from tests.support.account import DAY, HOUR, SECOND, WABA
from tests.support.marks import LONG
from tests.support.native import NativeAccount
from tests.support.tap import captured_output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox import SeenRequest

SEARCH = ("talks", "chat_events", "conversations", "leads")
MESSAGES = ("chat_history", "talk_messages")
READ = (*MESSAGES, "conversations", "runs")
ORIGINS = {"a": OWN_ORIGIN, "b": WABA, "c": WABA, "d": "telegram"}
CHATS = st.sampled_from(sorted(ORIGINS))
PARTS = st.one_of(st.just(1.0), st.floats(0, 1))
"""How much of a run's output was loaded before it was killed."""

MINUTE = 60 * SECOND


class Shards(RuleBasedStateMachine):
    """Messages come while one run searches, and shards read what it found.

    Runs are killed and fail, the file is lost or an older one put back, states are
    those of other shards, or older ones, and shards search by themselves in between.
    Once all ran to their ends, every message was loaded with its talk, and an hour in
    which nothing happened costs a shard the request for the account.
    """

    def __init__(self) -> None:  # noqa: D107
        super().__init__()
        self.stack = contextlib.ExitStack()
        sandbox = self.stack.enter_context(Sandbox(ConversationStore()))
        folder = self.stack.enter_context(TemporaryDirectory())
        for name, value in ((checkpoint, "OFTEN_SECONDS"), (host, "LONGEST_WAIT")):
            self.stack.enter_context(mock.patch.object(name, value, 0.0))
        self.account = NativeAccount(sandbox)
        self.file = Path(folder, "found.jsonl")
        self.copies: list[bytes] = []
        self.searched: list[Any] = [{}]
        self.states: dict[int, Any] = {}
        self.of = 2
        self.talks: dict[str, int] = {}
        self.expected: dict[str, int | None] = {}
        self.loaded: dict[str, int | None] = {}
        self.errors: list[TapError] = []

    def teardown(self) -> None:
        try:
            self.account.sandbox.answer = None
            self.all_run_to_their_ends()
            self.an_hour_without_news_costs_nothing()
        finally:
            self.stack.close()

    @initialize(whole_chat=st.booleans(), rows=st.sampled_from([3, 250]))
    def kommo_answers(
        self,
        whole_chat: bool,  # noqa: FBT001 (hypothesis names it)
        rows: int,
    ) -> None:
        self.account.crm.terms = Terms(whole_chat=whole_chat)
        self.account.crm.max_limit = rows

    @rule(hours=st.sampled_from([1, 30, 240]))
    def time_passes(self, hours: int) -> None:
        self.account.now += hours * HOUR

    @rule(chat=CHATS)
    def a_talk_begins(self, chat: str) -> None:
        self.account.now += 3 * MINUTE
        self.talks[chat] = max(self.talks.values(), default=0) + 1
        self.account.open_talk(self.talks[chat], chat, origin=ORIGINS[chat])

    @rule(chat=CHATS)
    def a_message_comes(self, chat: str) -> None:
        if chat not in self.talks:
            self.a_talk_begins(chat)
        self.account.now += 3 * MINUTE
        talk_id = self.talks[chat]
        if ORIGINS[chat] == OWN_ORIGIN:
            self.expected[self.account.message(chat)] = None
            self.account.event(talk_id=talk_id)
        else:
            self.expected[self.account.say(talk_id)] = talk_id

    @rule(chat=CHATS)
    def a_talk_closes(self, chat: str) -> None:
        if chat in self.talks:
            now_s = self.account.now // 1000
            self.account.crm.store.close_talk(self.talks[chat], now_s)

    @rule(at_most=st.sampled_from([0, 1, None]))
    def the_list_of_talks_ends(self, at_most: int | None) -> None:
        self.account.crm.store.talks.listed_at_most = at_most

    @rule(requests=st.integers(0, 8), status=st.sampled_from([402, 500]))
    def kommo_will_refuse_all(self, requests: int, status: int) -> None:
        left = iter(range(requests))
        self.account.sandbox.answer = lambda _: (
            web.Response(status=status) if next(left, None) is None else None
        )

    @rule(chat=CHATS)
    def kommo_will_refuse_a_chat(self, chat: str) -> None:
        path = f"/talks/{self.talks.get(chat)}/messages"

        def answer(request: SeenRequest) -> web.Response | None:
            is_it = request.conversation_id == chat or path in request.target
            return web.Response(status=404) if is_it else None

        self.account.sandbox.answer = answer

    @rule(part=PARTS)
    def a_search_runs(self, part: float) -> None:
        config = self.account.with_channel(found_talks_file=str(self.file))
        state = self.run(config, SEARCH, self.searched[-1], part)
        self.searched.append(state or self.searched[-1])
        if self.file.exists():
            self.copies.append(self.file.read_bytes())

    @rule(number=st.integers(0, 3), part=PARTS, searches=st.booleans())
    def a_shard_runs(
        self,
        number: int,
        part: float,
        searches: bool,  # noqa: FBT001 (hypothesis names it)
    ) -> None:
        number %= self.of
        config = self.account.with_channel(shard=f"{number + 1}/{self.of}")
        if not searches:
            config |= {"search_crm": False, "conversations_file": str(self.file)}
        state = self.run(config, READ, self.states.get(number), part)
        self.states[number] = state or self.states.get(number)

    @rule(chat=CHATS)
    def the_file_is_lost(self, chat: str) -> None:
        self.only_the_file_has_news_of(chat)
        self.file.unlink(missing_ok=True)

    @rule(chat=CHATS, data=st.data())
    def an_older_file_is_put_back(self, chat: str, data: st.DataObject) -> None:
        copies = list(self.copies)
        self.only_the_file_has_news_of(chat)
        if copies:
            self.file.write_bytes(data.draw(st.sampled_from(copies)))

    def only_the_file_has_news_of(self, chat: str) -> None:
        self.a_message_comes(chat)
        self.account.now += HOUR
        self.a_search_runs(1.0)

    @rule(data=st.data())
    def an_older_state_of_the_search_is_put_back(self, data: st.DataObject) -> None:
        self.searched.append(data.draw(st.sampled_from(self.searched)))

    @rule(of=st.integers(1, 4), other=st.integers(0, 3))
    def there_are_other_shards(self, of: int, other: int) -> None:
        self.states = {
            number: deepcopy(self.states.get((number + other) % self.of))
            for number in range(of)
        }
        self.of = of

    def all_run_to_their_ends(self) -> None:
        self.account.now += 3 * MINUTE
        self.errors.clear()
        self.a_search_runs(1.0)
        for number in range(self.of):
            self.a_shard_runs(number, 1.0, searches=False)
        assert self.errors == []
        assert self.loaded == self.expected

    def an_hour_without_news_costs_nothing(self) -> None:
        # The visits that follow a change, and those where a shard that searched before
        # takes a message for another talk's now.
        for _ in range(2):
            self.account.now += 40 * DAY
            self.all_run_to_their_ends()
        self.account.now += HOUR
        self.a_search_runs(1.0)
        before = len(self.account.sandbox.requests)
        for number in range(self.of):
            self.a_shard_runs(number, 1.0, searches=False)
        assert len(self.account.sandbox.requests) == before + self.of

    def run(
        self, config: dict[str, Any], streams: tuple[str, ...], state: Any, part: float
    ) -> Any:
        """Run, whatever becomes of it, and load what came until it was killed."""
        catalog = TapKommoChats(config=config).catalog_dict
        for entry in catalog["streams"]:
            selected = entry["tap_stream_id"] in streams
            entry["metadata"][-1]["metadata"]["selected"] = selected
        with self.account.clock(), captured_output() as collected, self.told():
            TapKommoChats(
                config=config, catalog=catalog, state=deepcopy(state)
            ).sync_all()
        self.account.sandbox.answer = None
        last = None
        lines = collected[0].messages
        for line in lines[: round(part * len(lines))]:
            if line["type"] == "STATE":
                last = line["value"]
            elif line["type"] == "RECORD" and line["stream"] in MESSAGES:
                record = line["record"]
                self.loaded[record["message_id"]] = record.get("talk_id")
        return last

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        try:
            yield
        except TapError as error:
            self.errors.append(error)


Shards.TestCase.settings = settings(
    max_examples=10, stateful_step_count=20, deadline=None
)
TestShards = Shards.TestCase


@LONG
def test_the_same_more_often() -> None:
    more = settings(max_examples=60, stateful_step_count=25, deadline=None)
    run_state_machine_as_test(Shards, settings=more)
