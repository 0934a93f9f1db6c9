"""What the state holds of conversations that could not be read."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_kommo_chats.sharding import Shard
from tap_kommo_chats.state.bookmarks import Bookmarks
from tap_kommo_chats.state.known import Known, write_known
from tap_kommo_chats.state.layout import Trouble, check_part
from tap_kommo_chats.state.troubles import SETTLED

DAY = 24 * 60 * 60 * 1000
RUN = 1_760_000_000_000
LATER = RUN + 1000


def read_at(moment_ms: int, newest_ms: int = 1) -> str:
    return write_known(Known(newest_ms, moment_ms, moment_ms), DAY)


def part(**more: Any) -> dict[str, Any]:
    return {"conversations": {"a": read_at(RUN - DAY)}, **more}


def owed_ids(bookmarks: Bookmarks) -> set[str]:
    return {id_ for id_, _ in bookmarks.pending(RUN + 100 * DAY)}


def test_since_when_a_trouble_lasts_is_kept() -> None:
    bookmarks = Bookmarks(part())

    bookmarks.troubles.begin("a", Trouble.REFUSED, RUN)
    bookmarks.troubles.begin("a", Trouble.REFUSED, LATER)

    assert bookmarks.troubles.since_ms("a") == RUN


def test_of_one_that_is_failing_the_last_time_is_kept() -> None:
    bookmarks = Bookmarks(part())
    assert bookmarks.troubles.failed_ms("a") == 0

    bookmarks.troubles.begin("a", Trouble.FAILING, RUN)
    bookmarks.troubles.begin("a", Trouble.FAILING, LATER)
    assert bookmarks.troubles.failed_ms("a") == LATER
    bookmarks.troubles.begin("a", Trouble.SILENT, LATER)

    assert bookmarks.troubles.failed_ms("a") == 0


def test_another_trouble_begins_anew() -> None:
    bookmarks = Bookmarks(part())

    bookmarks.troubles.begin("a", Trouble.REFUSED, RUN)
    bookmarks.troubles.begin("a", Trouble.FAILING, LATER)

    assert bookmarks.troubles.kind_of("a") is Trouble.FAILING
    assert bookmarks.troubles.since_ms("a") == LATER


def test_what_was_read_leaves_nothing_behind() -> None:
    state = part()
    bookmarks = Bookmarks(state, DAY)
    before = {**state, "conversations": {"a": read_at(LATER)}}
    bookmarks.owe("a", RUN)
    bookmarks.troubles.begin("a", Trouble.REFUSED, RUN)
    bookmarks.troubles.expect("a", RUN)

    bookmarks.keep("a", Known(1, LATER, LATER))

    assert state == before


def test_an_outage_of_everyone_begins_the_week_of_the_refused_anew() -> None:
    state = part(troubles={"refused": {"a": RUN}, "given_up": {"b": RUN}})
    bookmarks = Bookmarks(state)

    bookmarks.troubles.forgive(LATER)

    assert state["troubles"] == {"failing": {"a": LATER}, "given_up": {"b": RUN}}


@pytest.mark.parametrize("kind", sorted(Trouble))
def test_only_what_is_settled_is_not_asked_for(kind: Trouble) -> None:
    # The last reading of both was so long ago that a visit is due.
    bookmarks = Bookmarks(
        part(owed={"a": RUN, "b": 0}, troubles={kind.value: {"a": RUN}}), DAY
    )

    assert bookmarks.is_owed("a") is (kind not in SETTLED)
    assert owed_ids(bookmarks) == ({"b"} if kind in SETTLED else {"a", "b"})


def test_what_is_settled_goes_on_from_its_own_last_reading() -> None:
    state = part(owed={"a": RUN - 500}, troubles={"given_up": {"a": RUN}})
    before = Bookmarks(part()).known("a")

    bookmarks = Bookmarks(state)

    assert bookmarks.known("a") == before
    assert bookmarks.settled_after_ms("a") == RUN - 500


@pytest.mark.parametrize("kind", sorted(set(Trouble) - SETTLED))
def test_what_is_owed_is_not_settled(kind: Trouble) -> None:
    bookmarks = Bookmarks(part(owed={"a": 5}, troubles={kind.value: {"a": RUN}}))

    assert bookmarks.settled_after_ms("a") is None


def test_one_that_is_set_aside_is_owed_and_in_no_trouble() -> None:
    bookmarks = Bookmarks(
        part(owed={"a": 7}, unread={"a": RUN}, troubles={"given_up": {"a": RUN}})
    )

    bookmarks.set_aside("a")
    bookmarks.set_aside("b")

    assert owed_ids(bookmarks) == {"a", "b"}
    assert bookmarks.troubles.is_unread("a")


def test_those_that_are_well_are_told_the_ones_with_messages_first() -> None:
    bookmarks = Bookmarks(
        {
            "conversations": {
                "empty": read_at(RUN - DAY, 0),
                **dict.fromkeys(["well", "owed", "gone", "bad"], read_at(RUN - DAY)),
            },
            "owed": {"owed": 0, "gone": 0},
            "troubles": {"gone": {"gone": RUN}, "failing": {"bad": RUN}},
        }
    )

    assert list(bookmarks.well_ids()) == ["well", "empty"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.sampled_from([*Trouble, "read", "unread"]),
            st.integers(RUN, RUN + 3),
        )
    )
)
def test_whatever_happens_a_conversation_is_in_one_trouble_and_the_state_is_good(
    events: list[tuple[str, str, int]],
) -> None:
    state: dict[str, Any] = {}
    bookmarks = Bookmarks(state)

    for id_, event, start_ms in events:
        if event == "read":
            bookmarks.keep(id_, Known(1, start_ms, start_ms))
        elif event == "unread":
            bookmarks.troubles.expect(id_, start_ms)
        else:
            bookmarks.troubles.begin(id_, Trouble(event), start_ms)

        check_part("chat_history", state)
        troubles = state.get("troubles", {})
        assert all(troubles.values())
        named = [id_ for ids in troubles.values() for id_ in ids]
        assert len(named) == len(set(named))
        again = Bookmarks(deepcopy(state))
        for each in "abc":
            assert again.troubles.kind_of(each) is bookmarks.troubles.kind_of(each)


def test_of_two_merged_states_the_later_trouble_counts() -> None:
    merged = part(troubles={"refused": {"a": RUN}, "failing": {"a": LATER}})

    assert Bookmarks(merged).troubles.kind_of("a") is Trouble.FAILING
    assert merged["troubles"] == {"failing": {"a": LATER}}


def test_a_trouble_that_a_later_reading_ended_does_not_come_back_by_merging() -> None:
    merged = {
        "conversations": {"a": read_at(LATER)},
        "troubles": {"given_up": {"a": RUN}},
        "unread": {"a": RUN},
    }

    bookmarks = Bookmarks(merged)

    assert bookmarks.troubles.kind_of("a") is None
    assert not bookmarks.troubles.is_unread("a")


def test_troubles_of_other_shards_are_left_out() -> None:
    ids = [f"c{number}" for number in range(20)]
    state = part(
        troubles={"refused": dict.fromkeys(ids, RUN)}, unread=dict.fromkeys(ids, RUN)
    )
    bookmarks = Bookmarks(state)
    shard = Shard(1, 2)

    bookmarks.take_shard(shard)

    ours = {id_ for id_ in ids if shard.holds(id_)}
    assert set(state["troubles"]["refused"]) == set(state["unread"]) == ours
