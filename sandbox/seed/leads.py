"""Pipelines, and the leads that go through them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sandbox.crm.leads import LOSS_REASONS, SOURCES
from sandbox.crm.pipelines import LOST, WON
from sandbox.seed.messages import happens
from sandbox.seed.people import PEOPLE
from sandbox.seed.steps import Step

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from sandbox.crm.item import Item
    from sandbox.crm.store import CrmStore

SALES, SERVICE = 6_001, 6_002
_STATUSES = {
    SALES: {60_011: "Incoming", 60_012: "New", 60_013: "Talking", 60_014: "Offer"},
    SERVICE: {60_021: "Incoming", 60_022: "Open", 60_023: "Waiting"},
}
_TAGS = ("vip", "não ligar", "B2B", "весна")
_HOUR = 3600


def add_pipelines(crm: CrmStore) -> None:
    """Add the pipelines that leads go through."""
    crm.pipelines.add(SALES, "Sales", _STATUSES[SALES])
    crm.pipelines.add(SERVICE, "Service & Peças", _STATUSES[SERVICE])


def lead_fields(rng: random.Random, number: int) -> Item:
    """Draw what a lead says of itself.

    Args:
        rng: What to draw from.
        number: Decides on what has to occur however it is drawn.
    """
    fields: Item = {
        "name": rng.choice(("Kitchen", "Mesa + 4 cadeiras", "Шкаф", "")),
        "price": rng.choice((0, 350, 1249, 2_500_000_000)),
        "responsible_user_id": PEOPLE[number % len(PEOPLE)].id,
        "tags": [tag for tag in _TAGS if happens(rng, 25)],
        "source_id": rng.choice((None, *SOURCES)),
    }
    if number % 2:
        fields["custom_fields_values"] = [
            _custom("City", "text", rng.choice(("São Paulo", "Córdoba"))),
            _custom("Measured", "checkbox", happens(rng, 50)),
            _custom("Rooms", "numeric", str(rng.randrange(1, 9))),
        ]
    return fields


def lead_steps(
    rng: random.Random, lead_id: int, number: int, at: int
) -> Iterator[Step]:
    """Yield what happens to a lead: it comes, goes on, and may end or be deleted.

    Args:
        rng: What to draw from.
        lead_id: The lead.
        number: Decides how it ends.
        at: When it comes, in Unix seconds.
    """
    fields = lead_fields(rng, number)
    first, *rest = list(_STATUSES[SALES])[1:]
    yield Step(
        at,
        lambda crm: crm.leads.add(
            lead_id, created_at=at, pipeline_id=SALES, status_id=first, **fields
        ),
    )
    goes = rest[: rng.randrange(len(rest) + 1)]
    moves: list[tuple[int, Item]] = [(status_id, {}) for status_id in goes]
    if number % 4 == 0:
        moves.append((WON, {}))
    elif number % 4 == 1:
        moves.append((LOST, {"loss_reason_id": rng.choice([*LOSS_REASONS])}))
    elif number % 8 == 2:  # noqa: PLR2004 - some of those that are left
        moves.append((60_022, {"pipeline_id": SERVICE}))
    for status_id, more in moves:
        at += rng.randrange(_HOUR, 90 * _HOUR)
        mover = rng.choice((0, PEOPLE[1].id))
        yield Step(
            at, partial(_move, lead_id, status_id, at, {**more, "user_id": mover})
        )
    if number % 11 == 6:  # noqa: PLR2004 - one of many
        gone = at + _HOUR
        yield Step(
            gone,
            lambda crm: crm.leads.update(lead_id, is_deleted=True, updated_at=gone),
        )


def _move(lead_id: int, status_id: int, at: int, more: Item, crm: CrmStore) -> None:
    crm.move_lead(lead_id, status_id, at, **more)


def _custom(name: str, kind: str, value: object) -> Item:
    return {
        "field_id": 1_500_000 + sum(name.encode()),
        "field_name": name,
        "field_code": None,
        "field_type": kind,
        "values": [{"value": value}],
    }
