"""Invented conversations, the same in every run.

They hold what Kommo documents for a message, what real samples show, and what
may turn up one day: see ``_extras``. Only methods of ``random.Random`` that give
the same numbers in every Python version are used.
"""

# ruff: noqa: S311 - repeatable data is wanted here, nothing is kept secret by it

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from sandbox import texts
from sandbox.conversations import ConversationStore
from sandbox.crm import INCOMING, OUTGOING, TALK_CREATED, CrmStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.conversations import Row

SCOPE_ID = "6b1f0c52-94ad-4d0e-8a37-5e2c9d7f4410_d3a8417e-0f6b-4c29-b5d1-7c20e9a6f835"
# Public on purpose: it opens nothing but the sandbox.
CHANNEL_SECRET = "5a4d0b0c" * 5
NAMED_CONVERSATION_ID = "vendas são paulo+1"
"""A conversation id that a URL can only carry percent-encoded."""

_SEED = 20240131
_SHORT_CONVERSATIONS = 154
_LONGEST_SHORT = 48
_EDGE_SIZES = (0, 49, 50, 51, 120, 1200)
# Every so many conversations one has had an earlier talk, has a talk that is closed
# by now, or stands beside a talk of another channel.
_TWO_TALKS_EVERY = 7
_CLOSED_EVERY = 5
_FOREIGN_EVERY = 10
_FEWEST_FOREIGN = 4
_FOREIGN_ORIGINS = ("waba", "telegram")
_EVENTS_OF_MESSAGES = 3
_FIRST_TALK = 1001
_FIRST_CONTACT = 3_100_001
_FIRST_LEAD = 26_000_001
_FIRST_FOREIGN = 10_000_001


def _milliseconds(year: int, month: int, day: int) -> int:
    moment = datetime(year, month, day, tzinfo=timezone.utc)
    return int(moment.timestamp()) * 1000


_FIRST = _milliseconds(2024, 1, 3)
_LAST = _milliseconds(2026, 6, 30)
# Kommo's older samples have no msec_timestamp.
_MSEC_SINCE = _milliseconds(2024, 9, 1)

_SECOND = 1000
_HOUR = 3600 * _SECOND
# How long after the message before: how often, and between which milliseconds.
_GAPS = (
    (6, (0, 0)),
    (8, (1, _SECOND)),
    (50, (2 * _SECOND, 180 * _SECOND)),
    (24, (180 * _SECOND, 6 * _HOUR)),
    (12, (6 * _HOUR, 72 * _HOUR)),
)
_TYPES = {
    "text": 700,
    "picture": 90,
    "voice": 60,
    "file": 50,
    "video": 30,
    "audio": 20,
    "sticker": 20,
    "location": 15,
    "contact": 15,
}
_FILE_NAMES = {
    "picture": "photo {}.jpg",
    "video": "vídeo_{}.mp4",
    "voice": "voice-{}.ogg",
    "audio": "song {}.mp3",
    "file": "orçamento, versão {}.pdf",
}
_CLERK = {
    "id": "00000000-0000-4000-b000-000000000000",
    "name": texts.MANAGER_NAMES[0],
    "avatar": "",
}
_FILE_SIZES = (0, 1, 48_213, 913_004, 7_340_032, 3_221_225_472)


@dataclass(frozen=True)
class _People:
    client: Row
    manager: Row
    bot: Row


def seeded_store() -> ConversationStore:
    """Return a new store with the invented conversations.

    Most are short; there is one each of 0, 49, 50, 51, 120 and 1,200 messages.
    """
    rng = random.Random(_SEED)
    sizes = [*_EDGE_SIZES, *(_short_size(rng) for _ in range(_SHORT_CONVERSATIONS - 1))]
    rng.shuffle(sizes)
    managers = [
        {"id": _new_id(rng), "name": name, "avatar": ""} for name in texts.MANAGER_NAMES
    ]
    bot = {"id": _new_id(rng), "name": texts.BOT_NAME}

    store = ConversationStore()
    conversations = [(_new_id(rng), size) for size in sizes]
    conversations.append((NAMED_CONVERSATION_ID, _short_size(rng)))
    for conversation_id, size in conversations:
        store.add_conversation(conversation_id)
        people = _People(_client(rng), rng.choice(managers), bot)
        for row in _conversation(rng, people, size):
            store.add(conversation_id, row)
    return store


def generated_store(conversations: int, messages: int) -> ConversationStore:
    """Return a new store with many conversations that are quick to make.

    They are the same in every run. All times are in 2024 as long as a conversation
    has fewer than half a million messages.

    Args:
        conversations: How many conversations.
        messages: How many messages in each.
    """
    store = ConversationStore()
    for chat in range(conversations):
        # Put together and not drawn, which takes a tenth of the time.
        conversation_id = f"{chat:08x}-0000-4000-8000-000000000000"
        client = {
            "id": f"{chat:08x}-0000-4000-a000-000000000000",
            "name": f"Client {chat}",
            "client_id": f"client-{chat:08x}",
        }
        store.add_conversation(conversation_id)
        for number in range(messages):
            at = _FIRST + chat % 3600 * _SECOND + number * 60 * _SECOND + number % 1000
            incoming = number % 2 == 0
            row = {
                "timestamp": at // _SECOND,
                "msec_timestamp": at,
                "sender": client if incoming else _CLERK,
                "message": {
                    "id": f"{chat:08x}-0000-4000-9000-{number:012x}",
                    "type": "text",
                    "text": f"Message {number} of conversation {chat}.",
                },
            }
            if not incoming:
                row["receiver"] = client
            store.add(conversation_id, row)
    return store


