"""What a large answer is, and that one at a time is in memory."""

from __future__ import annotations

import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_kommo_chats.errors import LimiterStoppedError
from tap_kommo_chats.kommo import large
from tap_kommo_chats.kommo.large import LARGE, Room, has_too_many_values

LARGE_ONE = b" " * (LARGE + 1)

JSON = st.recursive(
    st.none() | st.integers() | st.text('",[{\\ax', max_size=12),
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(st.text('",[{\\ax', max_size=6), inner, max_size=6)
    ),
    max_leaves=30,
)


def size(value: object, *, text: int) -> int:
    """Count the values of some JSON, an empty list or object as if it had one.

    Args:
        value: The JSON.
        text: What a text, also a name, counts on top.
    """
    if isinstance(value, dict):
        return text * len(value) + size(list(value.values()), text=text)
    if isinstance(value, list):
        return max(1, len(value)) + sum(size(item, text=text) for item in value)
    return text if isinstance(value, str) else 0


@given(value=JSON, at_most=st.integers(0, 60))
def test_values_are_counted_as_they_are_whatever_the_texts_say(
    value: object, at_most: int
) -> None:
    content = json.dumps(value).encode()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large, "LARGE", 0)
        patch.setattr(large, "VALUES_AT_MOST", at_most)
        found = has_too_many_values(content)

    if found:
        assert size(value, text=1) > at_most
    else:
        assert size(value, text=0) <= at_most


@pytest.mark.parametrize(
    "content", [b'"' * 3_000_000, b'\\"' * 2_000_000, b'"\\' * 9**6]
)
def test_what_is_no_json_is_counted_in_one_go(content: bytes) -> None:
    has_too_many_values(content + b"," * 200_000)


def in_thread(room: Room, content: bytes) -> tuple[threading.Thread, list[object]]:
    """Take the room in another thread, and tell what came of it."""
    found: list[object] = []

    def take() -> None:
        try:
            with room.taken_for(content) as is_large:
                found.append(is_large)
        except LimiterStoppedError as error:
            found.append(error)

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    return thread, found


def test_a_large_answer_waits_until_the_one_before_is_released() -> None:
    room = Room()
    with room.taken_for(LARGE_ONE) as is_large:
        assert is_large

    thread, found = in_thread(room, LARGE_ONE)
    thread.join(0.2)
    assert found == []

    room.leave()
    thread.join(30)
    assert found == [True]


def test_a_small_answer_never_waits() -> None:
    room = Room()
    with room.taken_for(LARGE_ONE):
        pass

    with room.taken_for(b"{}") as is_large:
        assert not is_large


def test_what_fails_leaves_the_room() -> None:
    room = Room()
    with pytest.raises(KeyError), room.taken_for(LARGE_ONE):
        raise KeyError

    with room.taken_for(LARGE_ONE) as is_large:
        assert is_large


def test_nobody_waits_for_a_run_that_is_ending() -> None:
    room = Room()
    with room.taken_for(LARGE_ONE):
        pass
    thread, found = in_thread(room, LARGE_ONE)

    room.stop()

    thread.join(30)
    assert [type(what) for what in found] == [LimiterStoppedError]
