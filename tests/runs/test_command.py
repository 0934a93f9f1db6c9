"""The command, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from tests.support.tap import config_for

if TYPE_CHECKING:
    from sandbox import Sandbox

COMMAND = (str(Path(sys.executable).with_name("tap-kommo-chats")),)
MODULE = (sys.executable, "-m", "tap_kommo_chats")


def tap(
    *arguments: str,
    config: dict[str, Any] | None = None,
    folder: Path | None = None,
    command: tuple[str, ...] = COMMAND,
    loglevel: str = "INFO",
) -> subprocess.CompletedProcess[str]:
    if config is not None and folder is not None:
        path = folder / "config.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        arguments = ("--config", str(path), *arguments)
    return subprocess.run(
        [*command, *arguments],
        capture_output=True,
        check=False,
        encoding="utf-8",
        env={**os.environ, "TAP_KOMMO_CHATS_LOGLEVEL": loglevel},
        timeout=60,
    )


@pytest.mark.parametrize("command", [COMMAND, MODULE], ids=["script", "module"])
def test_the_tap_says_what_it_is(command: tuple[str, ...]) -> None:
    done = tap("--about", "--format=json", command=command)

    about = json.loads(done.stdout)
    assert about["name"] == "tap-kommo-chats"
    assert done.returncode == 0


def test_a_wheels_metadata_names_every_python_from_3_10_to_3_14() -> None:
    about = json.loads(tap("--about", "--format=json").stdout)

    assert about["supported_python_versions"] == [f"3.{n}" for n in range(10, 15)]


def test_discovery_needs_no_settings() -> None:
    done = tap("--discover")

    stream, conversations = json.loads(done.stdout)["streams"]
    assert conversations["tap_stream_id"] == "conversations"
    assert stream["tap_stream_id"] == "chat_history"
    assert stream["key_properties"] == ["conversation_id", "message_id"]
    assert stream["replication_key"] == "sent_at"


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
