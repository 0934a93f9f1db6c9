"""What faults do to the history of a conversation."""

from __future__ import annotations

import pytest

from sandbox import ConversationStore, Faults, Sandbox, strike
from tests.sandbox.misbehaving import (
    connected,
    misbehaving,
    request_for,
    share,
    struck,
    torn,
)
from tests.sandbox.requesting import get, ids, row, store_with


@pytest.mark.parametrize("name", ["reset_within", "truncated", "cut_json"])
def test_where_there_is_no_message_an_empty_list_is_spoiled(name: str) -> None:
    with Sandbox(store_with(60), faults=share(name, 1)) as sandbox:
        with connected(sandbox) as connection:
            connection.sendall(request_for(sandbox, offset=60))
            received = b""
            while not received.endswith(b'\r\n\r\n{"messa'):
                received += connection.recv(65_536)
        assert received.startswith(b"HTTP/1.1 200 ")


def test_a_message_appears_at_the_top_before_the_page_is_taken() -> None:
    with misbehaving(store_with(2), seed=5, appear=1) as sandbox:
        expected = [strike(sandbox.faults, "chat", 0, n).appears for n in (0, 1)]
        assert ids(get(sandbox)) == [expected[0], "m1", "m0"]
        assert ids(get(sandbox)) == [expected[1], expected[0], "m1", "m0"]
        assert struck(sandbox) == [(200, "appear")] * 2


def test_a_message_appears_in_an_empty_but_in_no_unknown_conversation() -> None:
    store = ConversationStore()
    store.add_conversation("empty")
    with misbehaving(store, appear=1) as sandbox:
        assert get(sandbox, "empty").status_code == 200
        assert get(sandbox, "unknown").status_code == 204
        assert struck(sandbox) == [(200, "appear"), (204, None)]
    assert store.conversation_ids() == ["empty"]


def test_a_message_vanishes_before_the_page_is_taken() -> None:
    with misbehaving(store_with(3), vanish=1) as sandbox:
        assert [len(ids(get(sandbox))) for _ in range(2)] == [2, 1]
        assert [get(sandbox).status_code for _ in range(2)] == [204, 204]
        assert struck(sandbox) == [
            (200, "vanish"),
            (200, "vanish"),
            (204, "vanish"),
            (204, None),
        ]


def test_messages_vanish_from_everywhere() -> None:
    gone = set()
    for seed in range(40):
        with_rows = store_with(3)
        place = strike(Faults(seed=seed, vanish=1), "chat", 0, 0).vanishes
        assert place is not None
        with_rows.remove_at("chat", place)
        gone |= {"m0", "m1", "m2"} - set(with_rows.message_ids("chat"))
    assert gone == {"m0", "m1", "m2"}


def test_what_vanishes_was_there_before_what_appears() -> None:
    for seed in range(5):
        with misbehaving(store_with(1), seed=seed, appear=1, vanish=1) as sandbox:
            expected = strike(sandbox.faults, "chat", 0, 0).appears
            assert ids(get(sandbox)) == [expected]
            assert struck(sandbox) == [(200, "vanish")]


def test_messages_appear_and_vanish_whatever_the_answer() -> None:
    with misbehaving(store_with(0), appear=1, server_error=1) as sandbox:
        sandbox.store.add("chat", row(1))
        assert get(sandbox).status_code == 502
        assert struck(sandbox) == [(502, "server_error")]
        assert sandbox.store.size("chat") == 2


def test_only_requests_for_the_conversations_named_are_faulty() -> None:
    store = store_with(1)
    store.add("other", row(1))
    with misbehaving(
        store,
        html=1,
        clock_skew=10_000,
        redirect_to="/",
        oversized=10_000,
        requests_per_second=1,
        only=frozenset({"other"}),
    ) as sandbox:
        assert [len(get(sandbox).content) < 10_000 for _ in range(3)] == [True] * 3
        torn(sandbox, chat="other", Connection="close")
        assert struck(sandbox) == [(200, None)] * 3 + [(302, "redirect_to")]


def test_before_page_sees_a_page_only_if_one_is_taken() -> None:
    pages: list[object] = []
    for name, taken in (("reset_before", 0), ("html", 0), ("truncated", 1)):
        with Sandbox(store_with(1), faults=share(name, 1)) as sandbox:
            sandbox.chats.before_page = pages.append
            torn(sandbox, Connection="close")
        assert len(pages) == taken
