"""Whose a talk is."""

from __future__ import annotations

from typing import Any

import pytest

from tap_kommo_chats.records.talks import Owner, read_talk

TALK: dict[str, Any] = {
    "talk_id": 1,
    "contact_id": 7,
    "entity_type": "lead",
    "entity_id": 8,
}


def has(owner: Owner, **changes: object) -> bool:
    talk = read_talk({**TALK, **changes})
    assert talk is not None
    return owner.has(talk)


@pytest.mark.parametrize(
    ("owner", "changes"),
    [
        (Owner("contact", 7), {}),
        (Owner("contact", 7), {"contact_id": "7"}),
        (Owner("contact", 7), {"contact_id": None}),
        (Owner("lead", 8), {}),
        (Owner("lead", 8), {"entity_id": None}),
        (Owner("lead", 8), {"entity_type": None}),
    ],
)
def test_a_talk_is_theirs_or_does_not_say_whose_it_is(
    owner: Owner, changes: dict[str, object]
) -> None:
    assert has(owner, **changes)


@pytest.mark.parametrize(
    "owner", [Owner("contact", 8), Owner("lead", 7), Owner("customer", 8)]
)
def test_a_talk_of_another_one_is_not_theirs(owner: Owner) -> None:
    assert not has(owner)
