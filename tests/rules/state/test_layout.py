"""Which states are the tap's."""

from __future__ import annotations

import pytest

from tap_kommo_chats.errors import StateError
from tap_kommo_chats.state.layout import check_state
from tap_kommo_chats.times import CALENDAR_MS

FAR = CALENDAR_MS.stop
"""The first millisecond of the year 10000."""


@pytest.mark.parametrize(
    "state",
    [
        None,
        {},
        {"bookmarks": {}},
        {"bookmarks": {"chat_history": {}}},
        {"bookmarks": {"chat_history": {"conversations": {}}}},
        {"bookmarks": {"chat_history": {"conversations": {"a": "1 2 c"}}}},
        {"bookmarks": {"chat_history": {"conversations": {"a": "1 2s 3s =x"}}}},
        {"bookmarks": {"chat_history": {"owed": {"a": 1}, "made_of": "f00"}}},
        {"bookmarks": {"runs": {}}},
        {"bookmarks": {"chat_history": {"version": 1}, "talks": {"version": 1}}},
        {"bookmarks": {"conversations": None, "talks": {}}},
        {"bookmarks": {"chat_history": {"troubles": {"given_up": {"a": 1}}}}},
        {"bookmarks": {"chat_history": {"troubles": {}, "unread": {"a": 1}}}},
        {"bookmarks": {"talks": {"searched_until": {"amo.ext.1": 2}, "shard": "1/2"}}},
    ],
)
def test_a_state_of_this_layout_is_taken(state: object) -> None:
    check_state(state)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ([1], "bookmarks"),
        ("text", "bookmarks"),
        ({"chat_history": {}}, "bookmarks"),
        ({"bookmarks": []}, "bookmarks"),
        ({"bookmarks": {"chat_historie": {}}}, "'chat_historie'"),
        ({"bookmarks": {"chat_history": []}}, "not an object"),
        ({"bookmarks": {"chat_history": {"version": 2}}}, "which a newer tap wrote"),
        ({"bookmarks": {"chat_history": {"version": "1"}}}, "'version'"),
        ({"bookmarks": {"talks": {"conversations": {}}}}, "'conversations'"),
        ({"bookmarks": {"talks": {"searched_until": {"a": "now"}}}}, "'a' no time"),
        ({"bookmarks": {"conversations": {"shard": "3/2"}}}, "'shard'"),
        (
            {"bookmarks": {"chat_history": {"replication_key_value": "2024"}}},
            "'replication_key_value'",
        ),
        ({"bookmarks": {"chat_history": {"partitions": []}}}, "'partitions'"),
        ({"bookmarks": {"chat_history": {"troubles": []}}}, "'troubles'"),
        ({"bookmarks": {"chat_history": {"troubles": {"sad": {}}}}}, "'sad'"),
        ({"bookmarks": {"chat_history": {"troubles": {"gone": 1}}}}, "'gone'"),
        (
            {"bookmarks": {"chat_history": {"troubles": {"gone": {"a": "b"}}}}},
            "'a' no time",
        ),
        ({"bookmarks": {"chat_history": {"unread": {"a": None}}}}, "'a' no time"),
        ({"bookmarks": {"talks": {"troubles": {}}}}, "'troubles'"),
        ({"bookmarks": {"chat_history": {"conversations": []}}}, "'conversations'"),
        *(
            (
                {"bookmarks": {"chat_history": {"conversations": {"a": it}}}},
                "for 'a' what",
            )
            for it in ("2024", 1, 1.5, True, None, "1 2 3", ["1 2"])
        ),
        ({"bookmarks": {"talks": {"searched_until": {"a": FAR}}}}, "'a' no time"),
        (
            {"bookmarks": {"chat_history": {"conversations": {"a/b": "1 2"}}}},
            "'a/b', that has '/' in it",
        ),
        (
            {"bookmarks": {"chat_history": {"owed": {"a\u202eb": 1}}}},
            r"'a\\u202eb', that has a control character in it",
        ),
        ({"bookmarks": {"chat_history": {"made_of": 7}}}, "'made_of'"),
        ({"bookmarks": {"chat_history": {"owed": {"a": -1}}}}, "'a' no time"),
        ({"bookmarks": {"chat_history": {"owed": {"a": True}}}}, "'a' no time"),
        ({"bookmarks": {"runs": {"searched_until": {}}}}, "'searched_until'"),
    ],
)
def test_another_state_is_refused_by_naming_what_is_wrong(
    state: object, said: str
) -> None:
    with pytest.raises(StateError, match=said) as raised:
        check_state(state)

    assert "run with --full-refresh" in str(raised.value)
