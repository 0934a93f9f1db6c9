"""Which talks a run saw, whose they are, and which channels it left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tap_kommo_chats.records.talks import Owner, Talk, read_talk
from tap_kommo_chats.state.seen_talks import SeenTalks

if TYPE_CHECKING:
    from collections.abc import Iterable


def talk(talk_id: int, chat_id: str = "a", updated_at: int | None = 1) -> Talk:
    read = read_talk({"talk_id": talk_id, "chat_id": chat_id, "updated_at": updated_at})
    assert read is not None
    return read


def ids(talks: Iterable[Talk]) -> list[int]:
    return [each.talk_id for each in talks]


@pytest.fixture
def seen() -> SeenTalks:
    return SeenTalks()


def test_a_talk_that_was_kept_is_as_it_came(seen: SeenTalks) -> None:
    value = {"talk_id": "7", "rate": 1.5, "deep": {"é\U0001f600": [None, True, 2**70]}}
    kept = read_talk(value)
    assert kept is not None

    seen.keep([kept])

    assert seen.get(7) == kept
    assert seen.was_asked_for(7)


def test_a_talk_that_was_kept_again_is_the_new_one(seen: SeenTalks) -> None:
    seen.keep([talk(7, "a", 1)])

    seen.keep([talk(7, "b", 2)])

    assert list(seen.all()) == [talk(7, "b", 2)]


def test_a_talk_that_nobody_asked_for_is_not_known(seen: SeenTalks) -> None:
    assert seen.get(7) is None
    assert not seen.was_asked_for(7)


def test_a_talk_that_is_gone_was_asked_for(seen: SeenTalks) -> None:
    seen.note_gone(7)

    assert seen.was_asked_for(7)
    assert seen.get(7) is None
    assert list(seen.all()) == []
    assert seen.count() == 0


def test_a_talk_that_was_kept_before_it_was_gone_stays(seen: SeenTalks) -> None:
    seen.keep([talk(7)])

    seen.note_gone(7)

    assert seen.get(7) == talk(7)
    assert seen.count() == 1


def test_talks_are_in_the_order_of_their_ids(seen: SeenTalks) -> None:
    seen.keep(map(talk, (30, 4, 2**63 - 1, 100)))
    seen.note_gone(5)

    assert ids(seen.all()) == [4, 30, 100, 2**63 - 1]


def test_since_a_time_are_talks_that_changed_or_were_seen_from_then_on(
    seen: SeenTalks,
) -> None:
    seen.keep([talk(1, updated_at=5), talk(2, updated_at=5), talk(3, updated_at=9)])

    seen.note_sightings([(1, 9000, 0), (1, 3000, 0), (2, 8999, 0), (99, 9000, 0)])

    assert ids(seen.all(since_ms=9000)) == [1, 3]


def test_somebody_is_known_when_their_talks_were_asked_for_be_there_some_or_none(
    seen: SeenTalks,
) -> None:
    contact, lead = Owner("contact", 7), Owner("lead", 7)
    seen.keep([talk(1), talk(2)])

    seen.note_owner(contact, [1, 2])
    seen.note_owner(lead, [])

    assert seen.knows_owner(contact)
    assert seen.knows_owner(lead)
    assert not seen.knows_owner(Owner("contact", 8))
    assert ids(seen.of_owner(contact)) == [1, 2]
    assert seen.of_owner(lead) == []


def test_talks_of_other_channels_count_once_each(seen: SeenTalks) -> None:
    seen.note_others([("waba", "1"), ("waba", "2"), ("facebook", "1")])
    seen.note_others([("waba", "1")])

    assert seen.others(9) == [("waba", 2), ("facebook", 1)]
    assert seen.others(1) == [("waba", 2)]


def test_the_last_activity_of_a_talk_is_what_this_run_or_an_earlier_one_knew(
    seen: SeenTalks,
) -> None:
    seen.keep([talk(1), talk(2), talk(3)])
    # That of the second is a closing.
    seen.note_sightings([(1, 9000, 9000), (1, 7000, 7000), (2, 9000, 0)])

    assert seen.note_active(2, 4000)
    assert seen.note_active(1, 4000)
    assert not seen.note_active(99, 4000)

    found = {each.talk_id: active_ms for each, active_ms in seen.active()}
    assert found == {1: 9000, 2: 4000, 3: None}


def test_a_talk_that_leads_to_no_conversation_is_not_handed_on(
    seen: SeenTalks,
) -> None:
    seen.keep([talk(1, chat_id=""), talk(2)])
    seen.note_gone(3)

    assert not seen.note_active(1, 4000)
    assert not seen.note_active(3, 4000)
    assert [each.talk_id for each, _ in seen.active()] == [2]
