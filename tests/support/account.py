"""An account with a CRM, whose clock a test moves."""

from __future__ import annotations

import contextlib
from copy import deepcopy
from typing import TYPE_CHECKING, Any
from unittest import mock

from sandbox import OWN_ORIGIN
from tap_kommo_chats.errors import TapError
from tap_kommo_chats.tap import TapKommoChats
from tests.support.tap import Output, captured_output, config_for, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sandbox import Sandbox


SECOND = 1000
HOUR = 60 * 60 * SECOND
DAY = 24 * HOUR
WEEK = 7 * DAY
START = 1_760_000_000_000
"""When the first run of each test starts."""

WABA = "waba"


def message(name: str, sent_ms: int) -> dict[str, Any]:
    return {
        "timestamp": sent_ms // 1000,
        "msec_timestamp": sent_ms,
        "sender": {"id": "s"},
        "message": {"id": name, "type": "text", "text": name},
    }


class Account:
    """An account whose clock the test moves.

    Attributes:
        now: The current time, in milliseconds since 1970.
        sandbox: Serves it.
        crm: Its CRM.
    """

    def __init__(self, sandbox: Sandbox) -> None:  # noqa: D107
        self.now = START
        self.sandbox = sandbox
        self.crm = sandbox.crm
        self._named = 0
        self._chats: dict[int, str] = {}

    def config(self, **more: object) -> dict[str, Any]:
        config = config_for(self.sandbox, ["unused"])
        del config["conversation_ids"]
        return {
            **config,
            "crm_url": self.sandbox.url,
            "crm_access_token": self.sandbox.crm_token,
            "crm_origins": [OWN_ORIGIN],
            "max_concurrency": 2,
            **more,
        }

    def talk(self, talk_id: int, chat_id: str, **more: Any) -> None:
        seconds = self.now // 1000
        times = {"created_at": seconds, "updated_at": seconds}
        self.crm.store.talks.add(talk_id, chat_id, **{**times, **more})
        self._chats[talk_id] = chat_id

    def message(self, chat_id: str, age_ms: int = 0) -> str:
        """Let a message arrive, which no event tells of yet."""
        self._named += 1
        name = f"m{self._named}"
        self.sandbox.store.add(chat_id, message(name, self.now - age_ms))
        return name

    def event(self, **more: Any) -> None:
        """Let an event happen; of a message that is there, unless it says otherwise."""
        chat_id = self._chats.get(more.get("talk_id") or 0)
        if "type" not in more and chat_id and not self.sandbox.store.size(chat_id):
            self.message(chat_id)
        self.crm.store.events.add(self.now // 1000, **more)

    def run(self, state: dict[str, Any] | None = None, **more: object) -> Output:
        with self.clock():
            return run(self.config(**more), state)

    def try_run(
        self, state: dict[str, Any] | None = None, **more: object
    ) -> tuple[Output, TapError | None]:
        """Run, whatever becomes of it, and tell what was wrong."""
        return self.try_config(self.config(**more), state)

    def try_config(
        self, config: dict[str, Any], state: dict[str, Any] | None
    ) -> tuple[Output, TapError | None]:
        error = None
        with self.clock(), captured_output() as collected:
            try:
                TapKommoChats(config=config, state=deepcopy(state)).sync_all()
            except TapError as raised:
                error = raised
        return collected[0], error

    def run_some(
        self, streams: Sequence[str], state: dict[str, Any] | None = None
    ) -> Output:
        """Run with some of the streams selected."""
        with self.clock(), captured_output() as collected:
            self.tap(streams, state).sync_all()
        return collected[0]

    def tap(
        self, streams: Sequence[str] | None, state: dict[str, Any] | None
    ) -> TapKommoChats:
        """Make a tap with some of the streams selected; with all if None."""
        config = self.config()
        catalog = TapKommoChats(config=config).catalog_dict
        for entry in catalog["streams"]:
            selected = streams is None or entry["tap_stream_id"] in streams
            entry["metadata"][-1]["metadata"]["selected"] = selected
        return TapKommoChats(config=config, catalog=catalog, state=deepcopy(state))

    @contextlib.contextmanager
    def clock(self) -> Iterator[None]:
        with mock.patch.object(
            TapKommoChats,
            "initialized_at",
            new_callable=mock.PropertyMock,
            return_value=self.now,
        ):
            yield

    def asked(self) -> list[str]:
        """The conversations that were asked for, once per request."""
        return [
            request.conversation_id
            for request in self.sandbox.requests
            if request.conversation_id is not None
        ]

    def crm_requests(self, path: str = "/api/v4/") -> list[str]:
        return [
            request.target
            for request in self.sandbox.requests
            if request.target.startswith(path)
        ]


def names(output: Output) -> list[str]:
    return sorted(record["message_id"] for record in output.records)
