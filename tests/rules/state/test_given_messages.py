"""Which messages of native chats a run has given out."""

from __future__ import annotations

from tap_kommo_chats.state.given_messages import GivenMessages


def test_a_message_is_new_once_in_each_conversation() -> None:
    given = GivenMessages()

    assert given.is_new("a", "m", 1)
    assert given.is_new("b", "m", 1)
    assert not given.is_new("a", "m", 1)


def test_a_message_that_changed_meanwhile_is_new_again() -> None:
    given = GivenMessages()
    given.is_new("a", "m", 1)

    assert given.is_new("a", "m", -2)
    assert not given.is_new("a", "m", -2)
