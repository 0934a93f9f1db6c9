"""Running the tap in this process, and reading what it wrote."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tap_kommo_chats.errors import TapError
from tap_kommo_chats.kommo import host
from tap_kommo_chats.tap import TapKommoChats

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sandbox import Sandbox

Message = dict[str, Any]


@dataclass(frozen=True)
class Output:
    """What one run wrote to standard output, line by line."""

    lines: tuple[str, ...]

    @property
    def messages(self) -> list[Message]:
        return [json.loads(line, parse_float=Decimal) for line in self.lines]

    @property
    def records(self) -> list[dict[str, Any]]:
        """The messages' records."""
        return self.records_of("chat_history")

    def records_of(self, stream: str) -> list[dict[str, Any]]:
        return [
            m["record"]
            for m in self.messages
            if m["type"] == "RECORD" and m["stream"] == stream
        ]

    @property
    def state(self) -> dict[str, Any]:
        """The last STATE, which is what the next run starts from."""
        states = [m["value"] for m in self.messages if m["type"] == "STATE"]
        return states[-1] if states else {}

    @property
    def keys(self) -> list[tuple[str, str]]:
        return [(r["conversation_id"], r["message_id"]) for r in self.records]


def config_for(sandbox: Sandbox, ids: Sequence[str] | None = None) -> dict[str, Any]:
    """The settings to read a sandbox: all of its conversations, or some."""
    return {
        "api_url": sandbox.url,
        "scope_id": sandbox.scope_id,
        "channel_secret": sandbox.secret,
        "conversation_ids": list(ids or sandbox.store.conversation_ids()),
        "requests_per_second": 0,
    }


@contextlib.contextmanager
def captured_output() -> Iterator[list[Output]]:
    """Collect standard output, as bytes go out, also when the run fails."""
    written = io.BytesIO()
    output = io.TextIOWrapper(written, encoding="utf-8")
    collected: list[Output] = []
    try:
        with contextlib.redirect_stdout(output):
            yield collected
    finally:
        output.flush()
        lines = written.getvalue().decode("utf-8").split("\n")[:-1]
        collected.append(Output(tuple(lines)))


def run(config: dict[str, Any], state: dict[str, Any] | None = None) -> Output:
    """Run the tap once and return what it wrote."""
    with captured_output() as collected:
        # A process would read the state from a file, so it shares nothing.
        TapKommoChats(config=config, state=deepcopy(state)).sync_all()
    return collected[0]


@dataclass(frozen=True)
class FailedRun:
    """A run that ended with an error, and what it wrote before.

    Attributes:
        error: The error.
        output: What was written.
        log: What was logged, all levels.
    """

    error: BaseException
    output: Output
    log: str


def failing_run(
    config: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    state: dict[str, Any] | None = None,
) -> FailedRun:
    """Run the tap once, which is to end with an error."""
    caplog.set_level(logging.DEBUG)
    with captured_output() as collected, pytest.raises(TapError) as raised:
        TapKommoChats(config=config, state=deepcopy(state)).sync_all()
    return FailedRun(raised.value, collected[0], caplog.text)


def wait_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let retries follow at once."""
    monkeypatch.setattr(host, "LONGEST_WAIT", 0.0)
