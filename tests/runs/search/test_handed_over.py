"""One search for many runs: it keeps the talks that it found, and they read those."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
from collections import Counter
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import ACCOUNT_ID, CRM_ROOT, OWN_ORIGIN, ConversationStore, Sandbox, Terms
from tap_kommo_chats.errors import IncompleteRunError, RunError
from tap_kommo_chats.tap import TapKommoChats
from tap_kommo_chats.times import format_instant
from tests.support.account import DAY, HOUR, SECOND, START, WABA
from tests.support.native import NativeAccount, said
from tests.support.tap import captured_output

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sandbox import CrmRequest
    from tests.support.tap import Output

READ = ("chat_history", "talk_messages", "conversations", "runs")
MARK = '{"searched": {}, "account_id": ACCOUNT}\n'
CHATS = ("c0", "c1", "c2")
"""The first is of the channel of one's own."""


class Shared(NativeAccount):
    """An account that is searched once for two shards."""

    def __init__(self, sandbox: Sandbox, file: Path) -> None:  # noqa: D107
        super().__init__(sandbox)
        self.file = file
        self.states: dict[str, Any] = {}
        self.written: dict[str, list[Output]] = {}

    def search(self, **more: object) -> Output:
        """Search, as a run that reads nothing."""
        config = self.config(native_channels=None, found_talks_file=str(self.file))
        output = self.run_with({**config, **more}, self.states.get("search"))
        self.states["search"] = output.state
        return output

    def reading(self, shard: str, **more: object) -> dict[str, Any]:
        config = self.with_channel(
            search_crm=False, conversations_file=str(self.file), shard=shard
        )
        return {**config, **more}

    def read(self, shard: str = "1/1", **more: object) -> Output:
        """Read a part of what was found, and nothing that a search writes."""
        output = self.run_of(self.reading(shard, **more), READ, self.states.get(shard))
        self.states[shard] = output.state
        self.written.setdefault(shard, []).append(output)
        return output

    def run_of(
        self, config: dict[str, Any], streams: Sequence[str], state: Any
    ) -> Output:
        """Run with some of the streams selected."""
        catalog = TapKommoChats(config=config).catalog_dict
        for entry in catalog["streams"]:
            selected = entry["tap_stream_id"] in streams
            entry["metadata"][-1]["metadata"]["selected"] = selected
        with self.clock(), captured_output() as collected:
            TapKommoChats(
                config=config, catalog=catalog, state=deepcopy(state)
            ).sync_all()
        return collected[0]

    def kept(self) -> dict[int, dict[str, Any]]:
        """What the file has of each talk."""
        mark, *lines, end = self.file.read_text("utf-8").splitlines()
        assert mark == end
        entries = [json.loads(line) for line in lines]
        assert len(entries) == len({entry["talk_id"] for entry in entries})
        return {entry["talk_id"]: entry for entry in entries}


@pytest.fixture
def account(sandbox: Sandbox, tmp_path: Path) -> Shared:
    return Shared(sandbox, tmp_path / "found.jsonl")


def all_of(account: Shared) -> list[Output]:
    return [output for outputs in account.written.values() for output in outputs]


def native_of(*outputs: Output) -> Counter[str]:
    return Counter(name for output in outputs for name in said(output))


def own_of(*outputs: Output) -> Counter[str]:
    return Counter(row["message_id"] for output in outputs for row in output.records)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["say", "say", "open", "close", "search", "read", "lose"]),
        st.integers(0, 2),
    ),
    max_size=16,
)