def seeded_crm(store: ConversationStore) -> CrmStore:
    """Return a new store with the talks and events of a store's conversations.

    Each conversation has a talk of the own channel, every seventh an earlier one as
    well. The newest few messages of each have raised events. Some talks of other
    channels are among them, whose chats are not in the store. The ids of talks and
    contacts depend on nothing but the conversation's place in the store.

    Args:
        store: The conversations.
    """
    talks: list[Row] = []
    events: list[Row] = []
    for place, conversation_id in enumerate(store.conversation_ids()):
        # Nothing can be counted on in raw rows.
        raw_or_empty = store.newest_at(conversation_id) is None
        rows = [] if raw_or_empty else store.rows(conversation_id)
        _talks_of(place, conversation_id, rows, talks, events)
    times = [talk["updated_at"] for talk in talks] or [_FIRST // _SECOND]
    for number in range(max(_FEWEST_FOREIGN, len(times) // _FOREIGN_EVERY)):
        at = times[number * _FOREIGN_EVERY % len(times)]
        _foreign_talk(number, at, talks, events)
    crm = CrmStore()
    # In the order they began, as if they had come in one by one.
    for talk in sorted(talks, key=lambda each: (each["created_at"], each["talk_id"])):
        crm.add_talk(**talk)
    for event in sorted(events, key=lambda each: (each["created_at"], each["talk_id"])):
        crm.add_event(**event)
    return crm


def _talks_of(
    place: int,
    conversation_id: str,
    rows: list[Row],
    talks: list[Row],
    events: list[Row],
) -> None:
    """Add the talks and events of one conversation; the current talk comes last."""
    times = [_seconds(row) for row in reversed(rows)] or [_FIRST // _SECOND]
    own = {
        "chat_id": conversation_id,
        "contact_id": _FIRST_CONTACT + place,
        "entity_id": _FIRST_LEAD + place,
    }
    # Two ids for each, so that the ids of none depend on how many talks others had.
    current = _FIRST_TALK + 2 * place + 1
    begun = 0
    if place % _TWO_TALKS_EVERY == _TWO_TALKS_EVERY - 1:
        begun = len(times) // 2
        earlier = times[:begun] or [times[0] - _HOUR // _SECOND]
        talks.append(
            {
                **own,
                "talk_id": current - 1,
                "created_at": earlier[0],
                "updated_at": earlier[-1],
                "is_in_work": False,
            }
        )
    talks.append(
        {
            **own,
            "talk_id": current,
            "created_at": times[begun],
            "updated_at": times[-1],
            "is_in_work": place % _CLOSED_EVERY != _CLOSED_EVERY - 1,
        }
    )
    if rows:
        events.append(
            {"created_at": times[begun], "type": TALK_CREATED, "talk_id": current}
        )
    events.extend(
        {
            "created_at": _seconds(row),
            "type": OUTGOING if "receiver" in row else INCOMING,
            "talk_id": current if place_of_row < len(rows) - begun else current - 1,
            "message_id": row["message"]["id"],
        }
        for place_of_row, row in enumerate(rows[:_EVENTS_OF_MESSAGES])
    )


def _foreign_talk(number: int, at: int, talks: list[Row], events: list[Row]) -> None:
    """Add a talk of another channel and its event."""
    ids = {
        "talk_id": _FIRST_FOREIGN + number,
        "origin": _FOREIGN_ORIGINS[number % len(_FOREIGN_ORIGINS)],
    }
    chat_id = f"{number:08x}-0000-4000-b000-000000000001"
    talks.append({**ids, "chat_id": chat_id, "created_at": at, "updated_at": at})
    events.append({**ids, "created_at": at})


def _seconds(row: Row) -> int:
    seconds: int = row["timestamp"]
    return seconds


def _short_size(rng: random.Random) -> int:
    # Cubed, because most conversations end after a few messages. Multiplied out,
    # because what a power comes to may differ between machines in its last digit.
    share = rng.random()
    return 1 + int(_LONGEST_SHORT * share * share * share)


def _new_id(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def _happens(rng: random.Random, percent: int) -> bool:
    return rng.randrange(100) < percent


def _client(rng: random.Random) -> Row:
    number = rng.randrange(100)
    client = {
        "id": _new_id(rng),
        "name": rng.choice(texts.CLIENT_NAMES),
        "client_id": f"client-{rng.getrandbits(32):08x}",
    }
    if _happens(rng, 60):
        client["phone"] = f"+120255501{number:02}"
        client["email"] = "" if _happens(rng, 50) else f"client{number}@example.com"
    if _happens(rng, 40):
        client["avatar"] = f"https://media.example.com/avatars/{number}.jpg"
    if _happens(rng, 10):
        client["locale"] = rng.choice(("pt_BR", "es_AR", "ru_RU", "ar"))
    return client


def _conversation(rng: random.Random, people: _People, size: int) -> Iterator[Row]:
    """Yield the rows of one conversation, oldest first."""
    groups = list(_group_sizes(rng, size))
    gaps = [_gap(rng) for _ in groups]
    at = rng.randrange(_FIRST, _LAST - sum(gaps))
    # A conversation leaves empty values out or shows them, as its samples do.
    lean = _happens(rng, 50)
    earlier: str | None = None
    for rows, gap in zip(groups, gaps, strict=True):
        at += gap
        head = _head(rng, people)
        group_id = _new_id(rng) if rows > 1 else ""
        for _ in range(rows):
            message = {
                "id": _new_id(rng),
                "client_id": f"sandbox-{rng.getrandbits(40):010x}",
                **_content(rng, in_group=bool(group_id)),
                "media_group_id": group_id,
            }
            row = {
                "timestamp": at // _SECOND,
                "msec_timestamp": at,
                **head,
                "message": message,
            }
            if at < _MSEC_SINCE:
                del row["msec_timestamp"]
            if lean:
                row["message"] = {k: v for k, v in message.items() if not _empty(v)}
            _extras(rng, row, earlier)
            earlier = message["id"]
            yield row


def _group_sizes(rng: random.Random, size: int) -> Iterator[int]:
    """Yield how many rows each message takes: several attachments take several."""
    while size > 0:
        rows = min(size, rng.randrange(2, 5)) if _happens(rng, 3) else 1
        yield rows
        size -= rows


def _gap(rng: random.Random) -> int:
    weights = [weight for weight, _ in _GAPS]
    _, (least, most) = rng.choices(_GAPS, weights)[0]
    return rng.randrange(least, most + 1)


def _head(rng: random.Random, people: _People) -> Row:
    """Return who wrote to whom: only an outgoing message names its receiver."""
    chance = rng.randrange(100)
    if chance < 55:  # noqa: PLR2004 - percent of incoming messages
        return {"sender": people.client}
    writer = people.manager if chance < 90 else people.bot  # noqa: PLR2004 - percent
    return {"sender": writer, "receiver": people.client}


def _content(rng: random.Random, *, in_group: bool) -> Row:
    kind = "picture" if in_group else rng.choices([*_TYPES], [*_TYPES.values()])[0]
    number = rng.randrange(10_000)
    content: Row = {
        "type": kind,
        "text": "",
        "media": "",
        "thumbnail": "",
        "file_name": "",
        "file_size": 0,
        "location": {"lon": 0, "lat": 0},
        "contact": {"name": "", "phone": ""},
    }
    if kind == "text":
        content["text"] = _text(rng)
    elif kind == "location":
        content["location"] = {
            "lon": rng.uniform(-180, 180),
            "lat": rng.uniform(-90, 90),
        }
    elif kind == "contact":
        content["contact"] = {
            "name": rng.choice(texts.CLIENT_NAMES),
            "phone": f"+120255501{number % 100:02}",
        }
    else:
        content["media"] = f"https://media.example.com/{kind}/{number}?v=1&s=a%2Fb"
    if kind in _FILE_NAMES:
        content["file_name"] = _FILE_NAMES[kind].format(number)
        content["file_size"] = rng.choice(_FILE_SIZES)
    if kind in ("picture", "video"):
        content["thumbnail"] = f"https://media.example.com/small/{number}.jpg"
        content["text"] = rng.choice(texts.CAPTIONS) if _happens(rng, 30) else ""
    return content


def _text(rng: random.Random) -> str:
    chance = rng.randrange(100)
    if chance < 2:  # noqa: PLR2004 - percent of long texts
        paragraphs = rng.randrange(10, 40)
        return "\n\n".join(rng.choice(texts.PARAGRAPHS) for _ in range(paragraphs))
    return rng.choice(texts.AWKWARD if chance < 10 else texts.SHORT)  # noqa: PLR2004 - percent


def _empty(value: object) -> bool:
    return value in ("", 0, {"lon": 0, "lat": 0}, {"name": "", "phone": ""})


def _extras(rng: random.Random, row: Row, earlier: str | None) -> None:
    """Add fields that Kommo does not document for history rows.

    Its webhooks carry fields like these, so one day the history may.
    """
    message = row["message"]
    if earlier and _happens(rng, 4):
        message["reply_to"] = {"message": {"id": earlier, "text": "…"}}
    if _happens(rng, 2):
        message["forwards"] = [{"id": _new_id(rng), "depth": 1}, "plain", None]
    if _happens(rng, 2):
        message["template"] = None
    if message["type"] in ("voice", "video", "audio") and _happens(rng, 50):
        message["media_duration"] = rng.randrange(1, 900)
    if _happens(rng, 2):
        row["source"] = {"external_id": "sandbox line 2"}
    if _happens(rng, 2):
        row["is_imported"] = _happens(rng, 50)
