"""The messages of an invented conversation.

They hold what Kommo documents for a message, what real samples show, and what
may turn up one day: see ``_extras``. Only methods of ``random.Random`` that give
the same numbers in every Python version are used.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.seed.texts import AWKWARD, CAPTIONS, CLIENT_NAMES, PARAGRAPHS, SHORT
from sandbox.seed.times import FIRST, HOUR, LAST, MSEC_SINCE, SECOND

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from sandbox.chats.store import Row

# How long after the message before: how often, and between which milliseconds.
_GAPS = (
    (6, (0, 0)),
    (8, (1, SECOND)),
    (50, (2 * SECOND, 180 * SECOND)),
    (24, (180 * SECOND, 6 * HOUR)),
    (12, (6 * HOUR, 72 * HOUR)),
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
FILE_NAMES = {
    "picture": "photo {}.jpg",
    "video": "vídeo_{}.mp4",
    "voice": "voice-{}.ogg",
    "audio": "song {}.mp3",
    "file": "orçamento, versão {}.pdf",
}
_FILE_SIZES = (0, 1, 48_213, 913_004, 7_340_032, 3_221_225_472)


@dataclass(frozen=True)
class People:
    """Who writes in a conversation, as senders and receivers of rows."""

    client: Row
    manager: Row
    bot: Row


def new_id(rng: random.Random) -> str:
    """Draw a version 4 UUID."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def happens(rng: random.Random, percent: int) -> bool:
    """Draw whether something happens."""
    return rng.randrange(100) < percent


def client_from(rng: random.Random) -> Row:
    """Draw a client."""
    number = rng.randrange(100)
    client = {
        "id": new_id(rng),
        "name": rng.choice(CLIENT_NAMES),
        "client_id": f"client-{rng.getrandbits(32):08x}",
    }
    if happens(rng, 60):
        client["phone"] = f"+120255501{number:02}"
        client["email"] = "" if happens(rng, 50) else f"client{number}@example.com"
    if happens(rng, 40):
        client["avatar"] = f"https://media.example.com/avatars/{number}.jpg"
    if happens(rng, 10):
        client["locale"] = rng.choice(("pt_BR", "es_AR", "ru_RU", "ar"))
    return client


def conversation(rng: random.Random, people: People, size: int) -> Iterator[Row]:
    """Yield the rows of one conversation, oldest first."""
    groups = list(_group_sizes(rng, size))
    gaps = [_gap(rng) for _ in groups]
    at = rng.randrange(FIRST, LAST - sum(gaps))
    # A conversation leaves empty values out or shows them, as its samples do.
    lean = happens(rng, 50)
    earlier: str | None = None
    for rows, gap in zip(groups, gaps, strict=True):
        at += gap
        head = _head(rng, people)
        group_id = new_id(rng) if rows > 1 else ""
        for _ in range(rows):
            message = {
                "id": new_id(rng),
                "client_id": f"sandbox-{rng.getrandbits(40):010x}",
                **_content(rng, in_group=bool(group_id)),
                "media_group_id": group_id,
            }
            row = {
                "timestamp": at // SECOND,
                "msec_timestamp": at,
                **head,
                "message": message,
            }
            if at < MSEC_SINCE:
                del row["msec_timestamp"]
            if lean:
                row["message"] = {k: v for k, v in message.items() if not _empty(v)}
            _extras(rng, row, earlier)
            earlier = message["id"]
            yield row


def _group_sizes(rng: random.Random, size: int) -> Iterator[int]:
    """Yield how many rows each message takes: several attachments take several."""
    while size > 0:
        rows = min(size, rng.randrange(2, 5)) if happens(rng, 3) else 1
        yield rows
        size -= rows


def _gap(rng: random.Random) -> int:
    weights = [weight for weight, _ in _GAPS]
    _, (least, most) = rng.choices(_GAPS, weights)[0]
    return rng.randrange(least, most + 1)


def _head(rng: random.Random, people: People) -> Row:
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
        content["text"] = text(rng)
    elif kind == "location":
        content["location"] = {
            "lon": rng.uniform(-180, 180),
            "lat": rng.uniform(-90, 90),
        }
    elif kind == "contact":
        content["contact"] = {
            "name": rng.choice(CLIENT_NAMES),
            "phone": f"+120255501{number % 100:02}",
        }
    else:
        content["media"] = f"https://media.example.com/{kind}/{number}?v=1&s=a%2Fb"
    if kind in FILE_NAMES:
        content["file_name"] = FILE_NAMES[kind].format(number)
        content["file_size"] = rng.choice(_FILE_SIZES)
    if kind in ("picture", "video"):
        content["thumbnail"] = f"https://media.example.com/small/{number}.jpg"
        content["text"] = rng.choice(CAPTIONS) if happens(rng, 30) else ""
    return content


def text(rng: random.Random) -> str:
    """Draw what somebody writes."""
    chance = rng.randrange(100)
    if chance < 2:  # noqa: PLR2004 - percent of long texts
        paragraphs = rng.randrange(10, 40)
        return "\n\n".join(rng.choice(PARAGRAPHS) for _ in range(paragraphs))
    return rng.choice(AWKWARD if chance < 10 else SHORT)  # noqa: PLR2004 - percent


def _empty(value: object) -> bool:
    return value in ("", 0, {"lon": 0, "lat": 0}, {"name": "", "phone": ""})


def _extras(rng: random.Random, row: Row, earlier: str | None) -> None:
    """Add fields that Kommo does not document for history rows.

    Its webhooks carry fields like these, so one day the history may.
    """
    message = row["message"]
    if earlier and happens(rng, 4):
        message["reply_to"] = {"message": {"id": earlier, "text": "…"}}
    if happens(rng, 2):
        message["forwards"] = [{"id": new_id(rng), "depth": 1}, "plain", None]
    if happens(rng, 2):
        message["template"] = None
    if message["type"] in ("voice", "video", "audio") and happens(rng, 50):
        message["media_duration"] = rng.randrange(1, 900)
    if happens(rng, 2):
        row["source"] = {"external_id": "sandbox line 2"}
    if happens(rng, 2):
        row["is_imported"] = happens(rng, 50)
