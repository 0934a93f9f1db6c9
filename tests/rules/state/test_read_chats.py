"""Which chats were read through which talk last."""

from __future__ import annotations

from typing import Any

from tap_kommo_chats.state.layout import TALK_MESSAGES, check_state
from tap_kommo_chats.state.read_chats import ReadChats


def test_the_last_talk_of_a_chat_is_known_to_the_next_run_only() -> None:
    state: dict[str, Any] = {}
    chats = ReadChats(state)
    for talk_id in (7, 9, 8):
        chats.note("a", talk_id)
    before = chats.last_talk("a")
    chats.keep()

    assert before is None
    assert ReadChats(state).last_talk("a") == 9
    assert ReadChats(state).last_talk("b") is None


def test_an_older_talk_takes_no_newer_ones_place() -> None:
    state: dict[str, Any] = {}
    for talk_id in (9, 7):
        chats = ReadChats(state)
        chats.note("a", talk_id)
        chats.keep()

    assert ReadChats(state).last_talk("a") == 9


def test_what_is_kept_is_a_part_of_a_state() -> None:
    state: dict[str, Any] = {}
    chats = ReadChats(state)
    chats.note("a", 7)
    chats.keep()

    check_state({"bookmarks": {TALK_MESSAGES: state}})
