"""What a search keeps in a file, and shards of the DAG read, without Airflow."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from contextlib import closing
from copy import deepcopy
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from airflow_kommo_chats import handover
from airflow_kommo_chats.accounts import variables
from airflow_kommo_chats.meltano import Meltano
from airflow_kommo_chats.states import merged, plan_moves, search_id, state_id
from airflow_kommo_chats.words import TAP
from sandbox import CRM_ROOT, OWN_ORIGIN, ConversationStore, CrmStore, Sandbox
from tap_kommo_chats.tap import TapKommoChats
from tests.support.marks import LONG
from tests.support.meltano_project import share_plugins
from tests.support.tap import Output, captured_output

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

ACCOUNT = f"{CRM_ROOT}/account"
EVENTS = f"{CRM_ROOT}/events"
CHATS = 4
SHARDS = ("1/2", "2/2")

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Airflow does not run on Windows"
)


class Account:
    """An account of both kinds of channels, and the tasks that load it.

    Attributes:
        sandbox: Serves it.
    """

    def __init__(self, sandbox: Sandbox, found_talks: Path) -> None:  # noqa: D107
        self.sandbox = sandbox
        # What is sent in the second in which a run begins may come twice.
        self._began = int(time.time()) - 100
        self._found_talks = str(found_talks)
        self._said = 0

    def settings(self, *, has_scope: bool = False, is_native: bool = True) -> Any:
        """Return what Airflow is told of it."""
        channel_id, _, _ = self.sandbox.scope_id.partition("_")
        return {
            "api_url": self.sandbox.url,
            "channel_secret": self.sandbox.secret,
            "crm_url": self.sandbox.url,
            "crm_access_token": self.sandbox.crm_token,
            "crm_origins": [OWN_ORIGIN],
            "native_channels": is_native,
            "requests_per_second": 0,
            **(
                {"scope_id": self.sandbox.scope_id}
                if has_scope
                else {"channel_id": channel_id}
            ),
        }

    def tasks(
        self, settings: dict[str, Any], shards: Sequence[str] = SHARDS
    ) -> dict[str, dict[str, Any]]:
        """Return what each task gives the tap, by its state."""
        kept_in = handover.file_of(self._found_talks, "north")
        reading = handover.file_settings(settings, kept_in)
        return {
            search_id("north"): handover.search_settings(settings, kept_in),
            **{state_id("north", part): {**reading, "shard": part} for part in shards},
        }

    def say(self, times: int) -> set[str]:
        """Let messages come, each time one in a chat of each kind."""
        names = set()
        crm = self.sandbox.crm.store
        for number in range(self._said, self._said + times):
            at, chat = self._began + number, number % CHATS
            own, native = f"own-{number}", f"native-{number}"
            row = {"timestamp": at, "message": {"id": own, "type": "text"}}
            self.sandbox.store.add(f"own-{chat}", row)
            if number < CHATS:
                crm.open_talk(1 + chat, f"own-{chat}", at)
                crm.open_talk(1 + chat + CHATS, f"native-{chat}", at, origin="waba")
            crm.message_arrived(f"own-{chat}", own, at=at, incoming=True)
            crm.add_message(1 + chat + CHATS, at, message_id=native)
            names |= {own, native}
        self._said += times
        return names

    def asked(self) -> Counter[str]:
        """Count what was asked for since the last time, whatever part was meant."""
        paths = Counter(urlsplit(seen.target).path for seen in self.sandbox.requests)
        self.sandbox.forget_requests()
        return paths


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    with Sandbox(ConversationStore(), CrmStore()) as sandbox:
        yield Account(sandbox, tmp_path)


def run(given: dict[str, Any], state: dict[str, Any] | None = None) -> Output:
    """Run the tap as Meltano does for a task."""
    settings = {name: value for name, value in given.items() if name != "_select"}
    patterns = json.loads(given["_select"])
    catalog = TapKommoChats(config=settings).catalog_dict
    for entry in catalog["streams"]:
        matching = [
            pattern
            for pattern in patterns
            if fnmatch(f"{entry['tap_stream_id']}.field", pattern.removeprefix("!"))
        ]
        is_selected = bool(matching) and not matching[-1].startswith("!")
        for field in entry["metadata"]:
            field["metadata"]["selected"] = is_selected
    with captured_output() as collected:
        TapKommoChats(
            config=settings, catalog=catalog, state=deepcopy(state)
        ).sync_all()
    return collected[0]


def messages_of(output: Output) -> list[str]:
    return [
        row["message_id"]
        for stream in ("chat_history", "talk_messages")
        for row in output.records_of(stream)
    ]


def test_shards_read_together_what_one_search_kept_and_then_what_changed_since(
    account: Account,
) -> None:
    states: dict[str, dict[str, Any]] = {}
    for times in (6, 1, 0):
        expected = account.say(times)
        read: list[str] = []
        for name, given in account.tasks(account.settings()).items():
            output = run(given, states.get(name))
            states[name] = output.state
            read += messages_of(output)

        assert sorted(read) == sorted(expected)


def test_after_shards_that_searched_a_search_and_any_number_of_shards_go_on_from_there(
    account: Account,
) -> None:
    expected = account.say(6)
    settings = account.settings()
    first = {
        state_id("north", part): run({**settings, "_select": '["*.*"]', "shard": part})
        for part in SHARDS
    }
    states = {name: output.state for name, output in first.items()}
    for move in plan_moves("north", 3, states, handover.READ).to_make:
        given = [states[source] for source in move.sources]
        states[move.state_id] = merged(move, given)
    account.asked()

    search = run(handover.search_settings(settings), states[search_id("north")])
    asked = account.asked()
    run(account.tasks(settings)[search_id("north")])
    parts = [f"{number}/3" for number in range(1, 4)]
    second = [
        run(given, states[name])
        for name, given in account.tasks(settings, parts).items()
        if name != search_id("north")
    ]

    assert sorted(m for o in first.values() for m in messages_of(o)) == sorted(expected)
    # Only a search that begins anew lists talks.
    assert asked[EVENTS]
    assert not asked[f"{CRM_ROOT}/talks"]
    assert search.records_of("chat_events") == []
    assert [name for output in second for name in messages_of(output)] == []


@pytest.mark.parametrize(
    ("has_scope", "is_native", "expected"),
    [(True, False, 0), (True, True, 1), (False, False, 1), (False, True, 1)],
)
def test_a_shard_asks_the_crm_for_the_account_where_it_has_to_and_for_no_search(
    account: Account,
    has_scope: bool,  # noqa: FBT001 (a parameter of the test)
    is_native: bool,  # noqa: FBT001 (as above)
    expected: int,
) -> None:
    account.say(6)
    search, *readings = account.tasks(
        account.settings(has_scope=has_scope, is_native=is_native)
    ).values()
    run(search)
    assert {ACCOUNT, EVENTS} <= account.asked().keys()

    for reading in readings:
        run(reading)

    asked = account.asked()
    assert asked.pop(ACCOUNT, 0) == expected * len(readings)
    assert {path.rpartition("/")[2] for path in asked} == {
        *("history", "messages")[: 1 + is_native]
    }


@LONG
def test_a_target_that_nobody_can_ask_gets_every_message_once(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "meltano"
    folder.mkdir()
    share_plugins(folder)
    monkeypatch.setenv("MELTANO_SYS_DIR_ROOT", str(folder))
    expected = account.say(6)

    with closing(Meltano(lambda _line: None)) as meltano:
        for name, given in account.tasks(account.settings()).items():
            meltano.run(
                *("el", f"--state-id={name}", "--no-install", TAP, "target-jsonl"),
                settings={
                    **variables(given),
                    "TARGET_JSONL_DESTINATION_PATH": str(tmp_path),
                    "TARGET_JSONL_DO_TIMESTAMP_FILE": "false",
                },
            )

    lines = [
        line
        for stream in ("chat_history", "talk_messages")
        for line in (tmp_path / f"{stream}.jsonl").read_text("utf-8").splitlines()
    ]
    assert sorted(json.loads(line)["message_id"] for line in lines) == sorted(expected)
    assert account.asked()[EVENTS] == 1
