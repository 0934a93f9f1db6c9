"""The command, in a process of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from tap_kommo_chats.tap import STREAMS
from tests.support.command import COMMAND, MODULE, tap
from tests.support.tap import config_for

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Sandbox


@pytest.mark.parametrize("command", [COMMAND, MODULE], ids=["script", "module"])
def test_the_tap_says_what_it_is(command: tuple[str, ...]) -> None:
    done = tap("--about", "--format=json", command=command)

    about = json.loads(done.stdout)
    assert about["name"] == "tap-kommo-chats"
    assert done.returncode == 0


def test_a_wheels_metadata_names_every_python_that_the_tests_were_run_on() -> None:
    about = json.loads(tap("--about", "--format=json").stdout)

    assert about["supported_python_versions"] == [f"3.{n}" for n in range(10, 14)]


def test_discovery_needs_no_settings() -> None:
    done = tap("--discover")

    streams = {s["tap_stream_id"]: s for s in json.loads(done.stdout)["streams"]}
    assert set(streams) == {kind.shape.stream for kind in STREAMS}
    stream = streams["chat_history"]
    assert stream["key_properties"] == ["conversation_id", "message_id"]
    assert stream["replication_key"] == "sent_at"


def test_discovery_of_a_channel_without_a_crm_offers_what_it_has(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    done = tap("--discover", config=config_for(sandbox, ["a"]), folder=tmp_path)

    streams = {s["tap_stream_id"] for s in json.loads(done.stdout)["streams"]}
    assert streams == {"chat_history", "conversations", "runs"}


def test_a_test_run_reads_one_record(seeded_sandbox: Sandbox, tmp_path: Path) -> None:
    done = tap("--test", config=config_for(seeded_sandbox), folder=tmp_path)

    assert done.returncode == 0
    assert done.stdout.count('"type":"RECORD","stream":"chat_history"') == 1


def test_a_run_with_the_discovered_catalog_reads_everything(
    seeded_sandbox: Sandbox, tmp_path: Path
) -> None:
    catalog = tmp_path / "catalog.json"
    catalog.write_text(tap("--discover").stdout, encoding="utf-8")

    done = tap(
        "--catalog",
        str(catalog),
        config=config_for(seeded_sandbox),
        folder=tmp_path,
    )

    store = seeded_sandbox.store
    total = sum(store.size(id_) for id_ in store.conversation_ids())
    assert done.returncode == 0
    assert done.stdout.count('"type":"RECORD","stream":"chat_history"') == total


@pytest.mark.parametrize("arguments", [(), ("--test",)], ids=["run", "test"])
def test_bad_settings_stop_the_run_before_any_request(
    sandbox: Sandbox, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    config = {**config_for(sandbox, ["a"]), "scope_id": "", "channel_secret": 918273645}

    done = tap(*arguments, config=config, folder=tmp_path, loglevel="DEBUG")

    assert done.returncode == 1
    assert not sandbox.requests
    for line in (
        "scope_id is empty: write {channel_id}_{account's amojo_id}",
        "channel_secret is a number, not text: write the secret",
    ):
        assert done.stderr.count(line) == 1
    assert "918273645" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_failure_is_told_in_one_line_without_secret_or_traceback(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.answer = lambda _: web.Response(status=403)

    done = tap(config=config_for(sandbox, ["a"]), folder=tmp_path, loglevel="DEBUG")

    assert done.returncode == 1
    assert done.stderr.count("Kommo answered 403") == 1
    assert "Traceback" not in done.stderr
    assert sandbox.secret not in done.stderr


def test_settings_may_come_from_the_environment(
    seeded_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in config_for(seeded_sandbox).items():
        text = value if isinstance(value, str) else json.dumps(value)
        monkeypatch.setenv(f"TAP_KOMMO_CHATS_{name.upper()}", text)

    done = tap("--config", "ENV", "--test")

    assert done.returncode == 0
    assert done.stdout.count('"type":"RECORD","stream":"chat_history"') == 1
