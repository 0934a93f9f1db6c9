"""States follow where the number of an account's shards was changed."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_kommo_chats.handover import READ, search_settings
from airflow_kommo_chats.states import (
    Move,
    merged,
    plan_moves,
    search_id,
    state_id,
)
from tap_kommo_chats.settings.parse import parse_settings
from tap_kommo_chats.sharding import Shard
from tap_kommo_chats.state.layout import check_state
from tap_kommo_chats.state.tap_state import TapState

IDS = [f"conversation-{number}" for number in range(60)]
KNOWN = "1700000000000 24"
OWN = "amo.ext.1"
TALK_IDS = [str(number) for number in range(1, 61)]
CHAT = "6f1ac2be90"
STREAMS = ("chat_history", "talk_messages", "conversations", "talks")


def state_of(
    shard: Shard, until: int = 1_700_000_000_000, origins: tuple[str, ...] = (OWN, "*")
) -> dict[str, Any]:
    """The state that a run of one shard leaves."""
    marks = {
        "version": 1,
        "searched_until": dict.fromkeys(origins, until),
        "events": {"q": "1"},
        "numbers": {f"1 {origin}": 500 for origin in origins},
    }
    if shard.of > 1:
        marks["shard"] = str(shard)
    parts = {stream: dict(marks) for stream in STREAMS}
    for stream, ids in (("chat_history", IDS), ("talk_messages", TALK_IDS)):
        known = {id_: KNOWN for id_ in ids if shard.holds(id_)}
        parts[stream]["conversations"] = known
    parts["talk_messages"]["chats"] = {CHAT: shard.number}
    return {"bookmarks": parts}


def states_of(account: str, shards: int) -> dict[str, dict[str, Any]]:
    return {
        state_id(account, f"{number}/{shards}"): state_of(Shard(number, shards))
        for number in range(1, shards + 1)
    }


def moved(
    account: str, states: dict[str, dict[str, Any]], shards: int
) -> dict[str, dict[str, Any]]:
    """Do to states what the DAG does before it loads."""
    moves = plan_moves(account, shards, states)
    found = dict(states)
    for move in moves.to_make:
        made = merged(move, [states[source] for source in move.sources])
        # As Meltano keeps it.
        found[move.state_id] = json.loads(json.dumps(made))
    for stale in moves.to_clear:
        del found[stale]
    return found


def conversations(state: dict[str, Any]) -> set[str]:
    return set(state["bookmarks"]["chat_history"]["conversations"])


numbers = st.integers(1, 9)


@given(numbers, numbers)
def test_with_any_other_number_of_shards_nothing_is_forgotten_and_nothing_searched_anew(
    before: int, after: int
) -> None:
    states = moved("north", states_of("north", before), after)

    assert len(states) == after
    for number in range(1, after + 1):
        shard = Shard(number, after)
        state = states[state_id("north", str(shard))]
        check_state(state)
        taken = TapState(state["bookmarks"].__getitem__, STREAMS)
        taken.take_shard(shard)
        # Nothing of the shard is read whole, and the CRM is searched from where it was.
        assert taken.talks
        for bookmarks, ids in ((taken.bookmarks, IDS), (taken.talks, TALK_IDS)):
            known = {id_ for id_ in ids if bookmarks.known(id_)}
            assert known == {id_ for id_ in ids if shard.holds(id_)}
        for mark in taken.marks.values():
            assert mark.until_ms([OWN, "*"]) is not None
            assert mark.next_number([OWN, "*"], 1) == 500


def test_states_of_the_number_that_there_is_stay_as_they_are() -> None:
    states = states_of("north", 4)

    assert moved("north", states, 4) == states


def test_a_move_that_was_cut_short_is_made_again() -> None:
    before = states_of("north", 2)
    whole = moved("north", before, 4)
    half = {state_id("north", "1/4"): whole[state_id("north", "1/4")], **before}

    assert moved("north", half, 4) == whole


def test_a_move_that_only_lacked_the_clearing_is_not_made_again() -> None:
    new, old = states_of("north", 4), states_of("north", 2)
    moves = plan_moves("north", 4, {**new, **old})

    assert moves.to_make == ()
    assert set(moves.to_clear) == set(old)


def test_what_a_missing_state_would_know_is_searched_for_again() -> None:
    states = states_of("north", 4)
    del states[state_id("north", "3/4")]

    (state,) = moved("north", states, 1).values()

    for part in state["bookmarks"].values():
        assert not {"searched_until", "numbers"} & part.keys()
    assert conversations(state) == {
        id_ for id_ in IDS if zlib.crc32(id_.encode()) % 4 != 2
    }


def test_the_crm_counts_as_searched_up_to_the_earliest_time_of_all() -> None:
    one, other = state_of(Shard(1, 2), until=5), state_of(Shard(2, 2), until=9)
    move = Move(("a", "b"), "kommo-north-1of1", "1/1")

    made = merged(move, [one, other])

    assert made["bookmarks"]["talks"]["searched_until"] == {OWN: 5, "*": 5}


@pytest.mark.parametrize("order", [1, -1])
def test_talks_are_asked_for_from_the_lowest_number_that_any_shard_has_reached(
    order: int,
) -> None:
    one, other = states = [state_of(Shard(1, 2)), state_of(Shard(2, 2))]
    one["bookmarks"]["talks"]["numbers"]["1 *"] = 100
    del other["bookmarks"]["talk_messages"]["numbers"]

    made = merged(Move(("a", "b"), "kommo-north-1of1", "1/1"), states[::order])

    assert made["bookmarks"]["talks"]["numbers"] == {f"1 {OWN}": 500, "1 *": 100}
    assert "numbers" not in made["bookmarks"]["talk_messages"]


@pytest.mark.parametrize("order", [1, -1])
def test_a_chat_was_read_last_through_the_last_of_its_talks_that_any_shard_read(
    order: int,
) -> None:
    states = [state_of(Shard(1, 2)), state_of(Shard(2, 2))]

    made = merged(Move(("a", "b"), "kommo-north-1of1", "1/1"), states[::order])

    assert made["bookmarks"]["talk_messages"]["chats"] == {CHAT: 2}


def test_an_origin_that_only_some_were_searched_for_counts_as_not_searched_for() -> (
    None
):
    one, other = state_of(Shard(1, 2)), state_of(Shard(2, 2))
    one["bookmarks"]["talks"]["searched_until"]["amo.ext.2"] = 7

    made = merged(Move(("a", "b"), "kommo-north-1of1", "1/1"), [one, other])

    assert set(made["bookmarks"]["talks"]["searched_until"]) == {OWN, "*"}


def test_troubles_of_all_shards_are_kept() -> None:
    one, other = state_of(Shard(1, 2)), state_of(Shard(2, 2))
    one["bookmarks"]["chat_history"]["troubles"] = {"failing": {IDS[0]: 1}}
    other["bookmarks"]["chat_history"]["troubles"] = {"failing": {IDS[1]: 2}}

    made = merged(Move(("a", "b"), "kommo-north-1of1", "1/1"), [one, other])

    assert made["bookmarks"]["chat_history"]["troubles"] == {
        "failing": {IDS[0]: 1, IDS[1]: 2}
    }


@pytest.mark.parametrize("before", [1, 4])
@pytest.mark.parametrize("origins", [(OWN, "*"), ("*",)])
def test_a_search_of_its_own_goes_on_from_where_shards_were_that_saw_all_channels(
    before: int, origins: tuple[str, ...]
) -> None:
    made = first_search(before, origins)

    # What was read is the shards' own.
    assert set(made["bookmarks"]) == {"talks"}
    assert sought(made, {"native_channels": True}) == 1_700_000_000_000
    assert sought(made, {"crm_origins": [OWN], "native_channels": True})


def test_that_of_some_native_channels_does_so_too() -> None:
    made = first_search(4, ("waba",))

    assert sought(made, {"native_channels": ["waba"]}) == 1_700_000_000_000


def test_a_search_of_all_channels_begins_anew_after_shards_that_saw_one() -> None:
    assert sought(first_search(4, (OWN,)), {"crm_origins": [OWN]}) is None


def first_search(before: int, origins: tuple[str, ...]) -> dict[str, Any]:
    """Make the state of a search of its own, of those of some shards."""
    states = {
        state_id("north", f"{number}/{before}"): state_of(
            Shard(number, before), origins=origins
        )
        for number in range(1, before + 1)
    }
    moves = plan_moves("north", 4, states, READ)
    (move,) = (m for m in moves.to_make if m.state_id == search_id("north"))
    return merged(move, [states[source] for source in move.sources])


def sought(state: dict[str, Any], account: dict[str, Any]) -> int | None:
    """Tell from when on the tap searches for talks, with the settings of a search."""
    crm = {"crm_url": "https://north.kommo.com", "crm_access_token": "token"}
    given = search_settings({**crm, **account})
    settings = parse_settings(
        {name: value for name, value in given.items() if name != "_select"}
    )
    assert settings.crm
    taken = TapState(lambda name: state["bookmarks"].get(name, {}), ["talks"])
    return taken.marks["talks"].until_ms(settings.crm.origins.names)


def test_a_search_that_has_a_state_keeps_it() -> None:
    known = {**states_of("north", 4), search_id("north"): {}}

    assert plan_moves("north", 4, known, ("chat_history",)).to_make == ()


def test_states_of_other_accounts_are_left_alone() -> None:
    others = {**states_of("north-east", 2), "dev:tap-kommo-chats-to-target-jsonl": {}}

    moves = plan_moves("north", 4, others)

    assert (moves.to_make, moves.to_clear) == ((), ())
