"""The events a CRM holds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.sandbox.crm.asking import AT, with_talks

if TYPE_CHECKING:
    from sandbox import CrmStore


@pytest.mark.parametrize("kind", ["talk_created", "talk_closed"])
def test_the_entity_of_a_talk_that_began_or_ended_is_the_talk(
    crm: CrmStore, kind: str
) -> None:
    crm.events.add(AT, type=kind, talk_id=7, contact_id=5)
    (event,) = crm.events.all()
    assert (event["entity_type"], event["entity_id"]) == ("talk", 7)
    assert event["_embedded"]["entity"] == {"id": 7, "linked_talk_contact_id": 5}
    assert event["value_after"] == []


def test_an_event_may_leave_talk_and_origin_out(crm: CrmStore) -> None:
    crm.events.add(AT, origin=None)
    (event,) = crm.events.all()
    assert set(event["value_after"][0]["message"]) == {"id"}


def test_a_talks_id_may_be_text(crm: CrmStore) -> None:
    crm.events.add(AT, talk_id=7, talk_id_as_text=True)
    assert crm.events.all()[0]["value_after"][0]["message"]["talk_id"] == "7"


def test_an_event_takes_contact_and_entity_of_its_talk(crm: CrmStore) -> None:
    with_talks(crm, 7, contact_id=70, entity_id=71, entity_type="customer")
    crm.events.add(AT, talk_id=7)
    (event,) = crm.events.all()
    assert (event["entity_type"], event["entity_id"]) == ("customer", 71)
    assert event["_embedded"]["entity"]["linked_talk_contact_id"] == 70


def test_ids_that_are_made_up_sort_by_time_and_then_by_arrival(crm: CrmStore) -> None:
    ids = [crm.events.add(at) for at in (AT, AT, AT + 1)]
    assert ids == sorted(set(ids))


def test_a_removed_event_is_gone(crm: CrmStore) -> None:
    kept, gone, later = (crm.events.add(AT) for _ in range(3))
    crm.events.remove(gone)
    assert [event["id"] for event in crm.events.all()] == [later, kept]
    with pytest.raises(KeyError):
        crm.events.remove(gone)


def test_an_event_of_a_known_id_takes_the_place_of_the_other(crm: CrmStore) -> None:
    crm.events.add(AT, event_id="a")
    crm.events.add(AT + 1, event_id="a")
    assert [event["created_at"] for event in crm.events.all()] == [AT + 1]


def test_the_store_takes_in_events_from_several_threads(crm: CrmStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda n: crm.events.add(AT + n % 3), range(400)))
    assert ids == {event["id"] for event in crm.events.all()}
    assert len(ids) == 400
