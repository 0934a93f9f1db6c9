"""The conversations that all programs read: their ids, lengths and rows.

Everything follows from a conversation's number, so nothing is stored: a server of
100,000 conversations starts at once, and whoever asks for a page pays for that page.
"""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass

from sandbox.seed import texts

SCOPE_ID = "6b1f0c52-94ad-4d0e-8a37-5e2c9d7f4410_d3a8417e-0f6b-4c29-b5d1-7c20e9a6f835"
# Public on purpose: it opens nothing but the benchmarks' own server.
CHANNEL_SECRET = "5a4d0b0c" * 5
PAGE_SIZE = 50
MEAN_LENGTH = 61.8

_FIRST_MS = 1_700_000_000_000
_APART_MS = 97_003
_HOUR_MS = 3_600_000
_SOON_MS = 1_200_000
_ID_TAIL = "-94ad-4d0e-8a37-5e2c9d7f4410"
_KINDS = ("text",) * 11 + ("picture", "voice", "file", "video", "location")


def conversation_id(number: int) -> str:
    """Name a conversation.

    Args:
        number: Its number, from 0.

    Returns:
        An id of the shape Kommo's have.
    """
    return f"{number:08x}{_ID_TAIL}"


def conversation_number(conversation_id: str) -> int:
    """Turn an id back into the conversation's number.

    Args:
        conversation_id: What the function of that name returned.
    """
    return int(conversation_id[:8], 16)


def spread_lengths(count: int, mean: float = MEAN_LENGTH) -> list[int]:
    """Say how long conversations are: most short, a few very long.

    The quantiles of an exponential distribution, shuffled. They are the same for any
    number of conversations, so 5,000 are in the mean as long as 1,000.

    Args:
        count: How many conversations.
        mean: Messages per conversation, about.

    Returns:
        The number of messages of each, at least 1.
    """
    lengths = [
        max(1, round(-mean * math.log(1 - (place + 0.5) / count)))
        for place in range(count)
    ]
    random.Random(count).shuffle(lengths)  # noqa: S311 (repeatable, not secret)
    return lengths


def spread_places(count: int, of: int) -> range:
    """Choose some conversations, so that they are not just the first ones.

    Args:
        count: How many.
        of: How many there are.

    Returns:
        Their numbers.
    """
    step = of // count
    return range(0, count * step, step)


def plain_requests(length: int) -> int:
    """Count the requests that plain paging makes for a conversation.

    Args:
        length: How many messages it has.
    """
    return length // PAGE_SIZE + 1


def message_id(conversation: int, place: int) -> str:
    """Name a message.

    Args:
        conversation: The number of its conversation.
        place: Messages before it in its conversation, oldest first.
    """
    return f"{place:08x}-0000-4000-8000-{conversation:012x}"


@dataclass(frozen=True)
class Arrival:
    """Messages that come long after those a conversation begins with.

    Attributes:
        since_ms: The beginning of the day on which they come, in milliseconds since
            1970.
        after: How many messages the conversation has before them.
        count: How many they are.
    """

    since_ms: int
    after: int
    count: int


def sent_ms(conversation: int, place: int, arrival: Arrival | None = None) -> int:
    """Say when a message was sent, in milliseconds since 1970.

    Args:
        conversation: The number of its conversation.
        place: Messages before it in its conversation, oldest first.
        arrival: The messages of the conversation that came later, if any.
    """
    if arrival is None or place < arrival.after:
        return _FIRST_MS + conversation % 5000 * _HOUR_MS + place * _APART_MS
    # All over the day, and those of a conversation spread over a part of it.
    into_ms = conversation * 7919 % (16 * 3600) * 1000
    return arrival.since_ms + into_ms + (place - arrival.after) * _SOON_MS


def page(
    conversation: int,
    length: int,
    offset: int,
    limit: int,
    arrival: Arrival | None = None,
) -> bytes:
    """Serialise one page, newest first.

    Args:
        conversation: The conversation's number.
        length: How many messages it has now.
        offset: Messages to skip, counted from the newest.
        limit: The most messages to return.
        arrival: Those of them that came later, if any.

    Returns:
        The body of the answer; empty when no message is there.
    """
    newest = length - offset
    places = range(newest - 1, max(0, newest - limit) - 1, -1)
    if newest <= 0 or not places:
        return b""
    rows = []
    for place in places:
        at_ms = sent_ms(conversation, place, arrival)
        template = _TEMPLATES[(conversation * 31 + place) % len(_TEMPLATES)]
        rows.append(template % (at_ms // 1000, at_ms, place, conversation))
    return b'{"messages":[' + b",".join(rows) + b"]}"


def _templates() -> list[bytes]:
    """Serialise rows with all documented fields, but for times and id."""
    rng = random.Random(50)  # noqa: S311 (repeatable, not secret)
    client = {
        "id": "2ed64e26-70a1-4857-8382-bb066a076219",
        "name": "Maria da Silva Ñúñez",
        "client_id": "client-7f31c0de",
        "avatar": "https://media.example.com/avatars/17.jpg",
        "phone": "+12025550117",
        "email": "client17@example.com",
    }
    manager = {
        "id": "76fc2bea-902f-425c-9a3d-dcdac4766090",
        "name": "Ana Souza",
        "avatar": "",
    }
    templates = []
    for _ in range(251):
        people = {"sender": client}
        if rng.random() < 0.45:  # noqa: PLR2004 (the share of answers)
            people = {"sender": manager, "receiver": client}
        message = _message(rng, rng.choice(_KINDS))
        row = {"timestamp": "@s", "msec_timestamp": "@ms", **people, "message": message}
        text = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
        text = text.replace("%", "%%")
        text = text.replace('"@s"', "%d").replace('"@ms"', "%d")
        text = text.replace("@id", "%08x-0000-4000-8000-%012x")
        templates.append(text.encode())
    return templates


def _message(rng: random.Random, kind: str) -> dict[str, object]:
    message: dict[str, object] = {
        "id": "@id",
        "client_id": f"sandbox-{rng.getrandbits(40):010x}",
        "type": kind,
        "text": rng.choice(texts.SHORT) if kind == "text" else "",
        "media": "",
        "thumbnail": "",
        "file_name": "",
        "file_size": 0,
        "media_group_id": "",
        "location": {"lon": 0, "lat": 0},
        "contact": {"name": "", "phone": ""},
    }
    if kind == "location":
        message["location"] = {"lon": rng.uniform(-180, 180), "lat": rng.uniform(-9, 9)}
    elif kind != "text":
        message["media"] = f"https://media.example.com/{kind}/{rng.getrandbits(32)}"
        message["file_name"] = f"{kind} {rng.getrandbits(16)}.bin"
        message["file_size"] = rng.getrandbits(22)
        message["thumbnail"] = f"https://media.example.com/s/{rng.getrandbits(32)}.jpg"
    return message


_TEMPLATES = _templates()
