"""Every message that an event told of is loaded, whatever happens in between."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from unittest import mock

from aiohttp import web
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sandbox import ConversationStore, Refusal, Sandbox
from tap_kommo_chats.errors import TapError
from tap_kommo_chats.state import checkpoint
from tests.support.account import HOUR, SECOND, Account
from tests.support.marks import LONG
from tests.support.tap import Output, captured_output

if TYPE_CHECKING:
    from sandbox import CrmRequest, SeenRequest


HOURS = st.sampled_from([1, 5, 30, 24 * 100])


class Search(RuleBasedStateMachine):
    """Messages arrive and events tell of them, in whatever way, while runs happen.

    Some runs fail, at the CRM or at a conversation, some are cut short, and some read
    no messages. After a run to the end, every message that an event told of is loaded,
    and so is every closing of a talk. No row of a conversation knows less than the one
    it replaces.
    """

    chats = ("a", "b", "c", "d", "e")

    def __init__(self) -> None:  # noqa: D107
        super().__init__()
        sandbox = Sandbox(ConversationStore())
        sandbox.__enter__()
        self.account = Account(sandbox)
        # So that pages end in the middle of a second.
        self.account.crm.max_limit = 3
        self.loaded: set[str] = set()
        self.told: set[str] = set()
        self.state: dict[str, Any] = {}
        self.talks: dict[str, list[int]] = {}
        self.created = 0
        self.untold: list[tuple[int, str, str]] = []
        self.closed: set[int] = set()
        self.rows: dict[str, dict[Any, dict[str, Any]]] = {
            "talks": {},
            "conversations": {},
        }
        self.often = mock.patch.object(checkpoint, "OFTEN_SECONDS", 0.0)
        self.often.start()

    def teardown(self) -> None:
        try:
            self.late_events_show_up()
            self.run_to_the_end()
        finally:
            self.often.stop()
            self.account.sandbox.__exit__(None, None, None)

    def contact(self, chat: str) -> int:
        return 100 + self.chats.index(chat)

    @rule(hours=HOURS)
    def time_passes(self, hours: int) -> None:
        if hours > 5:
            self.late_events_show_up()
        self.account.now += hours * HOUR

    @rule(chat=st.sampled_from(chats), told=st.booleans())
    def a_talk_begins(self, chat: str, told: bool) -> None:  # noqa: FBT001 (hypothesis names it)
        self.created += 1
        self.account.talk(self.created, chat, contact_id=self.contact(chat))
        self.talks.setdefault(chat, []).append(self.created)
        if told:
            self.account.event(type="talk_created", talk_id=self.created)

    @precondition(lambda self: self.talks)
    @rule(
        data=st.data(),
        count=st.sampled_from([1, 2, 60]),
        late_ms=st.sampled_from([0, HOUR, 15 * HOUR]),
        names_talk=st.booleans(),
    )
    def messages_arrive(
        self,
        data: st.DataObject,
        count: int,
        late_ms: int,
        names_talk: bool,  # noqa: FBT001 (hypothesis names it)
    ) -> None:
        chat = data.draw(st.sampled_from(sorted(self.talks)))
        for _ in range(count):
            self.told.add(self.account.message(chat, late_ms))
        talk_id = data.draw(st.sampled_from(self.talks[chat])) if names_talk else None
        self.account.event(talk_id=talk_id, contact_id=self.contact(chat))

    @precondition(lambda self: self.talks)
    @rule(data=st.data())
    def a_message_arrives_whose_event_is_late(self, data: st.DataObject) -> None:
        chat = data.draw(st.sampled_from(sorted(self.talks)))
        name = self.account.message(chat)
        self.untold.append((self.account.now, chat, name))

    @rule()
    def late_events_show_up(self) -> None:
        for at_ms, chat, name in self.untold:
            self.account.crm.store.events.add(
                at_ms // 1000, talk_id=self.talks[chat][-1], contact_id=None
            )
            self.told.add(name)
        self.untold.clear()

    @precondition(lambda self: any(len(ids) > 1 for ids in self.talks.values()))
    @rule(data=st.data())
    def a_talk_goes(self, data: st.DataObject) -> None:
        several = sorted(chat for chat, ids in self.talks.items() if len(ids) > 1)
        chat = data.draw(st.sampled_from(several))
        self.account.crm.store.talks.remove(self.talks[chat].pop(0))

    @precondition(lambda self: self.talks)
    @rule(data=st.data())
    def a_talk_closes(self, data: st.DataObject) -> None:
        chat = data.draw(st.sampled_from(sorted(self.talks)))
        talk_id = data.draw(st.sampled_from(self.talks[chat]))
        store, now_s = self.account.crm.store, self.account.now // 1000
        store.talks.update(talk_id, is_in_work=False, updated_at=now_s)
        self.account.event(type="talk_closed", talk_id=talk_id)
        self.closed.add(talk_id)

    @rule(at_most=st.sampled_from([0, 1, 3, None]))
    def the_list_of_talks_ends(self, at_most: int | None) -> None:
        self.account.crm.store.talks.listed_at_most = at_most

    @rule()
    def a_run_reads_no_messages(self) -> None:
        self.load(self.output(["conversations", "talks"]).messages)

    @precondition(lambda self: self.talks)
    @rule(
        data=st.data(),
        kind=st.sampled_from(
            [
                *("incoming_chat_message", "outgoing_chat_message"),
                *("talk_created", "talk_closed"),
            ]
        ),
        streams=st.sampled_from([None, ["talks"]]),
        hours=HOURS,
    )
    def the_crm_refuses_a_type_of_events(
        self, data: st.DataObject, kind: str, streams: list[str] | None, hours: int
    ) -> None:
        self.something_happens_after_a_run(data, hours)
        self.account.sandbox.answer = lambda request: (
            web.json_response({"title": "Bad Request"}, status=400)
            if f"={kind}&" in request.target
            else None
        )
        output = self.output(streams)
        self.account.sandbox.answer = None
        self.load(output.messages)
        if kind == "talk_closed":
            # The run goes on without, and nobody tells of these again.
            self.closed.clear()

    @precondition(lambda self: self.talks)
    @rule(data=st.data(), page=st.integers(1, 3), hours=HOURS)
    def events_go_round(self, data: st.DataObject, page: int, hours: int) -> None:
        self.something_happens_after_a_run(data, hours)

        def leads_back(request: SeenRequest) -> web.Response | None:
            if request.target.startswith("/api/v4/events") and (
                page == 1 or f"page={page}" in request.target
            ):
                link = {"next": {"href": request.target}}
                return web.json_response({"_links": link})
            return None

        self.account.sandbox.answer = leads_back
        self.load(self.output().messages)
        self.account.sandbox.answer = None

    def something_happens_after_a_run(self, data: st.DataObject, hours: int) -> None:
        self.run_to_the_end()
        self.messages_arrive(data, count=1, late_ms=0, names_talk=True)
        self.a_talk_closes(data)
        self.time_passes(hours)

    @rule(part=st.floats(0, 1))
    def a_run_is_cut_short(self, part: float) -> None:
        lines = self.output().messages
        self.load(lines[: round(part * len(lines))])

    @rule(requests=st.integers(0, 6))
    def a_run_fails_at_the_crm(self, requests: int) -> None:
        left = iter(range(requests))

        def breaks_off(_asked: CrmRequest) -> None:
            if next(left, None) is None:
                self.account.crm.problem = Refusal(402, "")

        self.account.crm.before_page = breaks_off
        self.load(self.output().messages)
        self.account.crm.before_page = None
        self.account.crm.problem = None

    @rule(chat=st.sampled_from(chats))
    def a_run_fails_at_a_conversation(self, chat: str) -> None:
        def not_found(request: SeenRequest) -> web.Response | None:
            broken = request.conversation_id == chat
            return web.Response(status=404) if broken else None

        self.account.sandbox.answer = not_found
        self.load(self.output().messages)
        self.account.sandbox.answer = None

    @rule(arrives=st.sampled_from(chats))
    def a_message_arrives_during_a_run(self, arrives: str) -> None:
        def change(_request: object) -> None:
            self.account.sandbox.chats.before_page = None
            if arrives in self.talks:
                name = self.account.message(arrives)
                self.account.event(talk_id=self.talks[arrives][-1])
                self.told.add(name)

        self.account.sandbox.chats.before_page = change
        self.load(self.output().messages)
        self.account.sandbox.chats.before_page = None

    @rule()
    def run_to_the_end(self) -> None:
        # An event of the second in which a run starts may be its next one's.
        self.account.now += SECOND
        self.load(self.output().messages)

        assert self.told <= self.loaded
        there = {talk["talk_id"] for talk in self.account.crm.store.talks.all()}
        talks = self.rows["talks"]
        assert all(talks[id_]["status"] == "closed" for id_ in self.closed & there)

    def output(self, streams: list[str] | None = None) -> Output:
        with (
            self.account.clock(),
            captured_output() as collected,
            contextlib.suppress(TapError),
        ):
            self.account.tap(streams, self.state).sync_all()
        return collected[0]

    def load(self, messages: list[dict[str, Any]]) -> None:
        for line in messages:
            if line["type"] == "STATE":
                self.state = line["value"]
            elif line["type"] == "RECORD" and line["stream"] == "chat_history":
                self.loaded.add(line["record"]["message_id"])
            elif line["type"] == "RECORD" and line["stream"] in self.rows:
                self.upsert(line["stream"], line["record"])

    def upsert(self, stream: str, row: dict[str, Any]) -> None:
        key = row["talk_id"] if stream == "talks" else row["conversation_id"]
        before = self.rows[stream].get(key, {})
        if stream == "conversations":
            for name in ("last_activity_at", "newest_message_at"):
                assert before.get(name) is None or row[name] is not None
        self.rows[stream][key] = row


Search.TestCase.settings = settings(
    max_examples=20, stateful_step_count=25, deadline=None
)
TestSearch = Search.TestCase


@LONG
def test_the_same_more_often() -> None:
    more = settings(max_examples=60, stateful_step_count=25, deadline=None)
    run_state_machine_as_test(Search, settings=more)
