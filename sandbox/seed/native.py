"""Invented chats of channels that are not one's own.

Only methods of ``random.Random`` that give the same numbers in every Python version are
used. All of it is the same whatever else an account has.
"""

# ruff: noqa: S311 - repeatable data is wanted here, nothing is kept secret by it

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from sandbox.crm.messages import BOT_AUTHOR, PHONE_AUTHOR, external_author
from sandbox.seed.leads import lead_steps
from sandbox.seed.messages import FILE_NAMES, happens, new_id, text
from sandbox.seed.people import PEOPLE
from sandbox.seed.steps import Step
from sandbox.seed.texts import CAPTIONS, CLIENT_NAMES
from sandbox.seed.times import FIRST, HOUR, LAST, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.crm.item import Item
    from sandbox.crm.store import CrmStore

NATIVE_ORIGINS = ("waba", "telegram", "instagram_business")

_SEED = 20260714
_CHATS = 24
_MOST_TALKS = 3
# Below the own channel's, which have no upper end.
_FIRST_TALK = 101
_FIRST_CONTACT = 3_000_001
_FIRST_LEAD = 25_000_001
_CUSTOMER = 770_001
# What happens to the chats of these places only.
_OF_A_CUSTOMER, _OF_NO_LEAD = 5, 10
_REOPENED_EVERY = 5
_BEGUN_BY_US_EVERY = 4
_DAY = 24 * HOUR // SECOND
_TYPES = {
    "text": 60,
    "picture": 9,
    "voice": 7,
    "file": 6,
    "video": 5,
    "audio": 4,
    "sticker": 3,
    "location": 3,
    "contact": 3,
}
_DELIVERED = {"delivered": 45, "read": 35, "sent": 10, "error": 10}
_FIRST_BEFORE_TALK = 3
"""Seconds a talk may begin after its first message, as in Kommo's own sample."""


@dataclass(frozen=True)
class _Chat:
    """A chat of a native channel.

    Attributes:
        number: Its place among them.
        fields: What its talks have in common.
        client: Who writes to the company in it.
    """

    number: int
    chat_id: str
    fields: Item
    client: Item


def native_steps(days_later: int = 0) -> Iterator[Step]:
    """Yield all that happens in native chats, in no order of time.

    Args:
        days_later: How many days later it is to happen.
    """
    rng = random.Random(_SEED)
    for number in range(_CHATS):
        contact_id = _FIRST_CONTACT + number
        chat = _Chat(
            number,
            new_id(rng),
            {
                "origin": NATIVE_ORIGINS[number % len(NATIVE_ORIGINS)],
                "contact_id": contact_id,
            },
            external_author(contact_id, rng.choice(CLIENT_NAMES)),
        )
        at = rng.randrange(FIRST, LAST - 300 * _DAY * SECOND) // SECOND
        at += days_later * _DAY
        talks = 1 + number // len(NATIVE_ORIGINS) % _MOST_TALKS
        for place in range(talks):
            last = place == talks - 1
            steps = list(
                _talk(rng, chat, place, at, stays_open=last and number % 2 > 0)
            )
            yield from steps
            at = max(step.at for step in steps) + rng.randrange(_DAY, 30 * _DAY)