@settings(max_examples=25, deadline=None)
@given(STEPS, st.booleans())
def test_in_whatever_order_all_messages_are_written_once(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[str, int]],
    whole_chat: bool,  # noqa: FBT001 (drawn)
) -> None:
    with Sandbox(ConversationStore()) as sandbox:
        file = tmp_path_factory.mktemp("found") / "found.jsonl"
        account = Shared(sandbox, file)
        account.crm.terms = Terms(whole_chat=whole_chat)
        talks: dict[int, int] = {}
        own: set[str] = set()
        native: set[str] = set()
        for step, chat in [*steps, ("search", 0), ("read", 0), ("read", 1)]:
            # More than a look-back apart from what came before, and from a run.
            account.now += 2 * DAY
            if step == "search":
                account.search()
            elif step == "lose":
                file.unlink(missing_ok=True)
            elif step == "read":
                if file.exists():
                    account.read(f"{chat % 2 + 1}/2")
            elif step == "open" or chat not in talks:
                talks[chat] = max(talks.values(), default=0) + 1
                origin = WABA if chat else OWN_ORIGIN
                account.open_talk(talks[chat], CHATS[chat], origin=origin)
            elif step == "close":
                account.crm.store.close_talk(talks[chat], account.now // 1000)
            elif chat:
                native.add(account.say(talks[chat]))
            else:
                own.add(account.message(CHATS[chat]))
                account.event(talk_id=talks[chat])

    assert own_of(*all_of(account)) == Counter(own)
    assert set(native_of(*all_of(account))) == native
    for outputs in account.written.values():
        assert set(native_of(*outputs).values()) <= {1}
    # Where talks give whole chats, those of two shards give the same row.
    rows = [r for o in all_of(account) for r in o.records_of("talk_messages")]
    assert len({str(row) for row in rows}) == len(native)


def test_shards_of_a_channel_of_ones_own_ask_the_crm_for_nothing(
    account: Shared,
) -> None:
    account.open_talk(1, "a", origin=OWN_ORIGIN)
    account.message("a")
    account.event(talk_id=1)
    account.now += SECOND
    account.search()
    searched = len(account.crm_requests())

    for shard in ("1/2", "2/2"):
        account.read(shard, native_channels=None)

    assert own_of(*all_of(account)) == Counter(["m1"])
    assert len(account.crm_requests()) == searched


def test_shards_of_native_channels_ask_for_the_account_and_the_messages(
    account: Shared,
) -> None:
    account.open_talk(1, "a")
    new = account.say(1)
    account.now += SECOND
    account.search()
    searched = len(account.crm_requests())

    for shard in ("1/2", "2/2"):
        account.read(shard)

    assert native_of(*all_of(account)) == Counter([new])
    asked = [target.partition("?")[0] for target in account.crm_requests()[searched:]]
    assert Counter(asked) == {
        f"{CRM_ROOT}/account": 2,
        f"{CRM_ROOT}/talks/1/messages": 1,
    }


def test_what_was_read_is_not_asked_for_again(account: Shared) -> None:
    account.open_talk(1, "a")
    account.say(1)
    account.open_talk(2, "b", origin=OWN_ORIGIN)
    account.message("b")
    account.event(talk_id=2)
    account.now += 3 * DAY
    account.search()
    account.read()
    account.now += 3 * DAY
    account.search()
    # The visits that follow a change.
    account.read()
    native, own = len(account.talks_asked()), len(account.asked())
    account.now += HOUR
    account.search()

    account.read()

    assert (len(account.talks_asked()), len(account.asked())) == (native, own)


def test_a_search_keeps_what_earlier_ones_found(account: Shared) -> None:
    account.open_talk(1, "a")
    account.say(1)
    account.now += SECOND
    account.search()
    before = account.kept()[1]
    account.now += 3 * DAY
    account.open_talk(2, "b")
    account.say(2)
    account.now += SECOND

    account.search()

    assert account.kept().keys() == {1, 2}
    assert account.kept()[1] == before
    assert account.kept()[2] == {
        "conversation_id": "b",
        "talk_id": 2,
        "origin": WABA,
        "created_at": (START + 3 * DAY + SECOND) // 1000,
        "updated_at": START + 3 * DAY + SECOND,
        "account_id": ACCOUNT_ID,
    }


@pytest.mark.parametrize("streams", [(), ("runs",), ("accounts", "users")])
def test_a_search_for_others_needs_no_stream_that_lives_off_it(
    account: Shared, streams: tuple[str, ...]
) -> None:
    account.open_talk(1, "a")
    account.now += SECOND
    config = account.config(native_channels=None, found_talks_file=str(account.file))

    account.run_of(config, streams, None)

    assert account.kept().keys() == {1}


def test_a_closing_is_no_activity(account: Shared) -> None:
    account.open_talk(1, "a")
    account.say(1)
    account.now += SECOND
    account.search()
    before = account.kept()
    account.now += DAY
    account.crm.store.close_talk(1, account.now // 1000)
    account.now += SECOND

    account.search()

    assert account.kept() == before


def test_a_packed_file_is_packed(account: Shared, tmp_path: Path) -> None:
    account.file = tmp_path / "found.jsonl.gz"
    account.open_talk(1, "a")
    new = account.say(1)
    account.now += SECOND

    account.search()
    account.search()
    account.read()

    assert len(gzip.decompress(account.file.read_bytes()).splitlines()) == 3
    assert native_of(*all_of(account)) == Counter([new])


def test_only_its_owner_reads_the_file(account: Shared) -> None:
    account.search()

    assert account.file.stat().st_mode & 0o077 == 0


def test_what_cannot_be_kept_leaves_the_file_and_is_kept_by_the_next_search(
    account: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.open_talk(1, "a")
    account.now += SECOND
    account.search()
    before = account.file.read_bytes()
    account.now += 3 * DAY
    account.open_talk(2, "b")
    account.now += SECOND
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", _no_room)
        config = account.config(
            native_channels=None, found_talks_file=str(account.file)
        )
        output, error = account.try_config(config, account.states["search"])
    account.states["search"] = output.state
    left = account.file.read_bytes()
    account.now += 3 * DAY

    account.search()

    assert isinstance(error, IncompleteRunError)
    assert left == before
    assert account.kept().keys() == {1, 2}
    # What the run read was written all the same.
    assert [row["talk_id"] for row in output.records_of("talks")] == [2]


def _no_room(_number: int) -> None:
    raise OSError(28, "No space left on device")


def test_a_lost_file_is_made_anew_and_no_other_row_is_written_again(
    account: Shared,
) -> None:
    account.open_talk(1, "a")
    account.say(1)
    account.now += SECOND
    account.search()
    account.now += 3 * DAY
    account.search()
    account.file.unlink()

    output = account.search()

    assert account.kept().keys() == {1}
    assert output.records_of("chat_events") == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        "no JSON",
        "[]",
        '{"conversation_id": "a"}\n',
        '{"searched": 1}\n',
        '{"searched": {"other": 1}, "account_id": ACCOUNT}\n',
        '{"searched": {}, "account_id": 1}\n',
        MARK,
        MARK + '{"conversation_id": "a"}\n' + MARK,
        MARK + '{"talk_id": 1, "updated_at": "x"}\n' + MARK,
    ],
)
def test_a_file_that_no_search_of_the_account_wrote_is_left_as_it_is(
    account: Shared, content: str
) -> None:
    content = content.replace("ACCOUNT", str(ACCOUNT_ID))
    account.file.write_text(content, "utf-8")
    account.open_talk(1, "a")
    config = account.config(native_channels=None, found_talks_file=str(account.file))

    _, error = account.try_config(config, None)

    assert isinstance(error, RunError | IncompleteRunError)
    assert account.file.read_text("utf-8") == content


@pytest.mark.parametrize("lines", range(1, 5))
def test_a_file_that_was_cut_off_is_left_as_it_is(account: Shared, lines: int) -> None:
    for talk_id in (1, 2, 3):
        account.open_talk(talk_id, f"c{talk_id}")
    account.now += SECOND
    account.search()
    whole = account.file.read_text("utf-8").splitlines(keepends=True)
    content = "".join(whole[:lines])
    account.file.write_text(content, "utf-8")
    config = account.config(native_channels=None, found_talks_file=str(account.file))

    _, error = account.try_config(config, account.states["search"])

    assert isinstance(error, IncompleteRunError)
    assert account.file.read_text("utf-8") == content


def test_a_file_that_is_replaced_during_a_search_is_left_as_it_is(
    account: Shared,
) -> None:
    account.open_talk(1, "a")
    account.now += SECOND
    account.search()
    older = account.file.read_text("utf-8")
    account.now += DAY
    account.open_talk(2, "b")
    account.now += SECOND
    account.search()
    config = account.config(native_channels=None, found_talks_file=str(account.file))

    def put_back(asked: CrmRequest) -> None:
        if "/events" in asked.target:
            account.file.write_text(older, "utf-8")

    account.crm.before_page = put_back

    _, error = account.try_config(config, account.states["search"])

    assert isinstance(error, IncompleteRunError)
    assert account.file.read_text("utf-8") == older


def test_a_folder_that_is_not_there_is_told_before_the_search(
    account: Shared, tmp_path: Path
) -> None:
    account.file = tmp_path / "nowhere" / "found.jsonl"
    config = account.config(native_channels=None, found_talks_file=str(account.file))

    _, error = account.try_config(config, None)

    assert isinstance(error, RunError)
    assert not account.crm_requests(f"{CRM_ROOT}/events")


def test_a_run_that_does_not_search_leaves_the_marks_of_searches(
    account: Shared,
) -> None:
    # Made before all that follows.
    account.file.write_text("", "utf-8")
    account.open_talk(1, "a")
    account.now += SECOND
    account.read(search_crm=True)
    account.open_talk(2, "b")
    late = account.say(2)
    # By more than what searches overlap.
    account.now += 3 * DAY
    account.read()
    account.now += 3 * DAY

    searched = account.read(search_crm=True)

    assert said(searched) == [late]


def test_what_a_search_once_watched_is_asked_for_where_a_list_tells_no_time(
    account: Shared, list_in: Callable[..., None]
) -> None:
    account.file.write_text("", "utf-8")
    account.open_talk(1, "a")
    account.say(1)
    account.open_talk(2, "b", origin=OWN_ORIGIN)
    account.message("b")
    account.event(talk_id=2)
    account.now += SECOND
    account.read(search_crm=True)
    # Long after the last visit.
    account.now += 9 * DAY
    account.read(search_crm=True)
    account.now += DAY
    native, own = account.say(1), account.message("b")
    list_in(
        {"conversation_id": "a", "talk_id": 1, "origin": WABA},
        {"conversation_id": "b", "talk_id": 2, "origin": OWN_ORIGIN},
    )
    account.now += SECOND

    output = account.read()

    assert said(output) == [native]
    assert own_of(output) == Counter([own])


@pytest.mark.parametrize("is_searched", [True, False])
def test_streams_of_the_search_are_offered_where_there_is_one(
    account: Shared,
    is_searched: bool,  # noqa: FBT001 (a parameter)
) -> None:
    config = account.reading("1/1", search_crm=is_searched)

    catalog = TapKommoChats(config=config).catalog_dict
    streams = {entry["tap_stream_id"] for entry in catalog["streams"]}

    of_a_search = {"talks", "leads", "chat_events"}
    assert streams & of_a_search == (of_a_search if is_searched else set())
    assert {"chat_history", "talk_messages", "conversations", "runs"} <= streams


@pytest.fixture
def list_in(account: Shared) -> Callable[..., None]:
    def write(*entries: dict[str, Any]) -> None:
        lines = "".join(json.dumps(entry) + "\n" for entry in entries)
        account.file.write_text(lines, "utf-8")

    return write


def test_talks_of_channels_that_are_not_looked_at_are_passed_over(
    account: Shared, list_in: Callable[..., None]
) -> None:
    account.open_talk(1, "a")
    new = account.say(1)
    account.open_talk(2, "b", origin="telegram")
    account.say(2)
    list_in(
        {"conversation_id": "a", "talk_id": 1, "origin": WABA},
        {"conversation_id": "b", "talk_id": 2, "origin": "telegram"},
        {"conversation_id": "c", "talk_id": 3, "origin": WABA, "account_id": 1},
    )
    account.now += SECOND

    output = account.read(native_channels=[WABA])

    assert said(output) == [new]
    assert account.talks_asked() == [1]
    assert account.asked() == []


@pytest.mark.parametrize(
    ("searched", "is_fit"), [(True, True), ([WABA], True), (["telegram"], False)]
)
def test_a_search_of_fewer_channels_is_reported(
    account: Shared,
    searched: object,
    is_fit: bool,  # noqa: FBT001 (a parameter)
) -> None:
    account.open_talk(1, "a")
    account.open_talk(2, "b", origin="telegram")
    account.now += SECOND
    account.search(native_channels=searched)
    config = account.reading("1/1", native_channels=[WABA])
    del config["crm_origins"], config["scope_id"], config["channel_secret"]

    output, error = account.try_config(config, None)

    assert isinstance(error, IncompleteRunError) is not is_fit
    assert [row["sources"] for row in output.records_of("conversations")] == [["crm"]]


def test_a_talk_whose_number_cannot_be_read_is_reported_and_not_taken_for_one_s_own(
    account: Shared, list_in: Callable[..., None]
) -> None:
    list_in({"conversation_id": "a", "talk_id": "x", "origin": WABA})

    _, error = account.try_config(account.reading("1/1"), None)

    assert isinstance(error, IncompleteRunError)
    assert account.asked() == []


def test_without_their_beginnings_talks_keep_the_messages_that_they_give(
    account: Shared, list_in: Callable[..., None]
) -> None:
    expected = {}
    for talk_id in (1, 2):
        account.open_talk(talk_id, "a")
        expected[account.say(talk_id)] = talk_id
        account.now += DAY
    list_in(*({"conversation_id": "a", "talk_id": n, "origin": WABA} for n in (1, 2)))

    rows = account.read().records_of("talk_messages")

    assert {row["message_id"]: row["talk_id"] for row in rows} == expected


def test_a_talk_that_began_on_some_day_is_read_from_its_beginning(
    account: Shared, list_in: Callable[..., None]
) -> None:
    entries = []
    for talk_id in (1, 2):
        account.now += 2 * DAY
        account.open_talk(talk_id, "a")
        new = account.say(talk_id)
        account.now += SECOND
        day = format_instant(account.now)[:10]
        entries.append({"talk_id": talk_id, "origin": WABA, "created_at": day})
        list_in(*({"conversation_id": "a", **entry} for entry in entries))

        output = account.read(lookback_days=0)

        assert new in said(output)


def test_lists_without_a_talk_of_a_channel_that_is_looked_at_are_reported(
    account: Shared, list_in: Callable[..., None]
) -> None:
    list_in({"conversation_id": "a", "talk_id": 1, "origin": "tele\x1bgram"})
    config = account.reading("1/1", native_channels=[WABA])

    _, error = account.try_config(config, None)

    assert isinstance(error, IncompleteRunError)
    assert (account.asked(), account.talks_asked()) == ([], [])


def test_beside_a_search_a_list_may_have_talks_too(
    account: Shared, list_in: Callable[..., None]
) -> None:
    account.open_talk(1, "a")
    new = account.say(1)
    name = account.message("b")
    list_in(
        {"conversation_id": "a", "talk_id": 1, "origin": WABA},
        {"conversation_id": "b", "talk_id": 2, "origin": OWN_ORIGIN},
    )
    account.now += SECOND

    output = account.run_with(account.reading("1/1", search_crm=True))

    assert (said(output), own_of(output)) == ([new], Counter([name]))
    assert account.asked() == ["b"]
    # Of the search, which knows more of it than the list.
    assert [row["status"] for row in output.records_of("talks")] == ["in_work"]


def test_what_is_owed_is_asked_for_though_no_list_names_it(
    account: Shared, list_in: Callable[..., None]
) -> None:
    account.open_talk(1, "a", origin=OWN_ORIGIN)
    name = account.message("a")
    account.event(talk_id=1)
    account.now += SECOND
    account.sandbox.answer = lambda request: (
        web.Response(status=404) if request.conversation_id == "a" else None
    )
    failed, _ = account.try_config(account.with_channel(), None)
    account.sandbox.answer = None
    account.now += DAY
    list_in()

    output = account.run_with(account.reading("1/1"), failed.state)

    assert own_of(output) == Counter([name])


def test_an_entry_without_a_talk_is_a_conversation_of_the_own_channel(
    account: Shared, list_in: Callable[..., None]
) -> None:
    name = account.message("a")
    list_in({"conversation_id": "a"})

    assert own_of(account.read()) == Counter([name])


def test_an_entry_without_a_talk_is_reported_where_there_is_no_own_channel(
    account: Shared, list_in: Callable[..., None]
) -> None:
    list_in({"conversation_id": "a"})
    config = account.config(search_crm=False, conversations_file=str(account.file))

    _, error = account.try_config(config, None)

    assert isinstance(error, IncompleteRunError)
    assert account.asked() == []


def test_a_query_is_asked_for_the_account_alone(
    account: Shared, tmp_path: Path
) -> None:
    account.open_talk(1, "a")
    new = account.say(1)
    account.now += SECOND
    with sqlite3.connect(tmp_path / "w.db") as database:
        database.execute("CREATE TABLE talks (chat_id, talk_id, origin, account_id)")
        database.executemany(
            "INSERT INTO talks VALUES (?, ?, ?, ?)",
            [("a", 1, WABA, ACCOUNT_ID), ("z", 9, WABA, 1)],
        )
    database.close()

    output = account.run_with(
        account.config(
            search_crm=False,
            conversations_sql_url=f"sqlite:///{tmp_path}/w.db",
            conversations_sql_query="SELECT chat_id AS conversation_id, talk_id, origin"
            " FROM talks WHERE account_id = :account_id",
        )
    )

    assert said(output) == [new]
    assert account.talks_asked() == [1]


def test_a_glance_leaves_the_file_alone(account: Shared) -> None:
    account.open_talk(1, "a")
    config = account.config(native_channels=None, found_talks_file=str(account.file))

    with account.clock(), captured_output():
        TapKommoChats(config=config).run_connection_test()

    assert not account.file.exists()
