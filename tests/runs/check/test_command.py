"""The command `--check`, in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from sandbox import Faults, Terms
from tests.support.command import COMMAND, tap

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.check import CheckedAccount


def test_a_check_that_is_fit_ends_with_0_and_a_line_for_each_thing(
    account: CheckedAccount, tmp_path: Path
) -> None:
    done = tap("--check", config=account.config(), folder=tmp_path)

    assert done.returncode == 0
    assert done.stdout.startswith("ok         settings: can be used\n")
    assert "would end with exit code 0" in done.stdout
    assert "\n| tap-kommo-chats " in done.stdout


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_a_check_that_is_not_fit_ends_with_1_and_shows_no_secret(
    account: CheckedAccount, tmp_path: Path, level: str
) -> None:
    account.crm.terms = Terms(addon=False)

    done = tap("--check", config=account.config(), folder=tmp_path, loglevel=level)

    assert done.returncode == 1
    assert "\nfailed     /api/v4/talks/{id}/messages: Kommo answered 402" in done.stdout
    assert "Traceback" not in done.stderr
    for hidden in (
        *(account.sandbox.secret, account.sandbox.crm_token),
        *(account.TEXT, account.NAME),
    ):
        assert hidden not in done.stdout + done.stderr


def test_only_the_streams_of_the_catalog_are_checked(
    account: CheckedAccount, tmp_path: Path
) -> None:
    account.crm.terms = Terms(addon=False)
    catalog = json.loads(
        tap("--discover", config=account.config(), folder=tmp_path).stdout
    )
    for entry in catalog["streams"]:
        if entry["tap_stream_id"] == "talk_messages":
            entry["metadata"][-1]["metadata"]["selected"] = False
    path = tmp_path / "catalog.json"
    path.write_text(json.dumps(catalog), encoding="utf-8")

    done = tap(
        *("--check", "--format=json", "--catalog", str(path)),
        config=account.config(),
        folder=tmp_path,
    )

    told = json.loads(done.stdout)
    assert done.returncode == 0
    assert told["ok"] is True
    assert "talk_messages" not in told["streams"]
    assert "users" in told["streams"]


def test_settings_that_cannot_be_used_are_lines_of_the_report(
    account: CheckedAccount, tmp_path: Path
) -> None:
    done = tap(
        *("--check", "--format=json"),
        config=account.config(start_date="tomorrow"),
        folder=tmp_path,
    )

    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert [line["level"] for line in told["lines"]].count("failed") == 1
    assert "start_date is not a date and time" in told["lines"][0]["text"]


def test_what_is_to_be_pasted_can_be_had_alone(
    account: CheckedAccount, tmp_path: Path
) -> None:
    done = tap("--check", "--format=markdown", config=account.config(), folder=tmp_path)

    assert done.returncode == 0
    assert all(line.startswith("| ") for line in done.stdout.splitlines())


def test_a_signal_ends_a_check_with_its_code_and_no_traceback(
    account: CheckedAccount, tmp_path: Path
) -> None:
    account.sandbox.faults = Faults(latency=60.0)
    asked, now = threading.Event(), account.sandbox.clock

    def clock() -> float:
        asked.set()
        return now()

    account.sandbox.clock = clock
    path = tmp_path / "config.json"
    path.write_text(json.dumps(account.config()), encoding="utf-8")
    process = subprocess.Popen(
        [*COMMAND, "--config", str(path), "--check"],
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        assert asked.wait(30)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()

    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in said
