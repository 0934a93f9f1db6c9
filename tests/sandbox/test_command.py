"""The command ``python -m sandbox``, run as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from sandbox import (
    CHANNEL_SECRET,
    OWN_ORIGIN,
    SCOPE_ID,
    generated_store,
    seeded_crm,
    seeded_store,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = [sys.executable, "-m", "sandbox", "--port", "0"]
ROOT = Path(__file__).parents[2]
# Unbuffered output would hide a missing flush.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}


@contextmanager
def running(*options: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*COMMAND, *options],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def lines_until_ready(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        if line == "ready\n":
            return lines
        lines.append(line)
    pytest.fail(f"not ready: {lines}")


def test_it_prints_the_settings_once_it_serves() -> None:
    with running() as process:
        lines = lines_until_ready(process)
        settings = dict(line.rstrip("\n").split("=", 1) for line in lines)
        url = settings.pop("TAP_KOMMO_CHATS_API_URL")
        ids = settings.pop("TAP_KOMMO_CHATS_CONVERSATION_IDS")
        assert settings == {
            "TAP_KOMMO_CHATS_SCOPE_ID": SCOPE_ID,
            "TAP_KOMMO_CHATS_CHANNEL_SECRET": CHANNEL_SECRET,
        }
        assert json.loads(ids) == seeded_store().conversation_ids()
        response = requests.get(url + "/_sandbox/requests", timeout=10)
        assert response.json() == {"total": 0, "by_status": {}}


def test_it_serves_as_many_generated_conversations_as_told() -> None:
    with running("--conversations", "3", "--messages", "2") as process:
        settings = dict(line.split("=", 1) for line in lines_until_ready(process))
        url = settings["TAP_KOMMO_CHATS_API_URL"].rstrip("\n")
        ids = json.loads(settings["TAP_KOMMO_CHATS_CONVERSATION_IDS"])
        store = generated_store(3, 2)
        assert ids == store.conversation_ids()
        response = requests.get(
            f"{url}/_sandbox/conversations/{ids[2]}/messages", timeout=10
        )
        assert response.json() == {"messages": store.rows(ids[2])}


def test_it_serves_the_crm_if_told_so() -> None:
    with running("--conversations", "3", "--messages", "2", "--crm") as process:
        lines = lines_until_ready(process)
        settings = dict(line.rstrip("\n").split("=", 1) for line in lines)
        assert (
            settings["TAP_KOMMO_CHATS_CRM_URL"] == (settings["TAP_KOMMO_CHATS_API_URL"])
        )
        assert json.loads(settings["TAP_KOMMO_CHATS_CRM_ORIGINS"]) == [OWN_ORIGIN]
        assert json.loads(settings["TAP_KOMMO_CHATS_NATIVE_CHANNELS"]) is True
        token = settings["TAP_KOMMO_CHATS_CRM_ACCESS_TOKEN"]
        response = requests.get(
            settings["TAP_KOMMO_CHATS_CRM_URL"] + "/api/v4/talks",
            headers={"Authorization": f"Bearer {token}"},
            timeout=10,
        )
        expected = seeded_crm(generated_store(3, 2)).talks.all()
        assert response.json()["_embedded"]["talks"] == expected


def test_it_writes_which_conversations_changed_if_told_so(tmp_path: Path) -> None:
    path = tmp_path / "webhooks.jsonl"
    options = ("--conversations", "2", "--messages", "1")
    with running(*options, "--webhooks-file", str(path)) as process:
        lines_until_ready(process)
        store = generated_store(2, 1)
        assert [json.loads(line) for line in path.read_text().splitlines()] == [
            {"conversation_id": chat, "updated_at": store.newest_at(chat)}
            for chat in store.conversation_ids()
        ]


def test_it_misbehaves_as_told() -> None:
    with running("--faults", '{"server_error": 0.05, "seed": 7}') as process:
        settings = dict(line.split("=", 1) for line in lines_until_ready(process))
        url = settings["TAP_KOMMO_CHATS_API_URL"].rstrip("\n")
        faults = requests.get(url + "/_sandbox/faults", timeout=10).json()
        assert (faults["server_error"], faults["seed"], faults["html"]) == (0.05, 7, 0)


def test_its_crm_answers_on_the_terms_that_it_is_told() -> None:
    with running("--crm", "--crm-terms", '{"addon": false}') as process:
        settings = dict(line.split("=", 1) for line in lines_until_ready(process))
        url = settings["TAP_KOMMO_CHATS_API_URL"].rstrip("\n")
        terms = requests.get(url + "/_sandbox/terms", timeout=10).json()
        assert (terms["addon"], terms["administrator"]) == (False, True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_on_a_signal(number: signal.Signals) -> None:
    with running() as process:
        lines_until_ready(process)
        process.send_signal(number)
        rest, errors = process.communicate(timeout=10)
        assert (process.returncode, rest, errors) == (0, "", "")


def test_it_writes_the_same_settings_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "settings.env"
    path.write_text("left by an earlier run")
    with running("--settings-file", str(path)) as process:
        lines = lines_until_ready(process)
        assert path.read_text(encoding="utf-8") == "".join(lines)
        assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--host", "0.0.0.0"], 2, "loopback"),  # noqa: S104 - is refused
        (["--settings-file", "/nonexistent/file"], 1, "/nonexistent/file"),
        (["--webhooks-file", "/nonexistent/file"], 1, "/nonexistent/file"),
        (["--faults", '{"htlm": 1}'], 2, "There are: seed, latency, jitter"),
        (["--faults", "html"], 2, "no faults"),
        (["--crm-terms", '{"adon": 1}'], 2, "There are: refused, addon"),
        (["--conversations", "3"], 2, "go together"),
        (["--messages", "3"], 2, "go together"),
        (["--conversations", "-3", "--messages", "3"], 2, "not a count: '-3'"),
    ],
)
def test_it_says_why_it_cannot_start(options: list[str], code: int, said: str) -> None:
    done = subprocess.run(
        [*COMMAND, *options],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=10,
    )
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
