"""The talks a CRM holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sandbox.crm.asking import AT, with_talks

if TYPE_CHECKING:
    from sandbox import CrmStore


def test_a_talk_may_have_more_and_other_fields(crm: CrmStore) -> None:
    with_talks(crm, 1, rate=5, is_in_work=False, unknown=[1])
    talk = crm.talks.get(1)
    assert talk is not None
    assert (talk["rate"], talk["unknown"], talk["status"]) == (5, [1], "closed")


def test_what_is_embedded_follows_an_update(crm: CrmStore) -> None:
    with_talks(crm, 1)
    crm.talks.update(1, contact_id=5, entity_id=6, entity_type="customer")
    assert crm.talks.all()[0]["_embedded"] == {
        "contacts": [{"id": 5}],
        "leads": [],
        "customers": [{"id": 6}],
    }


def test_a_talk_that_was_handed_out_does_not_change(crm: CrmStore) -> None:
    with_talks(crm, 1)
    (before,) = crm.talks.all()
    crm.talks.update(1, updated_at=AT + 1, is_in_work=False)
    (after,) = crm.talks.all()
    assert (before["updated_at"], before["status"]) == (AT, "in_work")
    assert (after["updated_at"], after["status"]) == (AT + 1, "closed")


def test_an_unknown_talk_cannot_be_changed_or_removed(crm: CrmStore) -> None:
    with pytest.raises(KeyError):
        crm.talks.update(1, rate=1)
    with pytest.raises(KeyError):
        crm.talks.remove(1)
