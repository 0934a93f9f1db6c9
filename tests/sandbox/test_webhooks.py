"""The file an integration keeps of chat webhooks."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import ConversationStore, Faults, Sandbox, WebhooksFile
from tests.sandbox.requesting import control, get, row, store_with

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "webhooks.jsonl"


def lines(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8")
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def line(chat: str, number: int) -> dict[str, Any]:
    return {"conversation_id": chat, "updated_at": 1_700_000_000 + number}


def test_it_begins_with_every_conversation_that_has_messages(path: Path) -> None:
    store = store_with(3, "vendas são paulo+1")
    store.add("other", row(9))
    store.add_conversation("empty")
    store.put_raw("raw", [None])
    with WebhooksFile(store, path):
        assert lines(path) == [line("vendas são paulo+1", 2), line("other", 9)]


def test_each_message_that_is_added_is_a_line_at_once(path: Path) -> None:
    store = store_with(1)
    with WebhooksFile(store, path), Sandbox(store) as sandbox:
        store.add("chat", row(5))
        assert lines(path)[1:] == [line("chat", 5)]
        control(sandbox, "POST", "/conversations/new/messages", row(7))
        assert lines(path)[2:] == [line("new", 7)]


def test_a_message_that_comes_late_is_told_with_the_newest_time(path: Path) -> None:
    store = store_with(6)
    with WebhooksFile(store, path):
        store.add("chat", row(-60))
        assert lines(path) == [line("chat", 5)] * 2


def test_a_message_that_appears_by_a_fault_is_told(path: Path) -> None:
    store = store_with(1)
    with WebhooksFile(store, path), Sandbox(store, faults=Faults(appear=1)) as sandbox:
        get(sandbox)
        assert lines(path) == [line("chat", 0), line("chat", 1)]


def test_edits_and_removals_are_not_told(path: Path) -> None:
    store = store_with(2)
    with WebhooksFile(store, path):
        store.edit("chat", "m0", text="new")
        store.remove("chat", "m1")
        assert len(lines(path)) == 1


def test_what_an_earlier_run_wrote_stays(path: Path) -> None:
    for _ in range(2):
        with WebhooksFile(store_with(1), path):
            pass
    assert lines(path) == [line("chat", 0)] * 2


def test_nothing_is_told_once_it_has_stopped(path: Path) -> None:
    store = store_with(1)
    with WebhooksFile(store, path):
        pass
    store.add("chat", row(5))
    assert len(lines(path)) == 1


def test_the_last_line_of_a_chat_tells_its_newest_message(path: Path) -> None:
    store = ConversationStore()
    with WebhooksFile(store, path), ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: store.add("chat", row(number)), range(200)))
    assert len(lines(path)) == 200
    times = [each["updated_at"] for each in lines(path)]
    assert times == sorted(times)
    assert times[-1] == store.newest_at("chat")


def test_a_file_that_cannot_be_written_is_an_error_at_the_start(tmp_path: Path) -> None:
    with (
        pytest.raises(OSError, match="directory"),
        WebhooksFile(ConversationStore(), tmp_path),
    ):
        pass


def test_a_taken_port_leaves_no_one_watching(path: Path) -> None:
    store = ConversationStore()
    with Sandbox(ConversationStore()) as other:
        port = int(other.url.rpartition(":")[2])
        with (
            pytest.raises(OSError, match="address already in use"),
            WebhooksFile(store, path),
            Sandbox(store, port=port),
        ):
            pass
    assert store.on_add == []
