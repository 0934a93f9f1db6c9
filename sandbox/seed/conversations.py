"""Invented conversations."""

# ruff: noqa: S311 - repeatable data is wanted here, nothing is kept secret by it

from __future__ import annotations

import random

from sandbox.chats.store import ConversationStore
from sandbox.seed.messages import People, client_from, conversation, new_id
from sandbox.seed.texts import BOT_NAME, MANAGER_NAMES
from sandbox.seed.times import DAY, FIRST, SECOND

NAMED_CONVERSATION_ID = "vendas são paulo+1"
"""A conversation id that a URL can only carry percent-encoded."""

_SEED = 20240131
_SHORT_CONVERSATIONS = 154
_LONGEST_SHORT = 48
_EDGE_SIZES = (0, 49, 50, 51, 120, 1200)
_CLERK = {
    "id": "00000000-0000-4000-b000-000000000000",
    "name": MANAGER_NAMES[0],
    "avatar": "",
}


def seeded_store(days_later: int = 0) -> ConversationStore:
    """Return a new store with the invented conversations.

    Most are short; there is one each of 0, 49, 50, 51, 120 and 1,200 messages.

    Args:
        days_later: How many days later all of them are to happen.
    """
    rng = random.Random(_SEED)
    sizes = [*_EDGE_SIZES, *(_short_size(rng) for _ in range(_SHORT_CONVERSATIONS - 1))]
    rng.shuffle(sizes)
    managers = [
        {"id": new_id(rng), "name": name, "avatar": ""} for name in MANAGER_NAMES
    ]
    bot = {"id": new_id(rng), "name": BOT_NAME}

    store = ConversationStore()
    conversations = [(new_id(rng), size) for size in sizes]
    conversations.append((NAMED_CONVERSATION_ID, _short_size(rng)))
    for conversation_id, size in conversations:
        store.add_conversation(conversation_id)
        people = People(client_from(rng), rng.choice(managers), bot)
        for row in conversation(rng, people, size):
            row["timestamp"] += days_later * DAY // SECOND
            if "msec_timestamp" in row:
                row["msec_timestamp"] += days_later * DAY
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
            at = FIRST + chat % 3600 * SECOND + number * 60 * SECOND + number % 1000
            incoming = number % 2 == 0
            row = {
                "timestamp": at // SECOND,
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


def _short_size(rng: random.Random) -> int:
    # Cubed, because most conversations end after a few messages. Multiplied out,
    # because what a power comes to may differ between machines in its last digit.
    share = rng.random()
    return 1 + int(_LONGEST_SHORT * share * share * share)