def _talk(
    rng: random.Random, chat: _Chat, place: int, at: int, *, stays_open: bool
) -> Iterator[Step]:
    """Yield what happens in one talk of a chat.

    Args:
        rng: What to draw from.
        chat: The chat.
        place: How many talks it had before.
        at: When the talk begins, in Unix seconds.
        stays_open: Whether it is in work to this day.
    """
    talk_id = _FIRST_TALK + _MOST_TALKS * chat.number + place
    lead_id = _FIRST_LEAD + _MOST_TALKS * chat.number + place
    fields = {**chat.fields, "entity_id": lead_id}
    if chat.number == _OF_A_CUSTOMER:
        fields |= {"entity_id": _CUSTOMER, "entity_type": "customer"}
    elif chat.number != _OF_NO_LEAD:
        yield from lead_steps(rng, lead_id, chat.number + place, at)
    yield Step(at, partial(_open, talk_id, chat.chat_id, at, fields))

    writers = _writers(rng, chat)
    begun_by_us = chat.number % _BEGUN_BY_US_EVERY == _BEGUN_BY_US_EVERY - 1
    if begun_by_us:
        yield _message(rng, talk_id, at + 1, writers[-1])
    else:
        before = _message(rng, talk_id, at - _FIRST_BEFORE_TALK, chat.client)
        yield Step(at, before.do)
    for _ in range(rng.randrange(1, 14)):
        at += rng.randrange(20, 7 * HOUR // SECOND)
        yield _message(rng, talk_id, at, rng.choice(writers))
    if chat.number % _REOPENED_EVERY == 1:
        at += _DAY
        yield Step(at, partial(_close, talk_id, at))
        at += _DAY
        yield Step(at, partial(_reopen, talk_id, at))
        yield _message(rng, talk_id, at + 1, chat.client)
    if not stays_open:
        at += _DAY
        yield Step(at, partial(_close, talk_id, at))


def _writers(rng: random.Random, chat: _Chat) -> list[Item | int]:
    """Return who writes in a talk, each as often as they do; the last is an agent."""
    # All but the one who does not work there any more.
    agent = rng.choice(PEOPLE[:-1]).id
    writers: list[Item | int] = [chat.client, chat.client, chat.client, BOT_AUTHOR]
    # The phone's app is WhatsApp's.
    if chat.fields["origin"] == NATIVE_ORIGINS[0]:
        writers.append(PHONE_AUTHOR)
    return [*writers, agent, agent, agent]


def _message(rng: random.Random, talk_id: int, at: int, author: Item | int) -> Step:
    """Return that somebody writes.

    Args:
        rng: What to draw from.
        talk_id: The talk.
        at: When, in Unix seconds.
        author: Who: a user by id.
    """
    fields = _content(rng)
    fields["sec_created_at"] = at * SECOND + rng.randrange(SECOND)
    if isinstance(author, int) or author["type"] != "external":
        fields["delivery_status"] = rng.choices([*_DELIVERED], [*_DELIVERED.values()])[
            0
        ]
    return Step(at, partial(_write, talk_id, at, author, fields))


def _content(rng: random.Random) -> Item:
    kind = rng.choices([*_TYPES], [*_TYPES.values()])[0]
    number = rng.randrange(10_000)
    content: Item = {"message_type": kind, "text": text(rng) if kind == "text" else ""}
    # The forms of the next two are inferred.
    if kind == "location":
        content["location"] = {
            "lat": rng.uniform(-90, 90),
            "lon": rng.uniform(-180, 180),
        }
    elif kind == "contact":
        content["contact"] = {"name": rng.choice(CLIENT_NAMES), "phone": "+12025550100"}
    elif kind != "text":
        content["attachment"] = {
            "type": kind,
            "link": f"https://media.example.com/{kind}/{number}?v=1&s=a%2Fb",
            "file_name": FILE_NAMES.get(kind, "").format(number),
        }
    if kind in ("picture", "video") and happens(rng, 50):
        content["text"] = rng.choice(CAPTIONS)
    return content


def _open(talk_id: int, chat_id: str, at: int, fields: Item, crm: CrmStore) -> None:
    crm.open_talk(talk_id, chat_id, at, **fields)


def _close(talk_id: int, at: int, crm: CrmStore) -> None:
    crm.close_talk(talk_id, at)


def _reopen(talk_id: int, at: int, crm: CrmStore) -> None:
    crm.reopen_talk(talk_id, at)


def _write(
    talk_id: int, at: int, author: Item | int, fields: Item, crm: CrmStore
) -> None:
    who = crm.agent(author) if isinstance(author, int) else author
    crm.add_message(talk_id, at, author=who, **fields)
