"""Many runs in a row, with the clock moved on: what a run costs that follows change.

The tap runs in this process, because it has to be told what time it is.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest import mock

from sandbox import ConversationStore, Sandbox
from tap_kommo_chats.tap import TapKommoChats

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Self

SECOND_MS = 1000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
START_MS = 1_760_000_000_000


@dataclass
class Costs:
    """What runs cost, and what they brought.

    Attributes:
        requests: Requests to the Chats API.
        rows: Records by stream.
        loaded: What a warehouse holds after them: the text of each message.
    """

    requests: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    loaded: dict[tuple[str, str], str] = field(default_factory=dict)


class World:
    """Conversations, a file that lists them with times, and a clock. A context manager.

    Attributes:
        now: The current time, in milliseconds since 1970.
        state: What the last run left.
        there: The text of each message there is.
    """

    def __init__(self, folder: Path, lookback_days: int = 1) -> None:
        """Start with no conversation."""
        self.now = START_MS
        self.state: dict[str, Any] = {}
        self.there: dict[tuple[str, str], str] = {}
        self._list = folder / "conversations.csv"
        self._lookback_days = lookback_days
        self._activity: dict[str, int] = {}
        self._sandbox = Sandbox(ConversationStore())

    def __enter__(self) -> Self:
        """Start the server."""
        self._sandbox.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        self._sandbox.__exit__(None, None, None)

    def message(self, conversation_id: str, late_ms: int = 0) -> None:
        """Let a message arrive now, that was sent some time ago."""
        name = f"{conversation_id}-{len(self.there)}"
        sent_ms = self.now - late_ms
        row = {
            "timestamp": sent_ms // SECOND_MS,
            "msec_timestamp": sent_ms,
            "sender": {"id": "someone"},
            "message": {"id": name, "type": "text", "text": name},
        }
        self._sandbox.store.add(conversation_id, row)
        self.there[conversation_id, name] = name
        self._activity[conversation_id] = self.now

    def edit(self, conversation_id: str, name: str) -> None:
        """Change the text of a message, which no source tells of."""
        text = f"{name} edited at {self.now}"
        self._sandbox.store.edit(conversation_id, name, text=text)
        self.there[conversation_id, name] = text

    def run(self) -> Costs:
        """Run the tap, and keep its state for the next run."""
        lines = ["conversation_id,updated_at"]
        lines += [f"{id_},{time}" for id_, time in self._activity.items()]
        self._list.write_text("\n".join(lines), encoding="utf-8")
        self._sandbox.forget_requests()
        costs = Costs()
        for message in self._messages():
            if message["type"] == "STATE":
                self.state = message["value"]
            elif message["type"] == "RECORD":
                costs.rows[message["stream"]] += 1
                record = message["record"]
                if message["stream"] == "chat_history":
                    key = record["conversation_id"], record["message_id"]
                    costs.loaded[key] = record["message"]["text"]
        costs.requests = len(self._sandbox.requests)
        return costs

    def _messages(self) -> list[dict[str, Any]]:
        config = {
            "api_url": self._sandbox.url,
            "scope_id": self._sandbox.scope_id,
            "channel_secret": self._sandbox.secret,
            "conversations_file": str(self._list),
            "lookback_days": self._lookback_days,
            "requests_per_second": 0,
        }
        written = io.BytesIO()
        output = io.TextIOWrapper(written, encoding="utf-8")
        clock = mock.patch.object(
            TapKommoChats,
            "initialized_at",
            new_callable=mock.PropertyMock,
            return_value=self.now,
        )
        with clock, contextlib.redirect_stdout(output):
            TapKommoChats(config=config, state=deepcopy(self.state)).sync_all()
        output.flush()
        return [json.loads(line) for line in written.getvalue().splitlines()]


@dataclass(frozen=True)
class Hours:
    """What hourly runs came to, and what they had to bring.

    Attributes:
        runs: How many.
        changes: How often something happened in a conversation between two runs.
        messages: How many messages were new, late or edited.
        costs: What all runs cost together.
        missed: How many messages a warehouse does not hold as they are.
    """

    runs: int
    changes: int
    messages: int
    costs: Costs
    missed: int


def hourly(
    folder: Path, conversations: int = 3000, runs: int = 26, each_hour: int = 4
) -> Hours:
    """Run every hour for a day and more, after a first run and a busy day before it.

    Args:
        folder: Where the list of conversations goes.
        conversations: How many there are. On the day before, one in thirty changed.
        runs: How many hourly runs.
        each_hour: In how many conversations three messages arrive each hour. One late
            message comes in the tenth hour.
    """
    ids = [f"{n:08x}-94ad-4d0e-8a37-5e2c9d7f4410" for n in range(conversations)]
    with World(folder) as world:
        for n, id_ in enumerate(ids):
            world.now = START_MS - 90 * DAY_MS + n * MINUTE_MS
            world.message(id_)
        busy = ids[:: max(1, conversations // 100)]
        for n, id_ in enumerate(busy):
            world.now = START_MS - DAY_MS + n * DAY_MS // len(busy)
            world.message(id_)
        world.now = START_MS
        loaded = dict(world.run().loaded)
        total = Costs()
        before = len(world.there)
        for hour in range(runs):
            for n in range(each_hour):
                id_ = ids[(hour * each_hour + n) * 7 % conversations]
                for _ in range(3):
                    world.now += HOUR_MS // (4 * each_hour)
                    world.message(id_)
            if hour == min(9, runs - 1):
                world.message(ids[(hour * each_hour) * 7 % conversations], 20 * HOUR_MS)
            world.now = START_MS + (hour + 1) * HOUR_MS
            costs = world.run()
            total.requests += costs.requests
            total.rows += costs.rows
            loaded |= costs.loaded
        missed = sum(loaded.get(key) != text for key, text in world.there.items())
        changed = len(world.there) - before
        return Hours(runs, runs * each_hour, changed, total, missed)
